/*
 * image: the bytes of a picture file become RGB pixels.
 *
 *     struct image image = {0};
 *     if (image_decode(&image, bytes, size, 256, &err) < 0)
 *         puts(err.text);             err.problem: "corrupt-image", ...
 *     ... image.rgb is (image.height, image.width, 3) ...
 *     image_free(&image);
 *
 * The format is told by the first bytes, never by a name: PNG, JPEG, WebP,
 * BMP, GIF (the first frame of GIF and animated WebP). The picture comes out
 * as a viewer shows it: turned by its EXIF orientation, transparency over
 * white, grey and CMYK as RGB, 16 bits as 8.
 *
 * Strangers send these bytes. The size that a header claims is checked against
 * IMAGE_MAX_PIXELS before anything is allocated, decoders get no more memory
 * than that size can need, and a file that ends early or is damaged inside its
 * pixel data is an error, never a half grey picture.
 *
 * An `image` keeps its buffers from one decode to the next.
 */
#ifndef CONVOY_IMAGE_H
#define CONVOY_IMAGE_H

#include "common/err.h"
#include "models/classifier/resize.h"

#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAX_SIDE                                                         \
    65535 /* what JPEG and GIF can have; a row of more                         \
             costs the decoders time and no picture has it */
#ifndef IMAGE_MAX_PIXELS
#define IMAGE_MAX_PIXELS ((size_t)64 << 20) /* 64 megapixels, 8192 x 8192 */
#endif

struct image_buffer {
    uint8_t *bytes;
    size_t capacity;
};

struct image {
    const uint8_t *rgb; /* (height, width, 3), rows without gaps */
    int width, height;
    struct resize_box box; /* the part of it that is picture: all, but for a
                              fraction of a pixel at the rim */
    /* As a viewer shows the file. Larger than width x height where a JPEG was
     * decoded at a fraction of its size. */
    int shown_width, shown_height;
    const char *format;                /* "png", "jpeg", "webp", "bmp", "gif" */
    struct image_buffer pixels, spare; /* rgb points into `pixels` */
};

/* `least`: how many pixels the shorter side needs to have. A JPEG much larger
 * than that is decoded at 1/2, 1/4 or 1/8 of its size, such that at least
 * twice `least` is left for the resize that follows; 0: the full size. */
int image_decode(struct image *image, const void *bytes, size_t size, int least,
                 struct err *err);

/* Luma for red, green and blue, as Pillow's convert("L") has it (ITU-R BT.601).
 * Where `rgb` is lent, the grey picture is the image's own. */
int image_make_grey(struct image *image, struct err *err);

/* Gives buffers larger than `keep` bytes back. */
void image_trim(struct image *image, size_t keep);
void image_free(struct image *image);

#endif
