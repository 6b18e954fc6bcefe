#include "models/train/unfold.h"

#include <string.h>

/* Where tap (i, j) of output pixel (y, x) lies in the image; -1: in the
 * padding. */
static ptrdiff_t tap_at(const struct layer *l, int y, int x, int i, int j) {
    int row = y * l->spec.stride - l->spec.padding + i;
    int column = x * l->spec.stride - l->spec.padding + j;
    if (row < 0 || row >= l->in.height || column < 0 || column >= l->in.width)
        return -1;
    return (ptrdiff_t)(row * l->in.width + column) * l->in.channels;
}

/* One image (H, W, C) -> rows (out H * out W, KH*KW*C). */
static void unfold_image(const struct layer *l, const float *image,
                         float *rows) {
    int c = l->in.channels, size = l->spec.kernel;
    for (int y = 0; y < l->out.height; y++)
        for (int x = 0; x < l->out.width; x++)
            for (int i = 0; i < size; i++)
                for (int j = 0; j < size; j++, rows += c) {
                    ptrdiff_t at = tap_at(l, y, x, i, j);
                    if (at < 0)
                        memset(rows, 0, (size_t)c * sizeof *rows);
                    else
                        memcpy(rows, image + at, (size_t)c * sizeof *rows);
                }
}

void unfold(const struct layer *l, const float *x, int images, float *rows) {
    size_t in = shape_size(l->in);
    size_t size = (size_t)(l->out.height * l->out.width) *
                  (size_t)(l->spec.kernel * l->spec.kernel * l->in.channels);
    for (int n = 0; n < images; n++)
        unfold_image(l, x + (size_t)n * in, rows + (size_t)n * size);
}

void fold(const struct layer *l, const float *rows, float *image) {
    int c = l->in.channels, size = l->spec.kernel;
    memset(image, 0, shape_size(l->in) * sizeof *image);
    for (int y = 0; y < l->out.height; y++)
        for (int x = 0; x < l->out.width; x++)
            for (int i = 0; i < size; i++)
                for (int j = 0; j < size; j++, rows += c) {
                    ptrdiff_t at = tap_at(l, y, x, i, j);
                    for (int ci = 0; at >= 0 && ci < c; ci++)
                        image[at + ci] += rows[ci];
                }
}
