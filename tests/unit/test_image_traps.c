/*
 * Small files that ask for much. Each is decoded in a process of its own that
 * may take little memory and little processor time beyond what it has: what is
 * refused too late ends it.
 */
#include "models/classifier/image.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <zlib.h>

#define SECONDS 20 /* under sanitizers, on a busy machine */
#if defined(__SANITIZE_ADDRESS__)
#define BOUNDED 0 /* it takes terabytes of addresses for itself */
#else
#define BOUNDED 1
#endif

/* ---- a decode with bounds ------------------------------------------------ */

static void bound(size_t memory) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%llu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) + memory;
    const struct rlimit addresses = {most, most}, time = {SECONDS, SECONDS};
    if (BOUNDED)
        setrlimit(RLIMIT_AS, &addresses);
    setrlimit(RLIMIT_CPU, &time);
}

/* The exit status: 0 decoded, 1 refused for that reason, 2 for another one. */
static int decode(const void *bytes, size_t size, size_t memory,
                  const char *problem) {
    struct image image = {0};
    struct err err = {0};
    bound(memory);
    int status = image_decode(&image, bytes, size, 0, &err) == 0 ? 0 : 1;
    if (status && (!err.problem || strcmp(err.problem, problem) != 0)) {
        fprintf(stderr, "%s: %s\n", err.problem, err.text);
        status = 2;
    }
    image_free(&image);
    return status;
}

static void expect(const void *bytes, size_t size, size_t memory,
                   const char *problem) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(decode(bytes, size, memory, problem ? problem : ""));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("it ended by signal %d", WTERMSIG(status));
    assert_int_equal(WEXITSTATUS(status), problem ? 1 : 0);
}

/* ---- PNG ----------------------------------------------------------------- */

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t put_chunk(uint8_t *at, const char *kind, const void *body,
                        size_t length) {
    put32(at, (uint32_t)length);
    memcpy(at + 4, kind, 4);
    if (length)
        memcpy(at + 8, body, length);
    put32(at + 8 + length, (uint32_t)crc32(0, at + 4, (uInt)length + 4));
    return length + 12;
}

/* `zeros` bytes of them, deflated piece by piece. */
static uint8_t *deflate_zeros(size_t zeros, size_t *size) {
    static uint8_t piece[1 << 20];
    z_stream z = {0};
    *size = zeros / 200 + 4096;
    uint8_t *packed = malloc(*size);
    assert_non_null(packed);
    assert_int_equal(deflateInit(&z, 1), Z_OK);
    z.next_out = packed;
    z.avail_out = (uInt)*size;
    while (zeros > 0) {
        z.next_in = piece;
        z.avail_in = zeros < sizeof piece ? (uInt)zeros : sizeof piece;
        zeros -= z.avail_in;
        deflate(&z, zeros ? Z_NO_FLUSH : Z_FINISH);
    }
    assert_true(z.avail_out > 0);
    *size -= z.avail_out;
    deflateEnd(&z);
    return packed;
}

/* A file of that header whose data are that many zeros; free(). */
static uint8_t *make_png(uint32_t width, uint32_t height, int bits, int colour,
                         int interlaced, size_t zeros, size_t *size) {
    size_t packed_size = 0;
    uint8_t header[13] = {0};
    uint8_t *packed = deflate_zeros(zeros, &packed_size);
    uint8_t *png = malloc(packed_size + 128);
    assert_non_null(png);
    put32(header, width);
    put32(header + 4, height);
    header[8] = (uint8_t)bits;
    header[9] = (uint8_t)colour;
    header[12] = (uint8_t)interlaced;
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    *size = 8;
    *size += put_chunk(png + *size, "IHDR", header, sizeof header);
    *size += put_chunk(png + *size, "IDAT", packed, packed_size);
    *size += put_chunk(png + *size, "IEND", NULL, 0);
    free(packed);
    return png;
}

static void trap_png_inflates_to_258_megabytes(void **state) {
    (void)state;
    size_t size;
    uint8_t *png = make_png(1, 1, 8, 2, 0, (size_t)258 << 20, &size);
    assert_in_range(size, 200000, 2000000);
    expect(png, size, (size_t)16 << 20, "corrupt-image");
    free(png);
}

static void trap_png_claims_more_than_it_can_hold(void **state) {
    (void)state;
    size_t size;
    /* 16 bits and alpha: 512 MiB of rows, of which three are there */
    uint8_t *png = make_png(8192, 8192, 16, 6, 0, 3 * 65537, &size);
    assert_in_range(size, 100, 2000);
    expect(png, size, (size_t)4 << 20, "corrupt-image");
    free(png);
    png = make_png(8192, 8192, 16, 6, 1, 3 * 65537, &size);
    expect(png, size, (size_t)4 << 20, "corrupt-image");
    free(png);
    /* sizes whose product overflows 32 bits, at 8 bytes a pixel */
    png = make_png(65536, 65537, 16, 6, 0, 1000, &size);
    expect(png, size, (size_t)4 << 20, "image-too-large");
    free(png);
    png = make_png(0x7fffffff, 1, 16, 6, 0, 1000, &size);
    expect(png, size, (size_t)4 << 20, "image-too-large");
    free(png);
}

