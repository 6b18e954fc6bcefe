#include "common/base64.h"

#include <stdlib.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const uint8_t *bytes, size_t size) {
    if (size > SIZE_MAX / 4 * 3 - 8)
        return NULL;
    char *text = malloc((size + 2) / 3 * 4 + 1), *out = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        size_t have = size - i < 3 ? size - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (have > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2)
            group |= bytes[i + 2];
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = have > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = have > 2 ? alphabet[group & 63] : '=';
    }
    *out = 0;
    return text;
}

static int digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

uint8_t *base64_decode(const char *text, size_t len, size_t *size) {
    if (len % 4)
        return NULL;
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    uint8_t *bytes = malloc(len / 4 * 3 + 1), *out = bytes;
    if (!bytes)
        return NULL;
    uint32_t group = 0;
    int bits = 0;
    for (size_t i = 0; i < len - padding; i++) {
        int value = digit(text[i]);
        if (value < 0)
            goto malformed;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(group >> bits);
            group &= (1u << bits) - 1;
        }
    }
    if (group) /* bits that belong to no byte */
        goto malformed;
    *size = (size_t)(out - bytes);
    return bytes;
malformed:
    free(bytes);
    return NULL;
}
