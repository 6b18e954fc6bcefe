/*
 * digest: SHA-256 as text, alone or keyed (HMAC, RFC 2104).
 *
 *     char hex[DIGEST_HEX];
 *     digest_sha256_hex(bytes, size, hex);          one buffer
 *
 *     struct digest *d = digest_open();             several, one after another
 *     digest_add(d, head, head_size);
 *     digest_add(d, body, body_size);
 *     digest_close(d, hex);                         frees d
 *
 * Lower-case hexadecimal, NUL-terminated. libcrypto does the work; it fails
 * only where memory has run out or the library is broken, and then there is no
 * sensible answer, so these abort instead of returning an error.
 */
#ifndef CONVOY_DIGEST_H
#define CONVOY_DIGEST_H

#include <stddef.h>

#define DIGEST_HEX 65 /* 64 digits and the NUL */

void digest_sha256_hex(const void *bytes, size_t size, char hex[DIGEST_HEX]);

void digest_hmac_hex(const void *key, size_t key_size, const void *bytes,
                     size_t size, char hex[DIGEST_HEX]);

struct digest *digest_open(void);
void digest_add(struct digest *digest, const void *bytes, size_t size);
void digest_close(struct digest *digest, char hex[DIGEST_HEX]);

#endif
