#include "models/nn/window.h"

#include <string.h>

enum auto_pad { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

static int auto_pad(const struct op_call *call, enum auto_pad *pad,
                    struct err *err) {
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER",
                                        "SAME_LOWER"};
    const char *given = node_string(call->node, "auto_pad", "NOTSET");
    for (*pad = PAD_NOTSET; *pad <= PAD_SAME_LOWER; (*pad)++)
        if (strcmp(given, names[*pad]) == 0)
            return 0;
    return err_set(err, "%s's auto_pad %s is not supported",
                   call->node->op_type, given);
}

/* `count` numbers of least..int32, or `otherwise` for all where there are none.
 */
static int sizes(const struct op_call *call, const char *name, int count,
                 int64_t least, int64_t otherwise, int64_t *out,
                 struct err *err) {
    const int64_t *given;
    const int n = node_ints(call->node, name, &given);
    if (n != 0 && n != count)
        return err_set(err, "%s has %d %s instead of %d", call->node->op_type,
                       n, name, count);
    for (int i = 0; i < count; i++) {
        out[i] = n ? given[i] : otherwise;
        if (out[i] < least || out[i] > INT32_MAX)
            return err_set(err, "%s with %lld in its %s is not supported",
                           call->node->op_type, (long long)out[i], name);
    }
    return 0;
}

/* Everything but the padding that auto_pad chooses and what is `out`. */
static int read_window(const struct op_call *call, const int64_t *kernel,
                       struct window *w, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const char *name = call->node->op_type;
    int64_t pads[2 * WINDOW_AXES_MAX];

    *w = (struct window){.axes = x->rank - 2};
    if (w->axes < 1)
        return err_set(err, "%s of rank %d is not supported", name, x->rank);
    if (!kernel && !node_attribute(call->node, "kernel_shape"))
        return err_set(err, "%s without a kernel_shape", name);
    if (sizes(call, "kernel_shape", w->axes, 1, 1, w->kernel, err) < 0 ||
        sizes(call, "strides", w->axes, 1, 1, w->stride, err) < 0 ||
        sizes(call, "dilations", w->axes, 1, 1, w->dilation, err) < 0 ||
        sizes(call, "pads", 2 * w->axes, 0, 0, pads, err) < 0)
        return -1;
    for (int i = 0; i < w->axes; i++) {
        w->in[i] = x->dims[2 + i];
        w->before[i] = pads[i];
        w->after[i] = pads[w->axes + i];
        if (w->in[i] < 1 || w->in[i] > INT32_MAX)
            return err_set(err, "%s of an axis of %lld is not supported", name,
                           (long long)w->in[i]);
        if (!kernel)
            continue;
        if (node_attribute(call->node, "kernel_shape") &&
            kernel[i] != w->kernel[i])
            return err_set(err, "%s's kernel_shape differs from its weights",
                           name);
        w->kernel[i] = kernel[i];
        if (kernel[i] < 1 || kernel[i] > INT32_MAX)
            return err_set(err, "%s with a kernel of %lld is not supported",
                           name, (long long)kernel[i]);
    }
    return 0;
}

