#include "models/classifier/maps.h"

#include <math.h>
#include <string.h>

/* How many cells a side of `cam` are averaged into one of the result. */
static int map_block(const struct nn_cam *cam) {
    int block = 1;
    while (((cam->width + block - 1) / block) *
               ((cam->height + block - 1) / block) >
           CLASSIFIER_MAP_CELLS)
        block++;
    return block;
}

#define LANES 16

/* Sums side by side, which the compiler makes vectors of: a single one would
 * have to be added to in order. */
static float dot(const float *weights, const float *features, ptrdiff_t stride,
                 int channels) {
    float sums[LANES] = {0}, sum = 0;
    int c = 0;
    if (stride == 1)
        for (; c + LANES <= channels; c += LANES)
            for (int i = 0; i < LANES; i++)
                sums[i] += weights[c + i] * features[c + i];
    for (int i = 0; i < LANES; i++)
        sum += sums[i];
    for (; c < channels; c++)
        sum += weights[c] * features[c * stride];
    return sum;
}

/* The map of class `k` for entry `n`, averaged over blocks, into `cells`. */
static void sum_map(const struct nn_cam *cam, int n, int k, int block,
                    float *cells) {
    int width = (cam->width + block - 1) / block;
    int counts[CLASSIFIER_MAP_CELLS] = {0};
    const float *weights = cam->weights + (size_t)k * (size_t)cam->channels;
    memset(cells, 0, CLASSIFIER_MAP_CELLS * sizeof *cells);
    for (int y = 0; y < cam->height; y++)
        for (int x = 0; x < cam->width; x++) {
            const float *f = cam->features + n * cam->stride_n +
                             y * cam->stride_h + x * cam->stride_w;
            int cell = y / block * width + x / block;
            cells[cell] += dot(weights, f, cam->stride_c, cam->channels);
            counts[cell]++;
        }
    for (int i = 0; i < CLASSIFIER_MAP_CELLS && counts[i]; i++)
        cells[i] /= (float)counts[i];
}

/* Its least value becomes 0, its greatest 255; a flat map is all 0. */
void maps_scale(const float *cells, int count, uint8_t *bytes) {
    float least = cells[0], greatest = cells[0];
    for (int i = 1; i < count; i++) {
        least = fminf(least, cells[i]);
        greatest = fmaxf(greatest, cells[i]);
    }
    float scale = greatest > least ? 255 / (greatest - least) : 0;
    for (int i = 0; i < count; i++)
        bytes[i] = (uint8_t)((cells[i] - least) * scale + 0.5f);
}

void maps_activation(const struct nn_cam *cam, int n,
                     struct classification *out) {
    int block = map_block(cam);
    float cells[CLASSIFIER_MAP_CELLS];
    out->map_width = (cam->width + block - 1) / block;
    out->map_height = (cam->height + block - 1) / block;
    while (out->map_count < out->top_count &&
           out->map_count < CLASSIFIER_MAPS_MAX) {
        int k = out->top[out->map_count].index;
        sum_map(cam, n, k, block, cells);
        maps_scale(cells, out->map_width * out->map_height,
                   out->maps[out->map_count]);
        out->map_count++;
    }
}
