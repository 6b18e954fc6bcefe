#include "models/train/outliers.h"

#include <string.h>

#define COARSEST 2 /* cells a side of the coarsest noise */
#define BLOCKS 4   /* a side, of a shuffled image */

static uint8_t any_byte(struct rng *rng) {
    return (uint8_t)rng_below(rng, 256);
}

static void write_flat(struct shape shape, const uint8_t *image,
                       struct rng *rng, uint8_t *out) {
    uint8_t colour[3] = {any_byte(rng), any_byte(rng), any_byte(rng)};
    (void)image;
    for (int i = 0; i < shape.height * shape.width; i++, out += 3)
        memcpy(out, colour, 3);
}

/* Cells of random colours, blended from one middle to the next. */
static void write_noise(struct shape shape, const uint8_t *image,
                        struct rng *rng, uint8_t *out) {
    uint8_t cells[33][33][3];
    int side = COARSEST << rng_below(rng, 5); /* 2..32 */
    (void)image;
    for (int y = 0; y <= side; y++)
        for (int x = 0; x <= side; x++)
            for (int c = 0; c < 3; c++)
                cells[y][x][c] = any_byte(rng);
    for (int y = 0; y < shape.height; y++) {
        float v = (float)(y * side) / (float)shape.height;
        int row = (int)v;
        for (int x = 0; x < shape.width; x++) {
            float h = (float)(x * side) / (float)shape.width;
            int column = (int)h;
            for (int c = 0; c < 3; c++) {
                float a = cells[row][column][c], b = cells[row + 1][column][c];
                a += (cells[row][column + 1][c] - a) * (h - (float)column);
                b += (cells[row + 1][column + 1][c] - b) * (h - (float)column);
                *out++ = (uint8_t)(a + (b - a) * (v - (float)row) + 0.5f);
            }
        }
    }
}

static void write_stripes(struct shape shape, const uint8_t *image,
                          struct rng *rng, uint8_t *out) {
    uint8_t colours[2][3];
    uint32_t period = 2 + rng_below(rng, (uint32_t)shape.width / 2);
    uint32_t down = rng_below(rng, 3), right = rng_below(rng, 3);
    (void)image;
    if (down + right == 0)
        right = 1;
    for (int i = 0; i < 6; i++)
        colours[i / 3][i % 3] = any_byte(rng);
    for (int y = 0; y < shape.height; y++)
        for (int x = 0; x < shape.width; x++, out += 3) {
            uint32_t at = (uint32_t)y * down + (uint32_t)x * right;
            memcpy(out, colours[at % period * 2 / period], 3);
        }
}

static void write_shuffled(struct shape shape, const uint8_t *image,
                           struct rng *rng, uint8_t *out) {
    uint32_t order[BLOCKS * BLOCKS];
    int height = shape.height / BLOCKS, width = shape.width / BLOCKS;
    for (uint32_t i = 0; i < BLOCKS * BLOCKS; i++)
        order[i] = i;
    rng_shuffle(rng, order, BLOCKS * BLOCKS);
    memcpy(out, image, shape_size(shape)); /* what no block covers */
    for (int block = 0; block < BLOCKS * BLOCKS; block++) {
        int from = (int)order[block];
        for (int y = 0; y < height; y++) {
            int source = (from / BLOCKS * height + y) * shape.width +
                         from % BLOCKS * width;
            int target = (block / BLOCKS * height + y) * shape.width +
                         block % BLOCKS * width;
            memcpy(out + target * 3, image + source * 3, (size_t)width * 3);
        }
    }
}

void outlier_write(struct shape shape, const uint8_t *image, struct rng *rng,
                   uint8_t *out) {
    static void (*const kinds[])(struct shape, const uint8_t *, struct rng *,
                                 uint8_t *) = {
        write_flat, write_noise, write_stripes, write_shuffled, write_shuffled,
    };
    kinds[rng_below(rng, sizeof kinds / sizeof *kinds)](shape, image, rng, out);
}