/* Numbers that a window reaches over. */
static int64_t extent(const struct window *w, int i) {
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

static void share_padding(struct window *w, int i, enum auto_pad pad,
                          int64_t total) {
    total = total < 0 ? 0 : total;
    w->before[i] = pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->after[i] = total - w->before[i];
}

/* With ceil_mode a last window that is only partly inside counts, but not one
 * that would begin in the padding behind. */
static int64_t window_count(const struct window *w, int i, bool ceil_mode) {
    const int64_t room = w->in[i] + w->before[i] + w->after[i] - extent(w, i);
    if (room < 0)
        return 0;
    int64_t count = room / w->stride[i] + 1;
    if (ceil_mode && room % w->stride[i] != 0 &&
        count * w->stride[i] < w->in[i] + w->before[i])
        count++;
    return count;
}

int window_of(const struct op_call *call, const int64_t *kernel,
              struct window *w, struct err *err) {
    const bool ceil_mode = node_int(call->node, "ceil_mode", 0) != 0;
    enum auto_pad pad;

    if (auto_pad(call, &pad, err) < 0 || read_window(call, kernel, w, err) < 0)
        return -1;
    for (int i = 0; i < w->axes; i++) {
        if (pad == PAD_VALID)
            w->before[i] = w->after[i] = 0;
        if (pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER) {
            w->out[i] = (w->in[i] - 1) / w->stride[i] + 1;
            share_padding(w, i, pad,
                          (w->out[i] - 1) * w->stride[i] + extent(w, i) -
                              w->in[i]);
        } else {
            w->out[i] = window_count(w, i, ceil_mode);
        }
        if (w->out[i] < 1 || w->out[i] > INT32_MAX ||
            w->before[i] > INT32_MAX || w->after[i] > INT32_MAX)
            return err_set(err,
                           "%s: a window of %lld does not fit into %lld with "
                           "padding %lld and %lld",
                           call->node->op_type, (long long)extent(w, i),
                           (long long)w->in[i], (long long)w->before[i],
                           (long long)w->after[i]);
    }
    return 0;
}

int window_global(const struct op_call *call, struct window *w,
                  struct err *err) {
    const struct tensor *x = call->inputs[0];
    *w = (struct window){.axes = x->rank - 2};
    if (w->axes < 1)
        return err_set(err, "%s of rank %d is not supported",
                       call->node->op_type, x->rank);
    for (int i = 0; i < w->axes; i++) {
        if (x->dims[2 + i] < 1)
            return err_set(err, "%s of nothing", call->node->op_type);
        w->in[i] = w->kernel[i] = x->dims[2 + i];
        w->stride[i] = w->dilation[i] = w->out[i] = 1;
    }
    return 0;
}

int window_transposed(const struct op_call *call, const int64_t *kernel,
                      struct window *w, struct err *err) {
    const struct node *node = call->node;
    const bool sized = node_attribute(node, "output_shape") != NULL;
    int64_t more[WINDOW_AXES_MAX], shape[WINDOW_AXES_MAX];
    enum auto_pad pad;

    if (auto_pad(call, &pad, err) < 0 ||
        read_window(call, kernel, w, err) < 0 ||
        sizes(call, "output_padding", w->axes, 0, 0, more, err) < 0 ||
        sizes(call, "output_shape", w->axes, 1, 1, shape, err) < 0)
        return -1;
    const bool same = pad == PAD_SAME_UPPER || pad == PAD_SAME_LOWER;
    for (int i = 0; i < w->axes; i++) {
        w->out[i] = w->in[i];
        if (pad == PAD_VALID)
            w->before[i] = w->after[i] = 0;
        const int64_t whole =
            w->stride[i] * (w->in[i] - 1) + more[i] + extent(w, i);
        if (sized || same) {
            w->in[i] = sized ? shape[i] : w->in[i] * w->stride[i];
            /* The specification halves the other way round here. */
            share_padding(
                w, i, pad == PAD_SAME_UPPER ? PAD_SAME_UPPER : PAD_SAME_LOWER,
                whole - w->in[i]);
        } else {
            w->in[i] = whole - w->before[i] - w->after[i];
        }
        if (w->in[i] < 1 || w->in[i] > INT32_MAX)
            return err_set(err, "%s gives an axis of %lld", node->op_type,
                           (long long)w->in[i]);
    }
    return 0;
}

ptrdiff_t window_offset(const struct window *w, const int64_t *out,
                        const int64_t *k) {
    ptrdiff_t offset = 0;
    for (int i = 0; i < w->axes; i++) {
        const int64_t at =
            out[i] * w->stride[i] - w->before[i] + k[i] * w->dilation[i];
        if (at < 0 || at >= w->in[i])
            return -1;
        offset = offset * w->in[i] + at;
    }
    return offset;
}
