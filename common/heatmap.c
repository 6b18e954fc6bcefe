#include "common/heatmap.h"

#include "common/png.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OPACITY_MAX 0.85f /* the photo shows even through the hottest spot */

/* ---- colour -------------------------------------------------------------- */

/* The inferno map of matplotlib (Smith and van der Walt, 2015, CC0) at every
 * sixteenth of its range: lightness rises evenly from black to pale yellow, so
 * twice as hot looks twice as hot, in grey and to colour-blind eyes too. */
static const uint8_t inferno[17][3] = {
    {0, 0, 4},      {11, 7, 36},    {32, 12, 74},   {60, 9, 101},
    {87, 16, 110},  {112, 25, 110}, {140, 41, 99},  {165, 50, 86},
    {187, 55, 84},  {209, 72, 65},  {227, 89, 51},  {240, 111, 31},
    {249, 142, 9},  {252, 174, 18}, {249, 206, 63}, {243, 233, 121},
    {252, 255, 164}};

/* v 0..1 -> R, G, B, A */
static void paint(float v, uint8_t rgba[4]) {
    float at = v * 16;
    int below = at >= 16 ? 15 : (int)at;
    float share = at - (float)below;
    for (int c = 0; c < 3; c++)
        rgba[c] = (uint8_t)lrintf((float)inferno[below][c] * (1 - share) +
                                  (float)inferno[below + 1][c] * share);
    rgba[3] = (uint8_t)lrintf(255 * OPACITY_MAX * v);
}

/* ---- interpolation ------------------------------------------------------- */

/* Catmull and Rom's cubic (1974): smooth, and exact in the cells' middles. */
static void cubic_weights(float t, float w[4]) {
    w[0] = ((-0.5f * t + 1.0f) * t - 0.5f) * t;
    w[1] = (1.5f * t - 2.5f) * t * t + 1.0f;
    w[2] = ((-1.5f * t + 2.0f) * t + 0.5f) * t;
    w[3] = (0.5f * t - 0.5f) * t * t;
}

static int clamp(int value, int least, int most) {
    return value < least ? least : value > most ? most : value;
}

/* The map at (x, y), in cells; cells (height, width). 0..1. */
static float sample(const uint8_t *cells, int width, int height, float x,
                    float y) {
    float left = floorf(x - 0.5f), top = floorf(y - 0.5f);
    float wx[4], wy[4], sum = 0;
    cubic_weights(x - 0.5f - left, wx);
    cubic_weights(y - 0.5f - top, wy);
    for (int j = 0; j < 4; j++) {
        const uint8_t *row =
            cells +
            (size_t)clamp((int)top - 1 + j, 0, height - 1) * (size_t)width;
        for (int i = 0; i < 4; i++)
            sum += wy[j] * wx[i] *
                   (float)row[clamp((int)left - 1 + i, 0, width - 1)];
    }
    return fminf(fmaxf(sum / 255, 0), 1);
}

/* ---- the picture --------------------------------------------------------- */

static void fit(int photo_width, int photo_height, int *width, int *height) {
    bool wide = photo_width >= photo_height;
    int longest = wide ? photo_width : photo_height;
    int shortest = wide ? photo_height : photo_width;
    int other = (int)((int64_t)HEATMAP_SIDE * shortest / longest);
    *width = wide ? HEATMAP_SIDE : other < 1 ? 1 : other;
    *height = !wide ? HEATMAP_SIDE : other < 1 ? 1 : other;
}

uint8_t *heatmap_png(const uint8_t *cells, int width, int height,
                     const float region[4], int photo_width, int photo_height,
                     size_t *size, struct err *err) {
    if (width < 1 || height < 1 || photo_width < 1 || photo_height < 1 ||
        !(region[2] > 0) || !(region[3] > 0)) {
        err_set(err, "an activation map without extent");
        return NULL;
    }
    int w, h;
    fit(photo_width, photo_height, &w, &h);
    size_t stride = 4 * (size_t)w;
    uint8_t *pixels = calloc((size_t)h, stride);
    if (!pixels) {
        err_set(err, "out of memory");
        return NULL;
    }
    for (int y = 0; y < h; y++) {
        float v = (((float)y + 0.5f) / (float)h - region[1]) / region[3];
        for (int x = 0; x < w; x++) {
            float u = (((float)x + 0.5f) / (float)w - region[0]) / region[2];
            if (u >= 0 && u < 1 && v >= 0 && v < 1)
                paint(sample(cells, width, height, u * (float)width,
                             v * (float)height),
                      pixels + (size_t)y * stride + 4 * (size_t)x);
        }
    }
    uint8_t *png = png_encode(pixels, w, h, 4, size);
    free(pixels);
    if (!png)
        err_set(err, "out of memory");
    return png;
}
