/*
 * replay: main() of a harness without libFuzzer. Feeds it each file that is
 * named, whole and cut off at up to CUTS places, so that a compiler with
 * AddressSanitizer alone can test what fuzzing has found, and truncation.
 */
#include "common/file.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

#define FILE_MAX ((size_t)64 << 20)
#define CUTS 64

/* A block of exactly that size: a byte too far is found. */
static void feed(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    MUST(copy);
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    struct err err = {0};
    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *bytes = file_read(argv[i], FILE_MAX, &size, &err);
        if (!bytes) {
            fprintf(stderr, "%s\n", err.text);
            return 2;
        }
        /* Said first, for whoever looks at how it aborted. */
        fprintf(stderr, "%s\n", argv[i]);
        size_t step = size / CUTS + 1;
        for (size_t cut = 0; cut < size; cut += step)
            feed(bytes, cut);
        feed(bytes, size);
        free(bytes);
    }
    return 0;
}
