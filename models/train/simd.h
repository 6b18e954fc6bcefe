/*
 * simd: sixteen floats at a time, and the instruction sets they compile to.
 *
 * A function marked SIMD_CLONES is compiled for plain x86-64, for AVX2 and for
 * AVX-512, and the one that fits the machine is picked when the program starts.
 * `struct` or by-value use of `vec` across functions is avoided: its calling
 * convention differs between instruction sets.
 */
#ifndef CONVOY_TRAIN_SIMD_H
#define CONVOY_TRAIN_SIMD_H

#include <string.h>

#define SIMD_LANES 16

/* Unaligned on purpose: channels start anywhere. */
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef unsigned char vec_byte
    __attribute__((vector_size(16), aligned(1), may_alias));
typedef int vec_int __attribute__((vector_size(64), aligned(4), may_alias));

/* Sanitized code is checked once and as it stands: to compile it for all, with
 * its loops unrolled, takes minutes. */
#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define SIMD_SANITIZED
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define SIMD_SANITIZED
#endif
#endif

#if defined(__x86_64__) && !defined(SIMD_SANITIZED)
#define SIMD_CLONES                                                            \
    __attribute__((target_clones("default", "arch=haswell", "avx512f")))
#else
#define SIMD_CLONES
#endif

#define SIMD_INLINE static inline __attribute__((always_inline))

/* Before a loop of few turns, whose number is known to the compiler. */
#ifdef SIMD_SANITIZED
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
