/*
 * PNG, BMP and GIF by stb_image.
 *
 * stb_image trusts its input more than we do, so this file reads the header
 * first: the picture's size is checked, and the memory that it can need is
 * computed from it. stb allocates against that budget, so a 1 x 1 PNG whose
 * data inflates to hundreds of megabytes runs into it at once. stb also takes
 * a BMP or GIF that ends early as black or empty rows, and looks at no checksum
 * of a PNG; whether all the data is there, and sound, is therefore looked at
 * here, too. Where a picture names a colour that its palette does not have, stb
 * reads what nobody wrote: memory that it gets is zeroed, and so is its stack
 * (Makefile), so that the same file always is the same picture.
 */
#include "models/classifier/codec.h"
#include "models/classifier/exif.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What is left of the budget of the decode that runs in this thread, and
 * whether memory ended before it did: stb's allocation hooks take no argument
 * that could carry it. */
static _Thread_local size_t budget;
static _Thread_local bool no_memory;

/* Blocks that stb has now: where its memory ends it leaves some behind. */
struct block {
    _Alignas(max_align_t) size_t size;
    struct block *older, *newer;
};
static _Thread_local struct block *newest;

static void link_block(struct block *block) {
    block->older = newest;
    block->newer = NULL;
    if (newest)
        newest->newer = block;
    newest = block;
}

static void unlink_block(struct block *block) {
    if (block->older)
        block->older->newer = block->newer;
    if (block->newer)
        block->newer->older = block->older;
    else
        newest = block->older;
}

static void *budget_realloc(void *old, size_t size) {
    struct block *block = old ? (struct block *)old - 1 : NULL;
    size_t had = block ? block->size : 0;
    if (size > had && size - had > budget)
        return NULL;
    if (block)
        unlink_block(block);
    struct block *moved = block ? realloc(block, sizeof *block + size)
                                : calloc(1, sizeof *block + size);
    if (moved || block)
        link_block(moved ? moved : block);
    no_memory = no_memory || !moved;
    if (!moved)
        return NULL;
    if (block && size > had)
        memset((uint8_t *)(moved + 1) + had, 0, size - had);
    budget = budget + had - size;
    moved->size = size;
    return moved + 1;
}

static void *budget_malloc(size_t size) {
    return budget_realloc(NULL, size);
}

static void budget_free(void *old) {
    if (old) {
        struct block *block = (struct block *)old - 1;
        unlink_block(block);
        budget += block->size;
        free(block);
    }
}

static void budget_end(void) {
    while (newest)
        budget_free(newest + 1);
}

#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS IMAGE_MAX_SIDE
#define STBI_MALLOC budget_malloc
#define STBI_REALLOC budget_realloc
#define STBI_FREE budget_free
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

/* The most that one byte of compressed data can become: deflate's 258 bytes a
 * match of two bits; LZW's longest string, of less than 4096, a code of 12. */
#define DEFLATE_RATIO 1032
#define LZW_RATIO 2731
/* A GIF's first picture may lie on a larger canvas: up to this is free. */
#define CANVAS_FREE ((size_t)1 << 20)

struct header {
    size_t width, height;
    size_t budget; /* bytes that decoding can need */
};

static size_t le16(const uint8_t *p) {
    return (size_t)p[1] << 8 | p[0];
}

static size_t le32(const uint8_t *p) {
    return (size_t)p[3] << 24 | (size_t)p[2] << 16 | le16(p);
}

