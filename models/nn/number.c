#include "models/nn/number.h"

#include <string.h>

static int64_t int_of_double(double x) {
    if (x >= 0x1p63)
        return INT64_MAX;
    if (x < -0x1p63)
        return INT64_MIN;
    return x == x ? (int64_t)x : 0;
}

/* The four functions of one C type. OF_DOUBLE turns a double into it. */
#define ACCESS(name, type, of_double)                                          \
    static void name##_doubles(double *out, const void *in, ptrdiff_t step,    \
                               size_t n) {                                     \
        const type *x = in;                                                    \
        for (size_t i = 0; i < n; i++)                                         \
            out[i] = (double)x[(ptrdiff_t)i * step];                           \
    }                                                                          \
    static void name##_ints(int64_t *out, const void *in, ptrdiff_t step,      \
                            size_t n) {                                        \
        const type *x = in;                                                    \
        for (size_t i = 0; i < n; i++)                                         \
            out[i] = (int64_t)x[(ptrdiff_t)i * step];                          \
    }                                                                          \
    static void name##_put_doubles(void *out, const double *in, size_t n) {    \
        type *x = out;                                                         \
        for (size_t i = 0; i < n; i++)                                         \
            x[i] = (type)of_double(in[i]);                                     \
    }                                                                          \
    static void name##_put_ints(void *out, const int64_t *in, size_t n) {      \
        type *x = out;                                                         \
        for (size_t i = 0; i < n; i++)                                         \
            x[i] = (type)in[i];                                                \
    }
#define SAME(x) (x)

ACCESS(float32, float, SAME)
ACCESS(float64, double, SAME)
ACCESS(float16, _Float16, SAME)
ACCESS(uint8, uint8_t, int_of_double)
ACCESS(int8, int8_t, int_of_double)
ACCESS(uint16, uint16_t, int_of_double)
ACCESS(int16, int16_t, int_of_double)
ACCESS(int32, int32_t, int_of_double)
ACCESS(int64, int64_t, int_of_double)
ACCESS(boolean, bool, SAME)

struct access {
    void (*doubles)(double *out, const void *in, ptrdiff_t step, size_t n);
    void (*ints)(int64_t *out, const void *in, ptrdiff_t step, size_t n);
    void (*put_doubles)(void *out, const double *in, size_t n);
    void (*put_ints)(void *out, const int64_t *in, size_t n);
};
#define ROW(name)                                                              \
    { name##_doubles, name##_ints, name##_put_doubles, name##_put_ints }

static const struct access access_of[] = {
    [NN_FLOAT32] = ROW(float32), [NN_FLOAT64] = ROW(float64),
    [NN_FLOAT16] = ROW(float16), [NN_UINT8] = ROW(uint8),
    [NN_INT8] = ROW(int8),       [NN_UINT16] = ROW(uint16),
    [NN_INT16] = ROW(int16),     [NN_INT32] = ROW(int32),
    [NN_INT64] = ROW(int64),     [NN_BOOL] = ROW(boolean),
};

void number_doubles(double *out, const void *in, enum nn_type type,
                    ptrdiff_t step, size_t n) {
    access_of[type].doubles(out, in, step, n);
}

void number_ints(int64_t *out, const void *in, enum nn_type type,
                 ptrdiff_t step, size_t n) {
    access_of[type].ints(out, in, step, n);
}

void number_put_doubles(void *out, enum nn_type type, const double *in,
                        size_t n) {
    access_of[type].put_doubles(out, in, n);
}

void number_put_ints(void *out, enum nn_type type, const int64_t *in,
                     size_t n) {
    access_of[type].put_ints(out, in, n);
}

void number_convert(void *out, enum nn_type to, const void *in,
                    enum nn_type from, size_t n) {
    const bool integers = type_in(from, TYPES_INTEGER | TYPES_BOOL) &&
                          type_in(to, TYPES_INTEGER | TYPES_BOOL);
    char *o = out;
    const char *x = in;

    if (to == from) {
        memcpy(out, in, n * type_size(to));
        return;
    }
    for (size_t at = 0; at < n; at += NUMBER_CHUNK) {
        const size_t m = n - at < NUMBER_CHUNK ? n - at : NUMBER_CHUNK;
        union {
            double doubles[NUMBER_CHUNK];
            int64_t ints[NUMBER_CHUNK];
        } carrier;
        if (integers) {
            number_ints(carrier.ints, x + at * type_size(from), from, 1, m);
            number_put_ints(o + at * type_size(to), to, carrier.ints, m);
        } else {
            number_doubles(carrier.doubles, x + at * type_size(from), from, 1,
                           m);
            number_put_doubles(o + at * type_size(to), to, carrier.doubles, m);
        }
    }
}

double number_at(const struct tensor *t, size_t i) {
    double x;
    number_doubles(&x, (const char *)t->data + i * type_size(t->type), t->type,
                   1, 1);
    return x;
}
