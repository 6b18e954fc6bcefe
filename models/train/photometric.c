#include "models/train/photometric.h"

#include "models/classifier/image.h"
#include "models/classifier/jpeg_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How far each step goes, both ways. */
#define SHARPNESS 0.9f
#define GAIN 0.10f /* of a channel against the others: white balance */
#define SATURATION 0.5f
#define CONTRAST 0.4f
#define BRIGHTNESS 40.0f
#define QUALITY_LEAST 30
#define QUALITY_MOST 95

/* ---- sharpness ----------------------------------------------------------- */

static int inside(int i, int size) {
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

/* (1 2 1) / 4 along a line of `count` pixels that are `step` floats apart;
 * `line` is scratch. The ends are repeated. */
static void blur_line(float *pixels, int count, size_t step, float *line) {
    for (int i = 0; i < count; i++)
        line[i] = pixels[(size_t)i * step];
    for (int i = 0; i < count; i++)
        pixels[(size_t)i * step] = (line[inside(i - 1, count)] + 2 * line[i] +
                                    line[inside(i + 1, count)]) /
                                   4;
}

void photometric_sharpen(struct shape shape, float amount, float *pixels) {
    size_t size = shape_size(shape), row = (size_t)shape.width * 3;
    float *blurred = malloc(size * sizeof *blurred);
    float line[PHOTOMETRIC_SIDE_MAX];
    if (!blurred)
        return;
    memcpy(blurred, pixels, size * sizeof *pixels);
    for (int y = 0; y < shape.height; y++)
        for (size_t c = 0; c < 3; c++)
            blur_line(blurred + (size_t)y * row + c, shape.width, 3, line);
    for (size_t x = 0; x < row; x++)
        blur_line(blurred + x, shape.height, row, line);
    for (size_t i = 0; i < size; i++)
        pixels[i] += amount * (pixels[i] - blurred[i]);
    free(blurred);
}

/* ---- light --------------------------------------------------------------- */

static float grey(const float *pixel) { /* ITU-R BT.601 */
    return 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2];
}

static void change_light(struct shape shape, struct rng *rng, float *pixels) {
    size_t count = (size_t)shape.height * (size_t)shape.width;
    float saturation = 1 + rng_uniform(rng, -SATURATION, SATURATION);
    float contrast = 1 + rng_uniform(rng, -CONTRAST, CONTRAST);
    float brightness = rng_uniform(rng, -BRIGHTNESS, BRIGHTNESS);
    float gain[3], mean = 0;
    for (int c = 0; c < 3; c++)
        gain[c] = 1 + rng_uniform(rng, -GAIN, GAIN);
    for (size_t i = 0; i < count; i++)
        mean += grey(pixels + 3 * i) / (float)count;
    for (size_t i = 0; i < count; i++, pixels += 3) {
        float g = grey(pixels);
        for (int c = 0; c < 3; c++) {
            float v = (g + saturation * (pixels[c] - g)) * gain[c];
            pixels[c] = mean + contrast * (v - mean) + brightness;
        }
    }
}

static void round_to_bytes(size_t size, float *pixels) {
    for (size_t i = 0; i < size; i++)
        pixels[i] = fminf(fmaxf(roundf(pixels[i]), 0), 255);
}

/* ---- JPEG ---------------------------------------------------------------- */

bool photometric_jpeg(struct shape shape, int quality, float *pixels) {
    size_t size = shape_size(shape);
    unsigned char *file = NULL;
    unsigned long file_size = 0;
    struct image image = {0};
    uint8_t *rgb = malloc(size);
    bool done = false;
    if (!rgb)
        return false;
    for (size_t i = 0; i < size; i++)
        rgb[i] = (uint8_t)pixels[i];
    if (jpeg_write(rgb, shape.width, shape.height, quality, &file,
                   &file_size) == 0 &&
        image_decode(&image, file, file_size, 0, NULL) == 0) {
        for (size_t i = 0; i < size; i++)
            pixels[i] = image.rgb[i];
        done = true;
    }
    image_free(&image);
    free(file);
    free(rgb);
    return done;
}

/* ---- all of it ----------------------------------------------------------- */

void photometric_change(struct shape shape, struct rng *rng, float *pixels) {
    photometric_sharpen(shape, rng_uniform(rng, -SHARPNESS, SHARPNESS), pixels);
    change_light(shape, rng, pixels);
    round_to_bytes(shape_size(shape), pixels);
    if (rng_below(rng, 2) == 1)
        photometric_jpeg(shape,
                         QUALITY_LEAST + (int)rng_below(rng, QUALITY_MOST + 1 -
                                                                 QUALITY_LEAST),
                         pixels);
}
