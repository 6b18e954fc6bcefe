/*
 * fuzz: what every harness of this folder is.
 *
 * A file fuzz_X.c holds one function that feeds the bytes it is given to one
 * parser. Linked with libFuzzer (make fuzz) it is called with bytes that look
 * for new paths; linked with replay.c (tests/fuzz/check) with files.
 *
 * It returns 0, and aborts where something holds that must never hold.
 */
#ifndef CONVOY_TESTS_FUZZ_H
#define CONVOY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
#define MUST(condition) ((condition) ? (void)0 : abort())

/* The bytes as a string, which ends at the first NUL; free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    MUST(text);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    return text;
}

#endif
