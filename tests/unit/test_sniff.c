#include "common/sniff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* First bytes as file(1)'s magic and the formats' own specifications have. */
static const struct {
    const char *bytes;
    size_t size;
    const char *format;
} samples[] = {
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "png"},
    {"\xff\xd8\xff\xe0\0\x10JFIF", 10, "jpeg"},
    {"\xff\xd8\xff\xe1\0\x10"
     "Exif",
     10, "jpeg"},
    {"GIF87a\1\0\1\0", 10, "gif"},
    {"GIF89a\1\0\1\0", 10, "gif"},
    {"RIFF\x24\0\0\0WEBPVP8 ", 16, "webp"},
    {"BM\x36\x0c\0\0\0\0\0\0\x36\0\0\0", 14, "bmp"},
};

static void sniff_knows_what_is_served(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        assert_string_equal(sniff_image(samples[i].bytes, samples[i].size),
                            samples[i].format);
}

static void sniff_refuses_the_rest(void **state) {
    (void)state;
    const struct {
        const char *bytes;
        size_t size;
    } others[] = {
        {"", 0},
        {"BMW is a car maker", 18},
        {"RIFF\x24\0\0\0WAVEfmt ", 16},
        {"%PDF-1.7", 8},
        {"GIF88a", 6},
        {"<svg xmlns=", 11},
        {"\x89PNG\n\x1a\n\0", 8}, /* went through text mode */
        {"II*\0\x08\0\0\0", 8},
        {"\0\0\0\x1c"
         "ftypavif",
         12},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(sniff_image(others[i].bytes, others[i].size));
}

/* Copies of exactly the size, so that a sanitizer sees a byte too far. */
static void sniff_never_reads_past_the_end(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (size_t size = 0; size <= samples[i].size; size++) {
            char *copy = malloc(size ? size : 1);
            memcpy(copy, samples[i].bytes, size);
            const char *format = sniff_image(copy, size);
            assert_true(!format || strcmp(format, samples[i].format) == 0);
            free(copy);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sniff_knows_what_is_served),
        cmocka_unit_test(sniff_refuses_the_rest),
        cmocka_unit_test(sniff_never_reads_past_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
