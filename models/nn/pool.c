#include "models/nn/pool.h"

#include "models/nn/kernels/kernels.h"

int pool_out_size(int size, int kernel, int stride, int dilation,
                  int pad_before, int pad_after, bool ceil_mode) {
    long long room = (long long)size + pad_before + pad_after -
                     ((long long)kernel - 1) * dilation - 1;
    if (room < 0)
        return 0;
    long long count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= (long long)size + pad_before)
        count--;
    return (int)count;
}

void pool_max(const struct pool_shape *shape, int batch, const float *x,
              float *y) {
    kernels_for(isa_pick())->pool_max(shape, batch, x, y);
}

void pool_max_bytes(const struct pool_shape *shape, int batch, bool is_signed,
                    const void *x, void *y) {
    kernels_for(isa_pick())->pool_max_bytes(shape, batch, is_signed, x, y);
}

void pool_average(const struct pool_shape *shape, int batch, const float *x,
                  float *y) {
    kernels_for(isa_pick())->pool_average(shape, batch, x, y);
}

static struct pool_shape whole(int pixels, int channels) {
    return (struct pool_shape){.channels = channels,
                               .height = 1,
                               .width = pixels,
                               .kernel = {1, pixels},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .out_height = 1,
                               .out_width = 1};
}

void pool_global_average(int batch, int pixels, int channels, const float *x,
                         float *y) {
    struct pool_shape shape = whole(pixels, channels);
    pool_average(&shape, batch, x, y);
}

void pool_global_max(int batch, int pixels, int channels, const float *x,
                     float *y) {
    struct pool_shape shape = whole(pixels, channels);
    pool_max(&shape, batch, x, y);
}
