#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4648, section 10. */
static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void base64_gives_the_published_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const char *plain = vectors[i][0], *coded = vectors[i][1];
        char *text = base64_encode((const uint8_t *)plain, strlen(plain));
        assert_string_equal(text, coded);
        size_t size = 99;
        uint8_t *bytes = base64_decode(coded, strlen(coded), &size);
        assert_non_null(bytes);
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(bytes, plain, size);
        free(text);
        free(bytes);
    }
}

static void base64_takes_every_byte(void **state) {
    (void)state;
    uint8_t all[256];
    size_t size;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)(255 - i);
    char *text = base64_encode(all, sizeof all);
    uint8_t *bytes = base64_decode(text, strlen(text), &size);
    assert_int_equal(size, sizeof all);
    assert_memory_equal(bytes, all, sizeof all);
    free(text);
    free(bytes);
}

static void base64_refuses_what_is_malformed(void **state) {
    (void)state;
    const char *const bad[] = {"Zg=",  "Zg",   "Z===",     "====", "Zm9v\n",
                               "Zh==", "Zm9=", "Zg==Zg==", "Zm-_", "Z g="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size;
        uint8_t *bytes = base64_decode(bad[i], strlen(bad[i]), &size);
        if (bytes)
            fail_msg("accepted: %s", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_gives_the_published_vectors),
        cmocka_unit_test(base64_takes_every_byte),
        cmocka_unit_test(base64_refuses_what_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
