/*
 * resize: antialiased resampling of RGB bytes, with Pillow's numbers.
 *
 *     struct resizer r = {0};
 *     struct resize_source from = {rgb, 640, 480, {0, 0, 640, 480}};
 *     struct resize_window all = {0, 0, 256, 192};
 *     resize(&r, &from, RESIZE_BILINEAR, 256, 192, &all, out, &err);
 *     resizer_free(&r);
 *
 * Networks are trained on pictures that Pillow made small, and a network is
 * worse at pictures made small in another way. So this is Pillow's method
 * (src/libImaging/Resample.c, version 9.4): the filter's support widens with
 * the reduction, rows first and then columns, weights in fixed point of 22
 * bits, each pass rounded to bytes. The bytes come out equal, bit for bit.
 */
#ifndef CONVOY_RESIZE_H
#define CONVOY_RESIZE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/* Pillow's numbers, as `resample` in preprocessor_config.json. */
enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_LANCZOS,
    RESIZE_BILINEAR,
    RESIZE_BICUBIC,
    RESIZE_BOX,
    RESIZE_HAMMING,
    RESIZE_FILTERS
};

const char *resize_filter_name(enum resize_filter filter); /* "bilinear" */

struct resize_source {
    const uint8_t *rgb; /* (height, width, 3) */
    int width, height;
    /* The part that is resized, in pixels. Not all of it where a column or row
     * at the rim is only partly covered, as after decoding a JPEG at a
     * fraction of its size. */
    struct resize_box {
        double x, y, width, height;
    } box;
};

/* Which part of the resized picture is wanted: computing no more than that
 * makes resize-and-crop one step. */
struct resize_window {
    int x, y, width, height;
};

/* Scratch, grown as needed and kept from one resize to the next. */
struct resizer {
    void *bytes;
    size_t capacity;
};

/* Writes the window of `from` resized to width x height: (window->height,
 * window->width, 3). The window must lie inside width x height. Fails only
 * for want of memory. */
int resize(struct resizer *r, const struct resize_source *from,
           enum resize_filter filter, int width, int height,
           const struct resize_window *window, uint8_t *out, struct err *err);

void resizer_trim(struct resizer *r, size_t keep);
void resizer_free(struct resizer *r);

#endif
