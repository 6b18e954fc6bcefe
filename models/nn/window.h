/*
 * window: where the windows of a convolution or pooling lie, in any number of
 * spatial axes.
 *
 *     struct window w;
 *     if (window_of(call, kernel, &w, &err) < 0) ...
 *     w.axes == 2: w.kernel, w.stride, w.dilation, w.before (top, left),
 *     w.after (bottom, right), w.out (rows, columns)
 *
 * It reads the node's kernel_shape, strides, dilations, pads, auto_pad and
 * ceil_mode. Every number is checked and within int32.
 */
#ifndef CONVOY_NN_WINDOW_H
#define CONVOY_NN_WINDOW_H

#include "models/nn/op.h"

#define WINDOW_AXES_MAX (NN_MAX_RANK - 2)

struct window {
    int axes;
    int64_t in[WINDOW_AXES_MAX], kernel[WINDOW_AXES_MAX];
    int64_t stride[WINDOW_AXES_MAX], dilation[WINDOW_AXES_MAX];
    int64_t before[WINDOW_AXES_MAX], after[WINDOW_AXES_MAX]; /* padding */
    int64_t out[WINDOW_AXES_MAX];
};

/* The windows over input 0, (N, C, spatial axes...). kernel: its sizes where
 * the weights give them (kernel_shape has to agree), or NULL. */
int window_of(const struct op_call *call, const int64_t *kernel,
              struct window *w, struct err *err);

/* One window over the whole of input 0. */
int window_global(const struct op_call *call, struct window *w,
                  struct err *err);

/* For a transposed convolution: windows over the *output* (w->in), one for each
 * number of input 0 (w->out). */
int window_transposed(const struct op_call *call, const int64_t *kernel,
                      struct window *w, struct err *err);

/* Offset in a plane of w->in, in the plain layout, of kernel position k of the
 * window at `out`; -1 where that is padding. */
ptrdiff_t window_offset(const struct window *w, const int64_t *out,
                        const int64_t *k);

#endif
