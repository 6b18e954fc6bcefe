#include "common/digest.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* A `struct digest` is libcrypto's context under a name of our own, so that
 * callers need no OpenSSL header. */
static EVP_MD_CTX *context(struct digest *digest) {
    return (EVP_MD_CTX *)digest;
}

static void must(int ok) {
    if (!ok) {
        fputs("libcrypto: SHA-256 failed\n", stderr);
        abort();
    }
}

struct digest *digest_open(void) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(ctx != NULL);
    must(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
    return (struct digest *)ctx;
}

void digest_add(struct digest *digest, const void *bytes, size_t size) {
    must(EVP_DigestUpdate(context(digest), bytes, size));
}

static void write_hex(const unsigned char sum[32], char hex[DIGEST_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[DIGEST_HEX - 1] = 0;
}

void digest_close(struct digest *digest, char hex[DIGEST_HEX]) {
    unsigned char sum[32];
    must(EVP_DigestFinal_ex(context(digest), sum, NULL));
    EVP_MD_CTX_free(context(digest));
    write_hex(sum, hex);
}

void digest_hmac_hex(const void *key, size_t key_size, const void *bytes,
                     size_t size, char hex[DIGEST_HEX]) {
    unsigned char sum[32];
    must(key_size <= INT_MAX);
    must(HMAC(EVP_sha256(), key, (int)key_size, bytes, size, sum, NULL) !=
         NULL);
    write_hex(sum, hex);
}

void digest_sha256_hex(const void *bytes, size_t size, char hex[DIGEST_HEX]) {
    struct digest *digest = digest_open();
    digest_add(digest, bytes, size);
    digest_close(digest, hex);
}
