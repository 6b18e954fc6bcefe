#include "models/train/unfold.h"

#include <string.h>

/* One image (H, W, C) -> rows (out H * out W, KH*KW*C). */
static void unfold_image(const struct layer *l, const float *image,
                         float *rows) {
    int c = l->in.channels, size = l->spec.kernel;
    for (int y = 0; y < l->out.height; y++)
        for (int x = 0; x < l->out.width; x++)
            for (int i = 0; i < size; i++)
                for (int j = 0; j < size; j++, rows += c) {
                    int sy = y * l->spec.stride - l->spec.padding + i;
                    int sx = x * l->spec.stride - l->spec.padding + j;
                    if (sy < 0 || sy >= l->in.height || sx < 0 ||
                        sx >= l->in.width)
                        memset(rows, 0, (size_t)c * sizeof *rows);
                    else
                        memcpy(rows,
                               image +
                                   (size_t)(sy * l->in.width + sx) * (size_t)c,
                               (size_t)c * sizeof *rows);
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
                    int sy = y * l->spec.stride - l->spec.padding + i;
                    int sx = x * l->spec.stride - l->spec.padding + j;
                    if (sy < 0 || sy >= l->in.height || sx < 0 ||
                        sx >= l->in.width)
                        continue;
                    float *to =
                        image + (size_t)(sy * l->in.width + sx) * (size_t)c;
                    for (int ci = 0; ci < c; ci++)
                        to[ci] += rows[ci];
                }
}
