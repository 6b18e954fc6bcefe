/*
 * isa: which instruction set the numeric kernels use.
 *
 *     switch (isa_pick()) { case ISA_AVX512: ...
 *
 * The best one that both the processor and this build have, unless the
 * environment says CONVOY_ISA=generic, avx2 or avx512 (to test each, or to rule
 * one out); a value that the processor cannot run, or that is unknown, counts
 * as not set.
 */
#ifndef CONVOY_NN_ISA_H
#define CONVOY_NN_ISA_H

enum isa {
    ISA_GENERIC, /* what the compiler's target has: SSE2 on x86-64 */
    ISA_AVX2,    /* with FMA */
    ISA_AVX512,  /* F, BW, DQ and VL */
};

enum isa isa_pick(void);

const char *isa_name(enum isa isa); /* "avx512" */

#endif
