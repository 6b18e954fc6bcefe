#include "models/classifier/image.h"
#include "models/classifier/codec.h"

#include "common/sniff.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct codec {
    const char *format; /* as sniff_image() names it */
    int (*decode)(struct image *, const uint8_t *, size_t, int, int *,
                  struct err *);
};

static const struct codec codecs[] = {
    {"jpeg", codec_jpeg}, {"png", codec_stb}, {"webp", codec_webp},
    {"gif", codec_stb},   {"bmp", codec_stb},
};

static const struct codec *find_codec(const void *bytes, size_t size) {
    const char *format = sniff_image(bytes, size);
    for (size_t i = 0; format && i < sizeof codecs / sizeof *codecs; i++)
        if (strcmp(codecs[i].format, format) == 0)
            return &codecs[i];
    return NULL;
}

int codec_corrupt(struct err *err, const char *format, const char *reason) {
    return err_problem(err, "corrupt-image",
                       "the %s file is damaged or incomplete: %s", format,
                       reason);
}

int codec_check_size(const char *format, size_t width, size_t height,
                     struct err *err) {
    if (width == 0 || height == 0)
        return codec_corrupt(err, format, "its header says it has no pixels");
    if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
        return err_problem(err, "image-too-large",
                           "the image is %zu x %zu pixels; at most %d a side "
                           "are accepted",
                           width, height, IMAGE_MAX_SIDE);
    if (height > IMAGE_MAX_PIXELS || width > IMAGE_MAX_PIXELS / height)
        return err_problem(err, "image-too-large",
                           "the image is %zu x %zu pixels; at most %zu "
                           "megapixels are accepted",
                           width, height, IMAGE_MAX_PIXELS >> 20);
    return 0;
}

int codec_check_ratio(const char *format, size_t claimed, size_t size,
                      size_t ratio, struct err *err) {
    return claimed / ratio <= size
               ? 0
               : codec_corrupt(err, format,
                               "it is too small to hold its picture");
}

void codec_set_size(struct image *image, int width, int height) {
    image->width = image->shown_width = width;
    image->height = image->shown_height = height;
    image->box = (struct resize_box){0, 0, width, height};
}

uint8_t *codec_reserve(struct image_buffer *buffer, size_t size,
                       struct err *err) {
    if (buffer->capacity < size) {
        free(buffer->bytes);
        buffer->bytes = malloc(size);
        buffer->capacity = buffer->bytes ? size : 0;
        if (!buffer->bytes)
            err_problem(err, "image-too-large",
                        "not enough memory for the image (%zu bytes)", size);
    }
    return buffer->bytes;
}

void codec_over_white(const uint8_t *rgba, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++, rgba += 4, rgb += 3) {
        unsigned alpha = rgba[3];
        for (int c = 0; c < 3; c++) {
            unsigned v = rgba[c] * alpha + 255 * (255 - alpha);
            rgb[c] = (uint8_t)((v + 127) / 255);
        }
    }
}

/* The box in a picture that was transposed (`swap`) and then, now `width` x
 * `height`, mirrored. */
static void turn_box(struct resize_box *box, bool swap, bool mirror_x,
                     bool mirror_y, double width, double height) {
    if (swap)
        *box = (struct resize_box){box->y, box->x, box->height, box->width};
    if (mirror_x)
        box->x = width - box->x - box->width;
    if (mirror_y)
        box->y = height - box->y - box->height;
}

/*
 * Turns the picture by its EXIF orientation, into the spare buffer, and swaps
 * the two. The source pixel of (x, y) lies at origin + x * right + y * down,
 * in pixels.
 */
static int turn(struct image *image, int orientation, struct err *err) {
    if (orientation == 1)
        return 0;
    ptrdiff_t w = image->width, h = image->height;
    ptrdiff_t last = w * h - 1;
    const struct {
        ptrdiff_t origin, right, down;
    } moves[9] = {
        [2] = {w - 1, -1, w},       /* mirrored */
        [3] = {last, -1, -w},       /* upside down */
        [4] = {w * (h - 1), 1, -w}, /* flipped */
        [5] = {0, w, 1},            /* transposed */
        [6] = {w * (h - 1), -w, 1}, /* turn right */
        [7] = {last, -w, -1},       /* transversed */
        [8] = {w - 1, w, -1},       /* turn left */
    };
    bool swap = orientation >= 5;
    ptrdiff_t out_w = swap ? h : w, out_h = swap ? w : h;
    uint8_t *to = codec_reserve(&image->spare, (size_t)(w * h) * 3, err);
    if (!to)
        return -1;
    for (ptrdiff_t y = 0; y < out_h; y++) {
        const uint8_t *from =
            image->pixels.bytes +
            (moves[orientation].origin + y * moves[orientation].down) * 3;
        for (ptrdiff_t x = 0; x < out_w; x++, to += 3) {
            memcpy(to, from, 3);
            from += moves[orientation].right * 3;
        }
    }
    struct image_buffer pixels = image->spare;
    image->spare = image->pixels;
    image->pixels = pixels;
    turn_box(&image->box, swap, moves[orientation].right < 0,
             moves[orientation].down < 0, (double)out_w, (double)out_h);
    image->width = (int)out_w;
    image->height = (int)out_h;
    if (swap) {
        int shown = image->shown_width;
        image->shown_width = image->shown_height;
        image->shown_height = shown;
    }
    return 0;
}

int image_decode(struct image *image, const void *bytes, size_t size, int least,
                 struct err *err) {
    image->rgb = NULL;
    image->width = image->height = 0;
    image->shown_width = image->shown_height = 0;
    image->format = NULL;
    const struct codec *codec = find_codec(bytes, size);
    if (!codec)
        return err_problem(err, "unsupported-image",
                           "the file is none of PNG, JPEG, WebP, BMP, GIF");
    image->format = codec->format;
    int orientation = 1;
    if (codec->decode(image, bytes, size, least, &orientation, err) < 0)
        return -1;
    if (turn(image, orientation, err) < 0)
        return -1;
    image->rgb = image->pixels.bytes;
    return 0;
}

int image_make_grey(struct image *image, struct err *err) {
    size_t count = (size_t)image->width * (size_t)image->height;
    const uint8_t *from = image->rgb;
    uint8_t *to = codec_reserve(&image->pixels, count * 3, err);
    if (!to)
        return -1;
    image->rgb = to;
    for (size_t i = 0; i < count; i++, from += 3, to += 3) {
        unsigned luma = from[0] * 19595u + from[1] * 38470u + from[2] * 7471u;
        memset(to, (int)((luma + 0x8000) >> 16), 3);
    }
    return 0;
}

static void trim(struct image_buffer *buffer, size_t keep) {
    if (buffer->capacity > keep) {
        free(buffer->bytes);
        *buffer = (struct image_buffer){0};
    }
}

void image_trim(struct image *image, size_t keep) {
    trim(&image->pixels, keep);
    trim(&image->spare, keep);
    image->rgb = NULL;
}

void image_free(struct image *image) {
    image_trim(image, 0);
}
