#include "models/nn/strided.h"

#include <string.h>

bool dims_step(int64_t *at, const int64_t *dims, int rank) {
    for (int i = rank - 1; i >= 0; i--) {
        if (++at[i] < dims[i])
            return true;
        at[i] = 0;
    }
    return false;
}

void strided_of_dims(ptrdiff_t *strides, const int64_t *dims, int rank) {
    ptrdiff_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

void strided_of_tensor(ptrdiff_t *strides, const struct tensor *t) {
    if (t->layout == LAYOUT_CHANNELS_LAST) {
        strides[0] = t->dims[1] * t->dims[2] * t->dims[3];
        strides[1] = 1;
        strides[2] = t->dims[1] * t->dims[3];
        strides[3] = t->dims[1];
    } else {
        strided_of_dims(strides, t->dims, t->rank);
    }
}

void strided_shape(struct strided *s, const struct tensor *out) {
    s->rank = out->rank;
    s->tensors = 0;
    memcpy(s->dims, out->dims, (size_t)out->rank * sizeof *out->dims);
    strided_broadcast(s, out);
}

void strided_broadcast(struct strided *s, const struct tensor *t) {
    ptrdiff_t own[NN_MAX_RANK];
    ptrdiff_t *strides = s->strides[s->tensors++];
    const int missing = s->rank - t->rank;

    strided_of_tensor(own, t);
    for (int i = 0; i < s->rank; i++)
        strides[i] =
            i < missing || t->dims[i - missing] == 1 ? 0 : own[i - missing];
}

static void move_axis(struct strided *s, int to, int from) {
    s->dims[to] = s->dims[from];
    for (int t = 0; t < s->tensors; t++)
        s->strides[t][to] = s->strides[t][from];
}

/* Axes of one drop out; the others come into the memory order of tensor 0. */
static void sort_axes(struct strided *s) {
    int kept = 0;
    for (int i = 0; i < s->rank; i++) {
        if (s->dims[i] == 1)
            continue;
        const int64_t dim = s->dims[i];
        ptrdiff_t strides[STRIDED_TENSORS];
        for (int t = 0; t < s->tensors; t++)
            strides[t] = s->strides[t][i];
        int at = kept++;
        for (; at > 0 && s->strides[0][at - 1] < strides[0]; at--)
            move_axis(s, at, at - 1);
        s->dims[at] = dim;
        for (int t = 0; t < s->tensors; t++)
            s->strides[t][at] = strides[t];
    }
    s->rank = kept;
}

static bool joins(const struct strided *s, int outer, int inner) {
    for (int t = 0; t < s->tensors; t++)
        if (s->strides[t][outer] != s->strides[t][inner] * s->dims[inner])
            return false;
    return true;
}

static void join_axes(struct strided *s) {
    int kept = 0;
    for (int i = 0; i < s->rank; i++) {
        const int64_t dim = s->dims[i];
        if (kept > 0 && joins(s, kept - 1, i)) {
            const int64_t outer = s->dims[kept - 1];
            move_axis(s, kept - 1, i);
            s->dims[kept - 1] = outer * dim;
        } else {
            move_axis(s, kept++, i);
        }
    }
    s->rank = kept;
}

void strided_begin(struct strided *s) {
    sort_axes(s);
    join_axes(s);
    s->more = dims_count(s->dims, s->rank) > 0;
    const int last = s->rank - 1;
    s->row = last < 0 ? 1 : (size_t)s->dims[last];
    for (int t = 0; t < s->tensors; t++) {
        s->step[t] = last < 0 ? 1 : s->strides[t][last];
        s->offset[t] = 0;
    }
    memset(s->index, 0, sizeof s->index);
}

void strided_next(struct strided *s) {
    for (int i = s->rank - 2; i >= 0; i--) {
        const bool carry = ++s->index[i] == s->dims[i];
        for (int t = 0; t < s->tensors; t++)
            s->offset[t] +=
                carry ? s->strides[t][i] * (1 - s->dims[i]) : s->strides[t][i];
        if (!carry)
            return;
        s->index[i] = 0;
    }
    s->more = false;
}

static void copy_row(size_t size, size_t n, char *out, ptrdiff_t out_step,
                     const char *in, ptrdiff_t in_step) {
    if (out_step == 1 && in_step == 1) {
        memcpy(out, in, n * size);
        return;
    }
    if (size == 4) { /* float32, nearly always: let it become plain moves */
        for (size_t i = 0; i < n; i++)
            memcpy(out + (ptrdiff_t)i * out_step * 4,
                   in + (ptrdiff_t)i * in_step * 4, 4);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(out + (ptrdiff_t)(i * size) * out_step,
               in + (ptrdiff_t)(i * size) * in_step, size);
}

void strided_copy(size_t size, int rank, const int64_t *dims, void *out,
                  const ptrdiff_t *out_strides, const void *in,
                  const ptrdiff_t *in_strides) {
    struct strided s;
    s.rank = rank;
    s.tensors = 2;
    memcpy(s.dims, dims, (size_t)rank * sizeof *dims);
    memcpy(s.strides[0], out_strides, (size_t)rank * sizeof *out_strides);
    memcpy(s.strides[1], in_strides, (size_t)rank * sizeof *in_strides);
    for (strided_begin(&s); s.more; strided_next(&s))
        copy_row(size, s.row, (char *)out + s.offset[0] * (ptrdiff_t)size,
                 s.step[0], (const char *)in + s.offset[1] * (ptrdiff_t)size,
                 s.step[1]);
}
