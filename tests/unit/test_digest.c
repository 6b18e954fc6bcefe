#include "common/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-2, appendix B: the empty message, "abc", and 448 bits. */
static const struct {
    const char *text;
    size_t size;
    const char *hex;
} vectors[] = {
    {"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 3,
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void digest_gives_the_published_vectors(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char hex[DIGEST_HEX];
        digest_sha256_hex(vectors[i].text, vectors[i].size, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void digest_of_pieces_is_that_of_the_whole(void **state) {
    (void)state;
    for (size_t cut = 0; cut <= vectors[2].size; cut++) {
        char hex[DIGEST_HEX];
        struct digest *digest = digest_open();
        digest_add(digest, vectors[2].text, cut);
        digest_add(digest, vectors[2].text + cut, vectors[2].size - cut);
        digest_close(digest, hex);
        assert_string_equal(hex, vectors[2].hex);
    }
}

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
static void digest_hmac_gives_the_published_vectors(void **state) {
    (void)state;
    static const struct {
        int byte; /* the key is so many of these, or the text */
        size_t count;
        const char *key, *text, *hex;
    } rows[] = {
        {0x0b, 20, NULL, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 4, "Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, 131, NULL,
         "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[131], hex[DIGEST_HEX];
        if (rows[i].key)
            memcpy(key, rows[i].key, rows[i].count);
        else
            memset(key, rows[i].byte, rows[i].count);
        digest_hmac_hex(key, rows[i].count, rows[i].text, strlen(rows[i].text),
                        hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_gives_the_published_vectors),
        cmocka_unit_test(digest_of_pieces_is_that_of_the_whole),
        cmocka_unit_test(digest_hmac_gives_the_published_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