static size_t be32(const uint8_t *p) {
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

#ifndef PNG_CHECKSUMS
#define PNG_CHECKSUMS 1 /* fuzzers have none: they would not get past them */
#endif

/* NULL where all chunks are there up to the last, IEND, and the checksums of
 * those that make the picture (the fifth bit of their name's first letter is
 * clear) are right; else what is wrong. */
static const char *find_png_damage(const uint8_t *p, size_t size) {
    size_t at = 8;
    while (size - at >= 12) {
        size_t length = be32(p + at);
        const uint8_t *name = p + at + 4;
        if (length > size - at - 12)
            break;
        if (PNG_CHECKSUMS && !(name[0] & 0x20) &&
            crc32(crc32(0, NULL, 0), name, (uInt)(length + 4)) !=
                be32(name + 4 + length))
            return "the checksum of a part is wrong";
        if (memcmp(name, "IEND", 4) == 0)
            return NULL;
        at += length + 12;
    }
    return "it ends early";
}

static int read_png(const uint8_t *p, size_t size, struct header *header,
                    struct err *err) {
    if (size < 33 || memcmp(p + 12, "IHDR", 4) != 0)
        return codec_corrupt(err, "PNG", "its header is missing");
    header->width = be32(p + 16);
    header->height = be32(p + 20);
    if (codec_check_size("PNG", header->width, header->height, err) < 0)
        return -1;
    const char *damage = find_png_damage(p, size);
    if (damage)
        return codec_corrupt(err, "PNG", damage);
    static const size_t channels[8] = {1, 1, 3, 1, 2, 1, 4, 1};
    size_t bits = p[24] * channels[p[25] & 7];
    size_t pixels = header->width * header->height;
    /* Inflated rows with their filter bytes, twice where an interlaced file
     * makes the buffer grow, then up to three copies with four channels, one
     * of them of 16 bits; and the compressed data in a buffer that doubles. */
    size_t rows = (header->width * bits / 8 + 2) * header->height;
    if (codec_check_ratio("PNG", rows, size, DEFLATE_RATIO, err) < 0)
        return -1;
    header->budget = 2 * rows + pixels * (p[24] == 16 ? 16 : 12) + 2 * size;
    return 0;
}

static int read_bmp(const uint8_t *p, size_t size, struct header *header,
                    struct err *err) {
    if (size < 30)
        return codec_corrupt(err, "BMP", "its header is missing");
    size_t start = le32(p + 10), info = le32(p + 14), bits, compression = 0;
    if (info == 12) {
        header->width = le16(p + 18);
        header->height = le16(p + 20);
        bits = le16(p + 24);
    } else {
        int32_t width = (int32_t)le32(p + 18);
        int32_t height = (int32_t)le32(p + 22); /* negative: top row first */
        header->width = width < 0 ? 0 : (size_t)width;
        header->height = height == INT32_MIN ? 0 : (size_t)abs(height);
        bits = le16(p + 28);
        compression = size >= 34 ? le32(p + 30) : 0;
    }
    if (codec_check_size("BMP", header->width, header->height, err) < 0)
        return -1;
    if (compression == 1 || compression == 2)
        return err_problem(err, "unsupported-image",
                           "run-length encoded BMP files are not supported");
    size_t row = (header->width * bits + 31) / 32 * 4;
    if (start > size || row * header->height > size - start)
        return codec_corrupt(err, "BMP", "it ends before its last row");
    header->budget = header->width * header->height * 8;
    return 0;
}

/* The bytes of a chain of sub-blocks. */
struct sub_blocks {
    const uint8_t *p, *end;
    size_t left; /* in this block */
    uint32_t bits;
    int bit_count;
};

/* The next `count` bits, or -1. */
static int take_bits(struct sub_blocks *s, int count) {
    while (s->bit_count < count) {
        if (s->left == 0 && (s->p == s->end || (s->left = *s->p++) == 0))
            return -1;
        if (s->p == s->end)
            return -1;
        s->bits |= (uint32_t)*s->p++ << s->bit_count;
        s->bit_count += 8;
        s->left--;
    }
    int value = (int)(s->bits & ((1u << count) - 1));
    s->bits >>= count;
    s->bit_count -= count;
    return value;
}

/* How many pixels of up to `most` the LZW codes stand for: as a decoder would
 * find, but with the lengths of strings alone (GIF89a, appendix F). */
static size_t count_lzw_pixels(struct sub_blocks *s, int code_size,
                               size_t most) {
    uint16_t lengths[4096] = {0};
    const int clear = 1 << code_size;
    int next = clear + 2, width = code_size + 1, code;
    size_t count = 0, last = 0;
    while (count < most && (code = take_bits(s, width)) >= 0) {
        if (code == clear) {
            next = clear + 2;
            width = code_size + 1;
            last = 0;
            continue;
        }
        if (code == clear + 1 || code > next || (code == next && last == 0))
            break;
        size_t length = code < clear  ? 1
                        : code < next ? lengths[code]
                                      : last + 1;
        if (last > 0 && next < 4096) {
            lengths[next++] = (uint16_t)(last + 1);
            if (next == 1 << width && width < 12)
                width++;
        }
        count += length;
        last = length;
    }
    return count;
}

/* Behind the picture's descriptor, its colours and the size of its codes: has
 * it data for all its pixels? */
static bool gif_picture_is_whole(const uint8_t *p, size_t size, size_t at) {
    size_t pixels = le16(p + at + 4) * le16(p + at + 6);
    uint8_t flags = p[at + 8];
    at += 9 + (flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0);
    if (at >= size || p[at] < 1 || p[at] > 11)
        return false;
    struct sub_blocks data = {.p = p + at + 1, .end = p + size};
    return count_lzw_pixels(&data, p[at], pixels) >= pixels;
}

/* True where the first frame has data for all its pixels. */
static bool gif_frame_is_whole(const uint8_t *p, size_t size) {
    size_t at = 13;
    if (p[10] & 0x80)
        at += (size_t)3 << ((p[10] & 7) + 1); /* global colours */
    while (at < size && p[at] == 0x21) {      /* an extension, and its label */
        at += 2;
        while (at < size && p[at] != 0) /* sub-blocks */
            at += 1 + (size_t)p[at];
        at++;
    }
    return at < size && p[at] == 0x2c && size - at >= 10 &&
           gif_picture_is_whole(p, size, at + 1);
}

static int read_gif(const uint8_t *p, size_t size, struct header *header,
                    struct err *err) {
    if (size < 13)
        return codec_corrupt(err, "GIF", "its header is missing");
    header->width = le16(p + 6);
    header->height = le16(p + 8);
    if (codec_check_size("GIF", header->width, header->height, err) < 0)
        return -1;
    if (!gif_frame_is_whole(p, size))
        return codec_corrupt(err, "GIF", "it ends within its first picture");
    size_t pixels = header->width * header->height;
    size_t beyond = pixels > CANVAS_FREE ? pixels - CANVAS_FREE : 0;
    if (codec_check_ratio("GIF", beyond, size, LZW_RATIO, err) < 0)
        return -1;
    header->budget = pixels * 9; /* picture, background, history */
    return 0;
}

static int read_header(const char *format, const uint8_t *bytes, size_t size,
                       struct header *header, struct err *err) {
    if (strcmp(format, "png") == 0)
        return read_png(bytes, size, header, err);
    if (strcmp(format, "bmp") == 0)
        return read_bmp(bytes, size, header, err);
    return read_gif(bytes, size, header, err);
}

static int explain(const char *format, struct err *err) {
    const char *reason = stbi_failure_reason();
    if (no_memory)
        return err_problem(err, "image-too-large",
                           "not enough memory to decode the %s file", format);
    if (strstr(reason, "not supported"))
        return err_problem(err, "unsupported-image",
                           "this kind of %s file is not supported: %s", format,
                           reason);
    if (strcmp(reason, "Out of memory") == 0)
        reason = "it holds more data than its size in pixels allows";
    return codec_corrupt(err, format, reason);
}

int codec_stb(struct image *image, const uint8_t *bytes, size_t size, int least,
              int *orientation, struct err *err) {
    (void)least;
    struct header header = {0};
    if (size > INT_MAX)
        return err_problem(err, "image-too-large", "the file is too large");
    if (read_header(image->format, bytes, size, &header, err) < 0)
        return -1;
    /* The decoder's own state on top: 64 KiB are a few times as much. */
    budget = header.budget + (64 << 10);
    no_memory = false;
    int width, height, channels;
    uint8_t *rgba =
        stbi_load_from_memory(bytes, (int)size, &width, &height, &channels, 4);
    if (!rgba) {
        budget_end();
        return explain(image->format, err);
    }
    size_t count = (size_t)width * (size_t)height;
    uint8_t *pixels = codec_reserve(&image->pixels, count * 3, err);
    if (pixels)
        codec_over_white(rgba, pixels, count);
    stbi_image_free(rgba);
    if (!pixels)
        return -1;
    codec_set_size(image, width, height);
    if (strcmp(image->format, "png") == 0) {
        size_t exif_size = 0;
        const uint8_t *exif = exif_find_png(bytes, size, &exif_size);
        *orientation = exif_orientation(exif, exif_size);
    }
    return 0;
}
