/*
 * simd: one vector of floats, as wide as the file is compiled for.
 *
 *     vec sum = vset(0.0f);
 *     for (; n >= LANES; n -= LANES, x += LANES)
 *         sum = vfma(vload(x), vload(x), sum);
 *     sum = vfma(vload_part(x, n), vload_part(x, n), sum);
 *
 * The same text compiles to 16 lanes with AVX-512, 8 with AVX2 and FMA, and 4
 * for anything else, by GCC's vector extension; intrinsics only where that has
 * no words for it. Only files that are compiled once per instruction set
 * include this (see kernels.h).
 *
 * +, -, *, / and comparisons work on vec as they are; a comparison gives a
 * vec_int of 0 and -1.
 */
#ifndef CONVOY_NN_SIMD_H
#define CONVOY_NN_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#else
#define LANES 4
#endif

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t vec_int __attribute__((vector_size(LANES * 4)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE vec vload(const float *p) {
    typedef float loose __attribute__((vector_size(LANES * 4), aligned(4)));
    return *(const loose *)p;
}

INLINE void vstore(float *p, vec v) {
    typedef float loose __attribute__((vector_size(LANES * 4), aligned(4)));
    *(loose *)p = v;
}

INLINE vec vset(float x) {
#if LANES == 16
    return (vec)_mm512_set1_ps(x);
#elif LANES == 8
    return (vec)_mm256_set1_ps(x);
#else
    return (vec){x, x, x, x};
#endif
}

INLINE vec_int vset_int(int32_t x) {
    return x - (vec_int){0};
}

/* The first n numbers, 0 <= n <= LANES, and zeros; touches nothing beyond. */
INLINE vec vload_part(const float *p, int n) {
    if (n >= LANES)
        return vload(p);
#if LANES == 16
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif LANES == 8
    vec_int mask = (vec_int){0, 1, 2, 3, 4, 5, 6, 7} < vset_int(n);
    return (vec)_mm256_maskload_ps(p, (__m256i)mask);
#else
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
#endif
}

INLINE void vstore_part(float *p, vec v, int n) {
    if (n >= LANES) {
        vstore(p, v);
        return;
    }
#if LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif LANES == 8
    vec_int mask = (vec_int){0, 1, 2, 3, 4, 5, 6, 7} < vset_int(n);
    _mm256_maskstore_ps(p, (__m256i)mask, (__m256)v);
#else
    memcpy(p, &v, (size_t)n * sizeof(float));
#endif
}

/* a * b + c; rounded once where there is an instruction for it. */
INLINE vec vfma(vec a, vec b, vec c) {
#if LANES == 16
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif LANES == 8
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* 1 / x for |x| between 1e-37 and 1e37, within two units of the last place: 512
 * bits take long to divide, so there it is an estimate of 14 bits with one step
 * of Newton's method. */
INLINE vec vreciprocal(vec x) {
#if LANES == 16
    vec r = (vec)_mm512_rcp14_ps((__m512)x);
    return vfma(vfma(-x, r, vset(1.0f)), r, r);
#else
    return vset(1.0f) / x;
#endif
}

INLINE vec vselect(vec_int mask, vec yes, vec no) {
    return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
}

/* The larger and the smaller one; x where x is NaN. */
INLINE vec vmax(vec bound, vec x) {
#if LANES == 16
    return (vec)_mm512_max_ps((__m512)bound, (__m512)x);
#elif LANES == 8
    return (vec)_mm256_max_ps((__m256)bound, (__m256)x);
#else
    return vselect(bound > x, bound, x);
#endif
}

INLINE vec vmin(vec bound, vec x) {
#if LANES == 16
    return (vec)_mm512_min_ps((__m512)bound, (__m512)x);
#elif LANES == 8
    return (vec)_mm256_min_ps((__m256)bound, (__m256)x);
#else
    return vselect(bound < x, bound, x);
#endif
}

INLINE vec vabs(vec x) {
    return (vec)((vec_int)x & vset_int(INT32_MAX));
}

/* x with the sign of s; x must not have one. */
INLINE vec vcopysign(vec x, vec s) {
    return (vec)((vec_int)x | ((vec_int)s & vset_int(INT32_MIN)));
}

INLINE float vsum(vec v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

#endif
