#include "common/png.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define CHUNK 12 /* length, name and checksum around the data */

static uint8_t *put_u32(uint8_t *out, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        *out++ = (uint8_t)(value >> shift);
    return out;
}

/* Length, name, what already lies at out + 8, and its checksum. */
static uint8_t *close_chunk(uint8_t *out, const char *name, size_t size) {
    put_u32(out, (uint32_t)size);
    memcpy(out + 4, name, 4);
    uLong crc = crc32(0, out + 4, (uInt)size + 4);
    return put_u32(out + 8 + size, (uint32_t)crc);
}

/* Each row behind a filter byte; 1 stores differences to the pixel on the
 * left, which pack better. */
static void filter_rows(const uint8_t *pixels, size_t height, size_t stride,
                        size_t channels, uint8_t *rows) {
    for (size_t y = 0; y < height; y++, pixels += stride) {
        *rows++ = 1;
        for (size_t i = 0; i < stride; i++)
            *rows++ = (uint8_t)(pixels[i] -
                                (i < channels ? 0 : pixels[i - channels]));
    }
}

uint8_t *png_encode(const uint8_t *pixels, int width, int height, int channels,
                    size_t *size) {
    size_t stride = (size_t)width * (size_t)channels;
    uLong plain = (uLong)height * (1 + stride);
    uLongf packed = compressBound(plain);
    uint8_t *rows = malloc(plain);
    uint8_t *png = malloc(8 + CHUNK + 13 + CHUNK + packed + CHUNK), *out = png;
    if (!rows || !png)
        goto fail;
    filter_rows(pixels, (size_t)height, stride, (size_t)channels, rows);
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    out += 8;
    put_u32(out + 8, (uint32_t)width);
    put_u32(out + 12, (uint32_t)height);
    memcpy(out + 16, "\x08\x02\0\0\0", 5); /* 8 bits, RGB, not interlaced */
    if (channels == 4)
        out[17] = 6; /* RGBA */
    out = close_chunk(out, "IHDR", 13);
    if (compress2(out + 8, &packed, rows, plain, 6) != Z_OK)
        goto fail;
    out = close_chunk(out, "IDAT", packed);
    out = close_chunk(out, "IEND", 0);
    *size = (size_t)(out - png);
    free(rows);
    return png;
fail:
    free(rows);
    free(png);
    return NULL;
}
