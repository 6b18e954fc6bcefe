/*
 * codec: what the decoders of image.c share. One function a library: each
 * reads a whole file and leaves RGB in image->pixels, with image->width,
 * height, box, shown_width and shown_height set, not yet turned, and
 * *orientation as EXIF says.
 */
#ifndef CONVOY_CODEC_H
#define CONVOY_CODEC_H

#include "models/classifier/image.h"

int codec_jpeg(struct image *image, const uint8_t *bytes, size_t size,
               int least, int *orientation, struct err *err);
int codec_webp(struct image *image, const uint8_t *bytes, size_t size,
               int least, int *orientation, struct err *err);
int codec_stb(struct image *image, const uint8_t *bytes, size_t size, int least,
              int *orientation, struct err *err);

/* Refuses what has no pixels or too many. */
int codec_check_size(const char *format, size_t width, size_t height,
                     struct err *err);

/* Refuses a file that is too small for what its header claims: `claimed` of
 * something (pixels, bytes) of which no `ratio` fit into one of its bytes. That
 * costs nothing, where decoding would have taken the memory for all of it to
 * find the end of the file. */
int codec_check_ratio(const char *format, size_t claimed, size_t size,
                      size_t ratio, struct err *err);

/* A buffer of at least `size` bytes; the old content is lost. */
uint8_t *codec_reserve(struct image_buffer *buffer, size_t size,
                       struct err *err);

/* `count` RGBA pixels over white as RGB; `rgb` may be `rgba`. */
void codec_over_white(const uint8_t *rgba, uint8_t *rgb, size_t count);

/* Of a picture decoded at its full size. */
void codec_set_size(struct image *image, int width, int height);

int codec_corrupt(struct err *err, const char *format, const char *reason);

#endif
