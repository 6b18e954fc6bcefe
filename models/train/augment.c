#include "models/train/augment.h"

#include "models/train/outliers.h"
#include "models/train/photometric.h"

#include <math.h>
#include <string.h>

/* Of the CIFAR-10 training images. */
const struct augment augment_cifar10 = {
    .translate = 2,
    .flip = true,
    .mean = {0.4914f, 0.4822f, 0.4465f},
    .deviation = {0.2470f, 0.2435f, 0.2616f},
};

/* Streams apart from those that other parts draw from the same seed. */
#define FLIP_STREAM (1ull << 62)
#define CROP_STREAM (1ull << 61)
#define OUTLIER_STREAM (3ull << 61)
#define PHOTOMETRIC_STREAM (1ull << 63)

struct change {
    int down, right; /* the image's top left corner in the padded one */
    bool flip;
    bool zoomed;
    float zoom_y, zoom_x;    /* pixels of the image a pixel of the result */
    int cut_row, cut_column; /* of the result */
};

static int reflect(int i, int size) {
    if (i < 0)
        return -i;
    return i < size ? i : 2 * size - 2 - i;
}

/* Where a line or column of the result lies between two of the image. */
struct between {
    int first, second;
    float weight; /* of the second */
};

static struct between between(int i, int size, float zoom, int move) {
    float half = (float)(size - 1) / 2;
    float at = ((float)i - half) * zoom + half + (float)move;
    float below = floorf(at);
    return (struct between){reflect((int)below, size),
                            reflect((int)below + 1, size), at - below};
}

/* Bilinear. */
static void write_zoomed(const struct augment *policy, struct shape shape,
                         const uint8_t *pixels, const struct change *change,
                         float *out) {
    for (int y = 0; y < shape.height; y++) {
        struct between v =
            between(y, shape.height, change->zoom_y, change->down);
        const uint8_t *upper = pixels + v.first * shape.width * 3;
        const uint8_t *lower = pixels + v.second * shape.width * 3;
        for (int x = 0; x < shape.width; x++) {
            struct between h =
                between(change->flip ? shape.width - 1 - x : x, shape.width,
                        change->zoom_x, change->right);
            for (int c = 0; c < 3; c++) {
                float a = upper[h.first * 3 + c], b = lower[h.first * 3 + c];
                a += (upper[h.second * 3 + c] - a) * h.weight;
                b += (lower[h.second * 3 + c] - b) * h.weight;
                a += (b - a) * v.weight;
                *out++ = (a / 255 - policy->mean[c]) / policy->deviation[c];
            }
        }
    }
}

static void make_table(const struct augment *policy, float table[3][256]) {
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 256; i++)
            table[c][i] =
                ((float)i / 255 - policy->mean[c]) / policy->deviation[c];
}

static void write_image(const struct augment *policy, struct shape shape,
                        const uint8_t *pixels, const struct change *change,
                        float *out) {
    float table[3][256];
    make_table(policy, table);
    for (int y = 0; y < shape.height; y++) {
        int row = reflect(y + change->down, shape.height);
        for (int x = 0; x < shape.width; x++) {
            int column = change->flip ? shape.width - 1 - x : x;
            column = reflect(column + change->right, shape.width);
            const uint8_t *pixel = pixels + (row * shape.width + column) * 3;
            for (int c = 0; c < 3; c++)
                *out++ = table[c][pixel[c]];
        }
    }
}

/* Both ways alike: a half as likely as a double. */
static void draw_zoom(const struct augment *policy, struct rng *rng,
                      struct change *change) {
    float most = logf(1 + policy->zoom);
    change->zoomed = rng_below(rng, 2) == 1;
    float size = rng_uniform(rng, -most, most);
    float aspect = rng_uniform(rng, -most, most) / 3;
    change->zoom_y = expf(size - aspect);
    change->zoom_x = expf(size + aspect);
}

