#include "tests/integration/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <jpeglib.h>
#include <openssl/evp.h>
#include <zlib.h>

static void put32(uint8_t *out, uint32_t number) { /* big-endian */
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void put32_little(uint8_t *out, uint32_t number) {
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (8 * i));
}

static uint8_t *chunk(uint8_t *out, const char *type, const uint8_t *data,
                      size_t size) {
    put32(out, (uint32_t)size);
    memcpy(out + 4, type, 4);
    memcpy(out + 8, data, size);
    put32(out + 8 + size, (uint32_t)crc32(0, out + 4, (uInt)size + 4));
    return out + 12 + size;
}

static void encode_png(const uint8_t *rgb, int width, int height,
                       struct picture *picture) {
    size_t stride = (size_t)width * 3, raw_size = (stride + 1) * (size_t)height;
    uint8_t *raw = calloc(1, raw_size); /* each row behind filter 0 */
    uLongf packed_size = compressBound(raw_size);
    uint8_t *packed = malloc(packed_size);
    uint8_t header[13] = {[8] = 8, [9] = 2}; /* 8 bits, RGB */
    picture->bytes = malloc(packed_size + 128);
    if (!raw || !packed || !picture->bytes)
        abort();
    for (int y = 0; y < height; y++)
        memcpy(raw + (stride + 1) * (size_t)y + 1, rgb + stride * (size_t)y,
               stride);
    compress(packed, &packed_size, raw, raw_size);
    put32(header, (uint32_t)width);
    put32(header + 4, (uint32_t)height);
    uint8_t *end = picture->bytes;
    memcpy(end, "\x89PNG\r\n\x1a\n", 8);
    end = chunk(end + 8, "IHDR", header, sizeof header);
    end = chunk(end, "IDAT", packed, packed_size);
    end = chunk(end, "IEND", (const uint8_t *)"", 0);
    picture->size = (size_t)(end - picture->bytes);
    free(raw);
    free(packed);
}

static void encode_jpeg(const uint8_t *rgb, int width, int height,
                        struct picture *picture) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &picture->bytes, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 98, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)y * (size_t)width * 3);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    picture->size = size;
}

static void encode_bmp(const uint8_t *rgb, int width, int height,
                       struct picture *picture) {
    size_t stride = ((size_t)width * 3 + 3) & ~(size_t)3;
    picture->size = 54 + stride * (size_t)height;
    uint8_t *out = picture->bytes = calloc(1, picture->size);
    if (!out)
        abort();
    memcpy(out, "BM", 2);
    put32_little(out + 2, (uint32_t)picture->size);
    put32_little(out + 10, 54);
    put32_little(out + 14, 40);
    put32_little(out + 18, (uint32_t)width);
    put32_little(out + 22, (uint32_t)height);
    put32_little(out + 26, 1 | 24 << 16); /* planes, bits a pixel */
    for (int y = 0; y < height; y++)      /* from the bottom up, blue first */
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                out[54 + stride * (size_t)(height - 1 - y) +
                    (size_t)(3 * x + c)] = rgb[3 * (y * width + x) + 2 - c];
}

void picture_encode(const uint8_t *rgb, int width, int height,
                    enum picture_format format, struct picture *picture) {
    static void (*const encode[])(const uint8_t *, int, int,
                                  struct picture *) = {
        [PICTURE_PNG] = encode_png,
        [PICTURE_JPEG] = encode_jpeg,
        [PICTURE_BMP] = encode_bmp,
    };
    uint8_t digest[32];
    memset(picture, 0, sizeof *picture);
    encode[format](rgb, width, height, picture);
    EVP_Digest(picture->bytes, picture->size, digest, NULL, EVP_sha256(), NULL);
    for (int i = 0; i < 32; i++)
        snprintf(picture->sha256 + 2 * i, 3, "%02x", digest[i]);
}

void picture_random_pixels(uint8_t rgb[32 * 32 * 3]) {
    uint8_t corner[4][3];
    if (getrandom(corner, sizeof corner, 0) != sizeof corner)
        abort();
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++)
            for (int c = 0; c < 3; c++)
                rgb[3 * (32 * y + x) + c] =
                    (uint8_t)((corner[0][c] * (31 - x) * (31 - y) +
                               corner[1][c] * x * (31 - y) +
                               corner[2][c] * (31 - x) * y +
                               corner[3][c] * x * y) /
                              (31 * 31));
}

void picture_random(struct picture *picture, enum picture_format format) {
    uint8_t rgb[32 * 32 * 3];
    picture_random_pixels(rgb);
    picture_encode(rgb, 32, 32, format, picture);
}

const char *picture_cifar(int index, uint8_t rgb[32 * 32 * 3]) {
    static const char *const names[10] = {
        "airplane", "automobile", "bird",  "cat",  "deer",
        "dog",      "frog",       "horse", "ship", "truck"};
    const char *data = getenv("CONVOY_DATA");
    char path[512];
    uint8_t record[1 + 3 * 1024]; /* label, then planes R, G, B */
    if (!data)
        return NULL;
    snprintf(path, sizeof path, "%s/cifar10/data_batch_5.bin", data);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    int ok =
        fseek(file, (5000L + index) * (long)sizeof record, SEEK_SET) == 0 &&
        fread(record, sizeof record, 1, file) == 1 && record[0] < 10;
    fclose(file);
    for (int i = 0; ok && i < 1024; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = record[1 + 1024 * c + i];
    return ok ? names[record[0]] : NULL;
}

void picture_free(struct picture *picture) {
    free(picture->bytes);
    memset(picture, 0, sizeof *picture);
}
