/*
 * number: numbers of any type that a tensor holds, read and written through
 * one of two carriers.
 *
 *     double x[NUMBER_CHUNK];
 *     number_doubles(x, t->data, t->type, 1, n);      n <= NUMBER_CHUNK
 *     number_put_doubles(t->data, t->type, x, n);
 *
 * float64 carries all floats (and, exactly, integers up to 2^53), int64 all
 * integers and bools. Operators that are not worth a kernel for every type are
 * written once for a carrier.
 *
 * Putting rounds floats to nearest-even; a float put as an integer is
 * truncated towards zero, as NumPy does it, and held in int64's range; an
 * integer that does not fit wraps around.
 */
#ifndef CONVOY_NN_NUMBER_H
#define CONVOY_NN_NUMBER_H

#include "models/nn/tensor.h"

#define NUMBER_CHUNK 256

/* Sets of types, as bits. */
#define TYPE_BIT(type) (1u << (type))
#define TYPES_FLOAT                                                            \
    (TYPE_BIT(NN_FLOAT32) | TYPE_BIT(NN_FLOAT16) | TYPE_BIT(NN_FLOAT64))
#define TYPES_INTEGER                                                          \
    (TYPE_BIT(NN_UINT8) | TYPE_BIT(NN_INT8) | TYPE_BIT(NN_UINT16) |            \
     TYPE_BIT(NN_INT16) | TYPE_BIT(NN_INT32) | TYPE_BIT(NN_INT64))
#define TYPES_NUMBER (TYPES_FLOAT | TYPES_INTEGER)
#define TYPES_BOOL TYPE_BIT(NN_BOOL)
#define TYPES_ALL (TYPES_NUMBER | TYPES_BOOL)

static inline bool type_in(enum nn_type type, unsigned types) {
    return types >> type & 1;
}

/* n numbers that lie `step` numbers apart. */
void number_doubles(double *out, const void *in, enum nn_type type,
                    ptrdiff_t step, size_t n);
void number_ints(int64_t *out, const void *in, enum nn_type type,
                 ptrdiff_t step, size_t n);

/* n numbers side by side. */
void number_put_doubles(void *out, enum nn_type type, const double *in,
                        size_t n);
void number_put_ints(void *out, enum nn_type type, const int64_t *in, size_t n);

/* Converts any number of them, side by side. */
void number_convert(void *out, enum nn_type to, const void *in,
                    enum nn_type from, size_t n);

/* Number i of a tensor. */
double number_at(const struct tensor *t, size_t i);

#endif