static void trap_png_is_one_endless_row(void **state) {
    (void)state;
    size_t size;
    uint8_t *png = make_png(1 << 26, 1, 1, 0, 0, (1 << 23) + 1, &size);
    expect(png, size, (size_t)16 << 20, "image-too-large");
    free(png);
}

static void trap_png_is_damaged(void **state) {
    (void)state;
    size_t size;
    uint8_t *png = make_png(4, 4, 8, 2, 0, 4 * 13, &size);
    expect(png, size, (size_t)16 << 20, NULL);
    for (size_t cut = 33; cut < size; cut++) /* behind the header */
        expect(png, cut, (size_t)16 << 20, "corrupt-image");
    png[size - 12 - 4] ^= 1; /* of the checksum of the data */
    expect(png, size, (size_t)16 << 20, "corrupt-image");
    free(png);
}

static __attribute__((noinline)) void fill_stack(void) {
    volatile uint8_t used[1 << 16];
    for (size_t i = 0; i < sizeof used; i++)
        used[i] = 0x5a;
}

/* Pixels of colour 200, in a palette of one: what was on the stack before must
 * not show. */
static void trap_png_names_colours_that_are_not_there(void **state) {
    (void)state;
    static const uint8_t rows[] = {0, 200, 200, 200, 200};
    const uint8_t header[] = {0, 0, 0, 4, 0, 0, 0, 1, 8, 3, 0, 0, 0};
    const uint8_t black[3] = {0};
    uint8_t png[256] = "\x89PNG\r\n\x1a\n", packed[64];
    uLongf packed_size = sizeof packed;
    size_t size = 8;
    struct image image = {0};
    struct err err = {0};
    assert_int_equal(compress(packed, &packed_size, rows, sizeof rows), Z_OK);
    size += put_chunk(png + size, "IHDR", header, sizeof header);
    size += put_chunk(png + size, "PLTE", black, sizeof black);
    size += put_chunk(png + size, "IDAT", packed, packed_size);
    size += put_chunk(png + size, "IEND", NULL, 0);
    fill_stack();
    assert_int_equal(image_decode(&image, png, size, 0, &err), 0);
    for (int i = 0; i < 4 * 3; i++)
        assert_int_equal(image.rgb[i], 255); /* none at all: transparent */
    image_free(&image);
}

/* One whose rows are all there but that is too large for the memory at hand. */
static void trap_png_does_not_fit_into_memory(void **state) {
    (void)state;
#if !BOUNDED
    skip();
#endif
    size_t size, rows = (size_t)2048 * (2048 * 8 + 1);
    uint8_t *png = make_png(2048, 2048, 16, 6, 0, rows, &size);
    expect(png, size, (size_t)512 << 20, NULL);
    expect(png, size, (size_t)24 << 20, "image-too-large");
    free(png);
}

/* ---- GIF ----------------------------------------------------------------- */

/* A complete file of one pixel on a canvas; 9 bytes a pixel are decoded to. */
/* A canvas of that size, on it a picture that many pixels wide and one high,
 * with the data of one pixel. */
static void expect_gif(unsigned width, unsigned height, uint8_t picture,
                       const char *problem) {
    uint8_t gif[] = "GIF89a....\x80\0\0\0\0\0\xff\xff\xff"
                    ",\0\0\0\0.\0\1\0\0\2\2\x44\1\0;";
    const uint8_t size[] = {(uint8_t)width, (uint8_t)(width >> 8),
                            (uint8_t)height, (uint8_t)(height >> 8)};
    memcpy(gif + 6, size, sizeof size);
    gif[24] = picture;
    expect(gif, sizeof gif - 1, (size_t)32 << 20, problem);
}

static void trap_gif_asks_for_gigabytes(void **state) {
    (void)state;
    expect_gif(65535, 65535, 1, "image-too-large");
    expect_gif(16384, 16384, 1, "image-too-large");
    expect_gif(8192, 8192, 1, "corrupt-image");
    expect_gif(4096, 4096, 1, "corrupt-image");
    expect_gif(640, 480, 1, NULL);
}

static void trap_gif_has_too_few_codes(void **state) {
    (void)state;
    expect_gif(640, 480, 2, "corrupt-image");
}

/* ---- JPEG ---------------------------------------------------------------- */

