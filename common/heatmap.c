#include "common/heatmap.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

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

/* ---- PNG (ISO/IEC 15948) ------------------------------------------------- */

static uint8_t *put_u32(uint8_t *out, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        *out++ = (uint8_t)(value >> shift);
    return out;
}

/* Length, name, what already lies at out + 8, and its checksum. */
static uint8_t *close_chunk(uint8_t *out, const char *name, size_t size) {
    put_u32(out, (uint32_t)size);
    memcpy(out + 4, name, 4);
    uLong crc = crc32(0, out + 4, (uInt)size + 4);
    return put_u32(out + 8 + size, (uint32_t)crc);
}

/* rows (height, 1 + 4*width): a filter byte and RGBA. */
static uint8_t *encode_png(const uint8_t *rows, int width, int height,
                           size_t *size) {
    uLong plain = (uLong)height * (1 + 4 * (uLong)width);
    uLongf packed = compressBound(plain);
    uint8_t *png = malloc(8 + 25 + 12 + packed + 12), *out = png;
    if (!png)
        return NULL;
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    out += 8;
    put_u32(out + 8, (uint32_t)width);
    put_u32(out + 12, (uint32_t)height);
    memcpy(out + 16, "\x08\x06\0\0\0", 5); /* 8 bits, RGBA, not interlaced */
    out = close_chunk(out, "IHDR", 13);
    if (compress2(out + 8, &packed, rows, plain, 6) != Z_OK) {
        free(png);
        return NULL;
    }
    out = close_chunk(out, "IDAT", packed);
    out = close_chunk(out, "IEND", 0);
    *size = (size_t)(out - png);
    return png;
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
    size_t stride = 1 + 4 * (size_t)w;
    uint8_t *rows = calloc((size_t)h, stride);
    if (!rows) {
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
                      rows + (size_t)y * stride + 1 + 4 * (size_t)x);
        }
    }
    uint8_t *png = encode_png(rows, w, h, size);
    free(rows);
    if (!png)
        err_set(err, "out of memory");
    return png;
}
