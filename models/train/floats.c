#include "models/train/floats.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

float *floats_new(size_t count) {
    size_t size = count * sizeof(float);
    void *memory = NULL;
    if (size < HUGE_PAGE)
        return malloc(size);
    size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (posix_memalign(&memory, HUGE_PAGE, size))
        return NULL;
    madvise(memory, size, MADV_HUGEPAGE); /* where not: small ones do as well */
    return memory;
}