static struct change draw(const struct augment *policy, struct shape shape,
                          uint32_t image, int epoch, uint64_t seed) {
    struct rng rng;
    struct change change = {0};
    uint32_t places = 2 * (uint32_t)policy->translate + 1;

    rng_seed(&rng, seed, FLIP_STREAM | image);
    if (policy->flip)
        change.flip = (rng_below(&rng, 2) + (uint32_t)epoch) % 2 == 1;
    rng_seed(&rng, seed, CROP_STREAM | (uint64_t)(uint32_t)epoch << 32 | image);
    change.down = (int)rng_below(&rng, places) - policy->translate;
    change.right = (int)rng_below(&rng, places) - policy->translate;
    if (policy->cutout > 0) {
        change.cut_row =
            (int)rng_below(&rng, (uint32_t)(shape.height - policy->cutout + 1));
        change.cut_column =
            (int)rng_below(&rng, (uint32_t)(shape.width - policy->cutout + 1));
    }
    if (policy->zoom > 0)
        draw_zoom(policy, &rng, &change);
    return change;
}

/* Changes the light of what has been written, in some images. */
static void relight(const struct augment *policy, struct shape shape,
                    uint32_t image, int epoch, uint64_t seed, float *out) {
    struct rng rng;
    size_t size = shape_size(shape);
    rng_seed(&rng, seed,
             PHOTOMETRIC_STREAM | (uint64_t)(uint32_t)epoch << 32 | image);
    if (!(rng_uniform(&rng, 0, 1) < policy->photometric))
        return;
    for (size_t i = 0; i < size; i++)
        out[i] =
            255 * (out[i] * policy->deviation[i % 3] + policy->mean[i % 3]);
    photometric_change(shape, &rng, out);
    for (size_t i = 0; i < size; i++)
        out[i] =
            (out[i] / 255 - policy->mean[i % 3]) / policy->deviation[i % 3];
}

/* To the mean, which is 0 by now. */
static void cut_out(const struct augment *policy, struct shape shape,
                    const struct change *change, float *image) {
    for (int y = 0; y < policy->cutout; y++) {
        int at = (change->cut_row + y) * shape.width + change->cut_column;
        memset(image + at * 3, 0, (size_t)policy->cutout * 3 * sizeof *image);
    }
}

static void outlier_stream(struct rng *rng, uint32_t image, int epoch,
                           uint64_t seed) {
    rng_seed(rng, seed,
             OUTLIER_STREAM | (uint64_t)(uint32_t)epoch << 32 | image);
}

bool augment_is_outlier(const struct augment *policy, uint32_t image, int epoch,
                        uint64_t seed) {
    struct rng rng;
    outlier_stream(&rng, image, epoch, seed);
    return policy->outliers > 0 && rng_uniform(&rng, 0, 1) < policy->outliers;
}

/* The bytes lie at the end of the numbers' own memory meanwhile: the number
 * that is written last is the first to reach one, its own. */
static void write_outlier(const struct augment *policy,
                          const struct dataset *set, uint32_t image, int epoch,
                          uint64_t seed, float *out) {
    float table[3][256];
    struct rng rng;
    size_t size = shape_size(set->shape);
    uint8_t *bytes = (uint8_t *)(out + size) - size;
    make_table(policy, table);
    outlier_stream(&rng, image, epoch, seed);
    rng_next(&rng); /* was the draw of augment_is_outlier() */
    outlier_write(set->shape, set->pixels + image * size, &rng, bytes);
    for (size_t i = 0; i < size; i++)
        out[i] = table[i % 3][bytes[i]];
}

void augment_fill(const struct augment *policy, const struct dataset *set,
                  const uint32_t *order, int count, int epoch, uint64_t seed,
                  float *out) {
    size_t size = shape_size(set->shape);
    for (int i = 0; i < count; i++, out += size) {
        if (augment_is_outlier(policy, order[i], epoch, seed)) {
            write_outlier(policy, set, order[i], epoch, seed, out);
            continue;
        }
        struct change change = draw(policy, set->shape, order[i], epoch, seed);
        (change.zoomed ? write_zoomed : write_image)(
            policy, set->shape, set->pixels + order[i] * size, &change, out);
        relight(policy, set->shape, order[i], epoch, seed, out);
        cut_out(policy, set->shape, &change, out);
    }
}

void augment_plain(const struct augment *policy, const struct dataset *set,
                   int first, int count, float *out) {
    static const struct change none;
    size_t size = shape_size(set->shape);
    for (int i = 0; i < count; i++, out += size)
        write_image(policy, set->shape,
                    set->pixels + (size_t)(first + i) * size, &none, out);
}
