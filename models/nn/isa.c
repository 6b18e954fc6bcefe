#include "models/nn/isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [ISA_GENERIC] = "generic",
    [ISA_AVX2] = "avx2",
    [ISA_AVX512] = "avx512",
};

const char *isa_name(enum isa isa) {
    return names[isa];
}

static bool runs(enum isa isa) {
#if defined(__x86_64__)
    if (isa == ISA_AVX512)
        return __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    if (isa == ISA_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa == ISA_GENERIC;
}

enum isa isa_pick(void) {
    const char *wish = getenv("CONVOY_ISA");
    for (int i = ISA_AVX512; wish && i >= ISA_GENERIC; i--)
        if (strcmp(wish, names[i]) == 0 && runs((enum isa)i))
            return (enum isa)i;
    for (int i = ISA_AVX512; i > ISA_GENERIC; i--)
        if (runs((enum isa)i))
            return (enum isa)i;
    return ISA_GENERIC;
}
