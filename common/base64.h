/*
 * base64: RFC 4648, the standard alphabet, with padding, no line breaks.
 *
 *     char *text = base64_encode(bytes, size);        NUL-terminated; free()
 *     uint8_t *bytes = base64_decode(text, len, &size);     NULL: malformed
 *
 * The decoder is strict: a length that is no multiple of four, a foreign
 * character, or bits left over after the last byte are malformed.
 */
#ifndef CONVOY_BASE64_H
#define CONVOY_BASE64_H

#include <stddef.h>
#include <stdint.h>

char *base64_encode(const uint8_t *bytes, size_t size);
uint8_t *base64_decode(const char *text, size_t len, size_t *size);

#endif