static size_t put(uint8_t *at, size_t used, const void *bytes, size_t size) {
    memcpy(at + used, bytes, size);
    return used + size;
}

/* SOI, a table each, SOF2 of one component, and then scans of nothing but the
 * refinement of DC, each two bytes of data: what a fuzzer would send. */
static size_t make_jpeg(uint8_t *jpeg, unsigned side, int scans) {
    uint8_t quantise[69] = {0xff, 0xdb, 0, 67, 0};
    uint8_t frame[] = {0xff, 0xc2, 0, 11, 8, 0, 0, 0, 0, 1, 1, 0x11, 0};
    static const uint8_t code[] = {0xff, 0xc4, 0, 20, 0, 1, 0, 0, 0, 0, 0,
                                   0,    0,    0, 0,  0, 0, 0, 0, 0, 0, 0};
    static const uint8_t first[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 1, 0, 0};
    static const uint8_t more[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x10, 0, 0};
    size_t used = put(jpeg, 0, "\xff\xd8", 2);
    memset(quantise + 5, 1, 64);
    frame[5] = frame[7] = (uint8_t)(side >> 8);
    frame[6] = frame[8] = (uint8_t)side;
    used = put(jpeg, used, quantise, sizeof quantise);
    used = put(jpeg, used, frame, sizeof frame);
    used = put(jpeg, used, code, sizeof code);
    used = put(jpeg, used, first, sizeof first);
    for (int i = 0; i < scans; i++)
        used = put(jpeg, used, more, sizeof more);
    return put(jpeg, used, "\xff\xd9", 2);
}

static void trap_jpeg_has_hundreds_of_scans(void **state) {
    (void)state;
    static uint8_t jpeg[8192];
    size_t size = make_jpeg(jpeg, 5000, 160);
    assert_in_range(size, 1500, 2500);
    expect(jpeg, size, (size_t)16 << 20, "corrupt-image");
}

static void trap_jpeg_is_a_header_alone(void **state) {
    (void)state;
    static uint8_t jpeg[8192];
    expect(jpeg, make_jpeg(jpeg, 8192, 0), (size_t)16 << 20, "corrupt-image");
    expect(jpeg, make_jpeg(jpeg, 64, 0), (size_t)16 << 20, "corrupt-image");
    /* no scan at all */
    size_t size = make_jpeg(jpeg, 64, 0);
    expect(jpeg, size - 14, (size_t)16 << 20, "corrupt-image");
}

/* ---- BMP ----------------------------------------------------------------- */

static void trap_bmp_claims_what_is_not_there(void **state) {
    (void)state;
    uint8_t bmp[64] = "BM";
    bmp[10] = 54; /* where the pixels begin */
    bmp[14] = 40;
    bmp[19] = 0x20; /* 8192 x 8192 */
    bmp[23] = 0x20;
    bmp[26] = 1;
    bmp[28] = 32;
    expect(bmp, sizeof bmp, (size_t)4 << 20, "corrupt-image");
}

/* ---- WebP ---------------------------------------------------------------- */

/* A whole picture of 8192 x 8191 pixels of one colour: nothing is wrong with
 * it, so it is decoded, in what its header explains. */
static void trap_webp_is_64_megapixels_in_38_bytes(void **state) {
    (void)state;
    static const uint8_t webp[] = {
        0x52, 0x49, 0x46, 0x46, 0x1e, 0x00, 0x00, 0x00, 0x57, 0x45,
        0x42, 0x50, 0x56, 0x50, 0x38, 0x4c, 0x11, 0x00, 0x00, 0x00,
        0x2f, 0xff, 0x9f, 0xff, 0x07, 0x07, 0x50, 0x8a, 0x2a, 0xd4,
        0xa3, 0xff, 0x81, 0x88, 0xe8, 0x7f, 0x00, 0x00};
    expect(webp, sizeof webp, (size_t)600 << 20, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trap_png_inflates_to_258_megabytes),
        cmocka_unit_test(trap_png_claims_more_than_it_can_hold),
        cmocka_unit_test(trap_png_is_one_endless_row),
        cmocka_unit_test(trap_png_is_damaged),
        cmocka_unit_test(trap_png_names_colours_that_are_not_there),
        cmocka_unit_test(trap_png_does_not_fit_into_memory),
        cmocka_unit_test(trap_gif_asks_for_gigabytes),
        cmocka_unit_test(trap_gif_has_too_few_codes),
        cmocka_unit_test(trap_jpeg_has_hundreds_of_scans),
        cmocka_unit_test(trap_jpeg_is_a_header_alone),
        cmocka_unit_test(trap_bmp_claims_what_is_not_there),
        cmocka_unit_test(trap_webp_is_64_megapixels_in_38_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
