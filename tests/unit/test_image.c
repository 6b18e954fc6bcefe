/*
 * The files of tests/data/images and the pixels that Pillow reads from them
 * (made by tests/data/make_images.py), and files made to do harm.
 */
#include "models/classifier/image.h"

#include "common/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jpeglib.h>
#include <zlib.h>

#define FOLDER "tests/data/images/"

static const struct sample {
    const char *name, *format;
    int width, height;
    int most; /* largest difference of a byte */
} samples[] = {
    {"rgb.png", "png", 23, 14, 0},
    {"rgba.png", "png", 23, 14, 1},
    {"grey.png", "png", 23, 14, 0},
    {"grey-alpha.png", "png", 23, 14, 1},
    {"palette.png", "png", 23, 14, 0},
    {"palette-clear.png", "png", 23, 14, 0},
    {"bits.png", "png", 23, 14, 0},
    {"rgb16.png", "png", 23, 14, 0},
    {"grey16.png", "png", 23, 14, 0},
    {"interlaced.png", "png", 23, 14, 0},
    {"turned.png", "png", 14, 23, 0},
    {"rgb.bmp", "bmp", 23, 14, 0},
    {"palette.bmp", "bmp", 23, 14, 0},
    {"grey.bmp", "bmp", 23, 14, 0},
    {"palette.gif", "gif", 23, 14, 0},
    {"clear.gif", "gif", 23, 14, 0},
    {"moving.gif", "gif", 23, 14, 0},
    {"444.jpg", "jpeg", 23, 14, 0},
    {"420.jpg", "jpeg", 23, 14, 0},
    {"progressive.jpg", "jpeg", 23, 14, 0},
    {"grey.jpg", "jpeg", 23, 14, 0},
    {"cmyk.jpg", "jpeg", 23, 14, 1},
    {"turned-1.jpg", "jpeg", 23, 14, 0},
    {"turned-2.jpg", "jpeg", 23, 14, 0},
    {"turned-3.jpg", "jpeg", 23, 14, 0},
    {"turned-4.jpg", "jpeg", 23, 14, 0},
    {"turned-5.jpg", "jpeg", 14, 23, 0},
    {"turned-6.jpg", "jpeg", 14, 23, 0},
    {"turned-7.jpg", "jpeg", 14, 23, 0},
    {"turned-8.jpg", "jpeg", 14, 23, 0},
    {"lossless.webp", "webp", 23, 14, 0},
    {"lossy.webp", "webp", 23, 14, 0},
    {"alpha.webp", "webp", 23, 14, 1},
    {"moving.webp", "webp", 23, 14, 0},
    {"turned.webp", "webp", 14, 23, 0},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static uint8_t *load(const char *name, const char *ending, size_t *size) {
    char path[256];
    struct err err = {0};
    snprintf(path, sizeof path, FOLDER "%s%s", name, ending);
    uint8_t *bytes = file_read(path, 1 << 20, size, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    return bytes;
}

static void image_reads_every_format_as_pillow_does(void **state) {
    (void)state;
    struct image image = {0};
    for (int i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        struct err err = {0};
        size_t size, expected_size;
        uint8_t *bytes = load(s->name, "", &size);
        uint8_t *expected = load(s->name, ".rgb", &expected_size);
        if (image_decode(&image, bytes, size, 0, &err) < 0)
            fail_msg("%s: %s", s->name, err.text);
        assert_string_equal(image.format, s->format);
        assert_int_equal(image.width, s->width);
        assert_int_equal(image.height, s->height);
        assert_int_equal(image.shown_width, s->width);
        assert_int_equal(image.shown_height, s->height);
        assert_int_equal(expected_size, 3 * s->width * s->height);
        for (size_t at = 0; at < expected_size; at++)
            if (abs(image.rgb[at] - expected[at]) > s->most)
                fail_msg("%s: byte %zu is %d, not %d", s->name, at,
                         image.rgb[at], expected[at]);
        free(bytes);
        free(expected);
    }
    image_free(&image);
}

/* Each prefix is either refused or gives the whole picture; it is copied to
 * a block of its size so that the sanitizer sees a read beyond it. */
static void image_never_makes_half_a_picture(void **state) {
    (void)state;
    struct image image = {0};
    for (int i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        size_t size, expected_size;
        uint8_t *bytes = load(s->name, "", &size);
        uint8_t *expected = load(s->name, ".rgb", &expected_size);
        for (size_t cut = 0; cut < size; cut++) {
            struct err err = {0};
            uint8_t *part = malloc(cut ? cut : 1);
            assert_non_null(part);
            memcpy(part, bytes, cut);
            if (image_decode(&image, part, cut, 0, &err) < 0) {
                assert_non_null(err.problem);
                assert_true(err.text[0] != 0);
            } else {
                assert_int_equal(image.width, s->width);
                for (size_t at = 0; at < expected_size; at++)
                    if (abs(image.rgb[at] - expected[at]) > s->most)
                        fail_msg("%s cut to %zu of %zu bytes: byte %zu is "
                                 "%d, not %d",
                                 s->name, cut, size, at, image.rgb[at],
                                 expected[at]);
            }
            free(part);
        }
        free(bytes);
        free(expected);
    }
    image_free(&image);
}

/* What comes out does not matter here: the sanitizers watch. */
static void image_survives_random_damage(void **state) {
    (void)state;
    struct image image = {0};
    uint32_t random = 1;
    for (int i = 0; i < SAMPLES; i++) {
        size_t size;
        uint8_t *bytes = load(samples[i].name, "", &size);
        for (int round = 0; round < 60; round++) {
            struct err err = {0};
            uint8_t *copy = malloc(size);
            assert_non_null(copy);
            memcpy(copy, bytes, size);
            for (int hits = 0; hits < 4; hits++) {
                random = random * 1664525 + 1013904223;
                copy[(random >> 8) % size] = (uint8_t)(random >> 16);
            }
            if (image_decode(&image, copy, size, 8, &err) < 0)
                assert_non_null(err.problem);
            free(copy);
        }
        free(bytes);
    }
    image_free(&image);
}

static void expect_problem(const void *bytes, size_t size,
                           const char *problem) {
    struct image image = {0};
    struct err err = {0};
    assert_int_equal(image_decode(&image, bytes, size, 0, &err), -1);
    if (!err.problem || strcmp(err.problem, problem) != 0)
        fail_msg("%s, not %s: %s", err.problem, problem, err.text);
    assert_null(image.rgb);
    image_free(&image);
}

static void image_refuses_what_is_no_picture(void **state) {
    (void)state;
    expect_problem("", 0, "unsupported-image");
    expect_problem("hello, I am a text", 18, "unsupported-image");
    expect_problem("%PDF-1.7\n", 9, "unsupported-image");
    expect_problem("<svg xmlns=''/>", 15, "unsupported-image");
    expect_problem("RIFF\x10\0\0\0WAVEfmt ", 16, "unsupported-image");
    expect_problem("\xff\xd8\xff", 3, "corrupt-image");
    expect_problem("\x89PNG\r\n\x1a\n", 8, "corrupt-image");
    expect_problem("BM\x20\0\0\0\0\0\0\0", 10, "corrupt-image");
    expect_problem("GIF89a", 6, "corrupt-image");
    expect_problem("RIFF\x10\0\0\0WEBPVP8 ", 16, "corrupt-image");
}

/* Writes `value` big-endian. */
static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void image_refuses_more_than_64_megapixels_by_the_header(void **state) {
    (void)state;
    size_t size;
    uint8_t *png = load("rgb.png", "", &size);
    put32(png + 16, 8193);
    put32(png + 20, 8192);
    expect_problem(png, size, "image-too-large");
    put32(png + 16, 0x7fffffff);
    put32(png + 20, 0x7fffffff);
    expect_problem(png, size, "image-too-large");
    put32(png + 20, 0);
    expect_problem(png, size, "corrupt-image");
    free(png);

    uint8_t *bmp = load("rgb.bmp", "", &size);
    bmp[19] = bmp[23] = 0xff; /* width and height above 65,000 */
    expect_problem(bmp, size, "image-too-large");
    memcpy(bmp + 22, "\0\0\0\x80", 4); /* the height without an opposite */
    expect_problem(bmp, size, "corrupt-image");
    free(bmp);

    uint8_t *gif = load("palette.gif", "", &size);
    gif[7] = gif[9] = 0xff;
    expect_problem(gif, size, "image-too-large");
    free(gif);

    uint8_t *jpeg = load("444.jpg", "", &size);
    for (size_t i = 0; i + 9 < size; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) {
            jpeg[i + 5] = jpeg[i + 7] = 0xff;
            break;
        }
    expect_problem(jpeg, size, "image-too-large");
    free(jpeg);
}

static size_t put_chunk(uint8_t *at, const char *kind, const void *body,
                        uint32_t length) {
    put32(at, length);
    memcpy(at + 4, kind, 4);
    if (length)
        memcpy(at + 8, body, length);
    put32(at + 8 + length, (uint32_t)crc32(0, at + 4, length + 4));
    return length + 12;
}

/* 1 x 1, and 64 MB of zeros in its data. */
static void image_refuses_a_png_that_inflates_without_end(void **state) {
    (void)state;
    enum { ZEROS = 64 << 20 };
    uint8_t *zeros = calloc(1, ZEROS);
    uLongf packed_size = compressBound(ZEROS);
    uint8_t *packed = malloc(packed_size);
    assert_true(zeros && packed);
    assert_int_equal(compress(packed, &packed_size, zeros, ZEROS), Z_OK);
    free(zeros);

    uint8_t *png = malloc(packed_size + 128);
    assert_non_null(png);
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    size_t size = 8;
    size += put_chunk(png + size, "IHDR", "\0\0\0\1\0\0\0\1\x08\2\0\0\0", 13);
    size += put_chunk(png + size, "IDAT", packed, (uint32_t)packed_size);
    size += put_chunk(png + size, "IEND", NULL, 0);
    expect_problem(png, size, "corrupt-image");
    free(packed);
    free(png);
}

/* A complete GIF of a few bytes whose canvas is 46,000 x 46,000. */
static void image_refuses_a_tiny_gif_with_a_huge_canvas(void **state) {
    (void)state;
    static const uint8_t gif[] = {
        'G', 'I', 'F', '8', '9', 'a', 0xb0, 0xb3, 0xb0, 0xb3, 0x80, 0,
        0,   0,   0,   0,   255, 255, 255,  0x2c, 0,    0,    0,    0,
        1,   0,   1,   0,   0,   2,   2,    0x44, 1,    0,    0x3b};
    expect_problem(gif, sizeof gif, "image-too-large");
}

/* A progressive file whose first scan holds the whole DC, so that it can be
 * sent again and again without breaking a rule. Returns its size. */
static unsigned long make_scans(uint8_t **jpeg, int repeats) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    static const jpeg_scan_info script[] = {{1, {0}, 0, 0, 0, 0},
                                            {1, {0}, 1, 63, 0, 0}};
    unsigned char *plain = NULL, row[64];
    unsigned long plain_size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &plain, &plain_size);
    c.image_width = c.image_height = 64;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    c.scan_info = script;
    c.num_scans = 2;
    jpeg_start_compress(&c, TRUE);
    for (int y = 0; y < 64; y++) {
        JSAMPROW at = row;
        memset(row, 4 * y, sizeof row);
        jpeg_write_scanlines(&c, &at, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);

    /* The first scan: from its SOS to the tables of the second. */
    unsigned long from = 0, to;
    while (plain[from] != 0xff || plain[from + 1] != 0xda)
        from++;
    for (to = from + 2; plain[to] != 0xff || plain[to + 1] != 0xc4; to++)
        ;
    unsigned long length = to - from, extra = length * (unsigned)repeats;
    *jpeg = malloc(plain_size + extra);
    assert_non_null(*jpeg);
    memcpy(*jpeg, plain, from);
    for (int i = 0; i < repeats; i++)
        memcpy(*jpeg + from + length * (unsigned)i, plain + from, length);
    memcpy(*jpeg + from + extra, plain + from, plain_size - from);
    free(plain);
    return plain_size + extra;
}

static void image_limits_the_scans_of_a_progressive_jpeg(void **state) {
    (void)state;
    uint8_t *jpeg;
    struct image image = {0};
    struct err err = {0};
    unsigned long size = make_scans(&jpeg, 20);
    if (image_decode(&image, jpeg, size, 0, &err) < 0)
        fail_msg("%s", err.text);
    image_free(&image);
    free(jpeg);
    size = make_scans(&jpeg, 2000);
    expect_problem(jpeg, size, "unsupported-image");
    free(jpeg);
}

/* 800 x 601 of vertical stripes, decoded for a network that needs 64. */
static void image_decodes_a_large_jpeg_at_a_fraction(void **state) {
    (void)state;
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *jpeg = NULL, row[800];
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &jpeg, &size);
    c.image_width = 800;
    c.image_height = 601;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_start_compress(&c, TRUE);
    for (int x = 0; x < 800; x++)
        row[x] = x / 100 % 2 ? 200 : 40;
    for (int y = 0; y < 601; y++) {
        JSAMPROW at = row;
        jpeg_write_scanlines(&c, &at, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);

    struct image image = {0};
    struct err err = {0};
    assert_int_equal(image_decode(&image, jpeg, size, 64, &err), 0);
    assert_int_equal(image.shown_width, 800);
    assert_int_equal(image.shown_height, 601);
    assert_int_equal(image.width, 200); /* 150 is the shorter side >= 128 */
    assert_int_equal(image.height, 151);
    assert_true(image.box.width == 200 && image.box.height == 150.25);
    assert_in_range(image.rgb[3 * 12], 30, 50);
    assert_in_range(image.rgb[3 * 37], 190, 210);
    assert_int_equal(image_decode(&image, jpeg, size, 301, &err), 0);
    assert_int_equal(image.width, 800);
    free(jpeg);
    image_free(&image);
}

static void image_trim_gives_large_buffers_back(void **state) {
    (void)state;
    struct image image = {0};
    struct err err = {0};
    size_t size;
    uint8_t *bytes = load("turned-6.jpg", "", &size);
    assert_int_equal(image_decode(&image, bytes, size, 0, &err), 0);
    image_trim(&image, 1 << 20);
    assert_true(image.pixels.capacity > 0);
    image_trim(&image, 100);
    assert_int_equal(image.pixels.capacity + image.spare.capacity, 0);
    assert_null(image.rgb);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_reads_every_format_as_pillow_does),
        cmocka_unit_test(image_never_makes_half_a_picture),
        cmocka_unit_test(image_survives_random_damage),
        cmocka_unit_test(image_refuses_what_is_no_picture),
        cmocka_unit_test(image_refuses_more_than_64_megapixels_by_the_header),
        cmocka_unit_test(image_refuses_a_png_that_inflates_without_end),
        cmocka_unit_test(image_refuses_a_tiny_gif_with_a_huge_canvas),
        cmocka_unit_test(image_limits_the_scans_of_a_progressive_jpeg),
        cmocka_unit_test(image_decodes_a_large_jpeg_at_a_fraction),
        cmocka_unit_test(image_trim_gives_large_buffers_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
