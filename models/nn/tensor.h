/*
 * tensor: a typed block of numbers with its shape.
 *
 *     int64_t dims[] = {1, 3, 32, 32};
 *     struct tensor t;
 *     if (tensor_make(&t, NN_FLOAT32, 4, dims, &err) < 0) ...
 *     float *x = t.data;
 *     tensor_free(&t);
 *
 * Channels last, the pixels may be a part of those of a wider tensor, `pitch`
 * floats from one to the next; only steps that say so get such tensors
 * (plan.h).
 *
 * dims are always in the order of ONNX, (N, C, H, W) for images; `layout` says
 * how the numbers lie in memory. A tensor of rank 0 is a scalar. The data
 * belong to whoever made them: tensor_make() allocates (64 bytes aligned),
 * otherwise a tensor is a view.
 */
#ifndef CONVOY_NN_TENSOR_H
#define CONVOY_NN_TENSOR_H

#include "models/nn/nn.h"

#include <string.h>

#define TENSOR_ALIGN 64
#define TENSOR_BYTES_MAX ((size_t)1 << 40)

enum layout {
    LAYOUT_PLAIN,         /* row-major in the order of dims */
    LAYOUT_CHANNELS_LAST, /* rank 4: (N, H, W, C) in memory */
};

struct tensor {
    enum nn_type type;
    enum layout layout;
    int rank;
    int64_t dims[NN_MAX_RANK];
    void *data;    /* NULL: only the shape is known */
    int64_t pitch; /* 0: everything lies without gaps */
    /* The numbers lie in a mapped file, at any address: only tensor_float()
     * and memcpy() read them. Only weights that steps pack are left so. */
    bool in_file;
};

/* Number i of float32 numbers that need not be aligned. */
static inline float tensor_float(const void *numbers, size_t i) {
    float number;
    memcpy(&number, (const char *)numbers + i * sizeof number, sizeof number);
    return number;
}

/* Bytes of one number; 0 for a type that the engine does not hold. */
size_t type_size(enum nn_type type);
const char *type_name(enum nn_type type); /* "float32", as numpy says it */

/* Numbers in it: the product of dims. */
size_t tensor_count(const struct tensor *t);
size_t tensor_bytes(const struct tensor *t);
size_t dims_count(const int64_t *dims, int rank);

/* Checks rank, dims (>= 0) and the size against overflow, then allocates
 * zeros. */
int tensor_make(struct tensor *t, enum nn_type type, int rank,
                const int64_t *dims, struct err *err);
/* Its data, unless they lie in a file; the struct is zeroed. */
void tensor_free(struct tensor *t);

/* Takes whole pages of a mapped file out of memory, until they are read. */
void tensor_give_back(const void *file, size_t bytes);

bool tensor_same_shape(const struct tensor *a, const struct tensor *b);

/* "float32 [1, 3, 32, 32]" */
const char *tensor_text(const struct tensor *t, char *text, size_t size);

#endif
