#include "models/classifier/preprocess.h"
#include "models/classifier/codec.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the picture lies after resizing, and which part of it is cut out.
 * x and y are negative where the crop pads. */
struct layout {
    int width, height;
    int x, y;
};

/* Python's // and C's / differ for negative numbers. */
static int halve_down(int v) {
    return v >= 0 ? v / 2 : -((1 - v) / 2);
}

static int clamp_side(double v) {
    return v < 1 ? 1 : v > INT_MAX / 4 ? INT_MAX / 4 : (int)v;
}

static struct layout lay_out(const struct preprocess *p, int width,
                             int height) {
    struct layout l = {width, height, 0, 0};
    if (p->resize && p->shortest_edge) {
        double edge = p->shortest_edge;
        if (width <= height) {
            l.width = p->shortest_edge;
            l.height = clamp_side(edge * height / width);
        } else {
            l.width = clamp_side(edge * width / height);
            l.height = p->shortest_edge;
        }
    } else if (p->resize) {
        l.width = p->resize_width;
        l.height = p->resize_height;
    }
    if (p->crop) {
        l.x = halve_down(l.width - p->width);
        l.y = halve_down(l.height - p->height);
    }
    return l;
}

int preprocess_least(const struct preprocess *p) {
    if (!p->resize)
        return 0;
    if (p->shortest_edge)
        return p->shortest_edge;
    return p->resize_width > p->resize_height ? p->resize_width
                                              : p->resize_height;
}

/* The part of [0, size) that a crop of `wanted` from `offset` covers. */
static int overlap(int offset, int wanted, int size, int *first) {
    int end = offset + wanted < size ? offset + wanted : size;
    *first = offset > 0 ? offset : 0;
    return end - *first;
}

/* RGB bytes (rows, columns) -> their place in the tensor, whose pixel (0, 0)
 * they start at `x`, `y` of. */
static void place(const struct preprocess *p, const uint8_t *rgb, int columns,
                  int rows, int x, int y, float *tensor) {
    size_t plane = (size_t)p->width * (size_t)p->height;
    for (int c = 0; c < 3; c++) {
        const float *table = p->table[c];
        const uint8_t *from = rgb + (p->flip_channels ? 2 - c : c);
        size_t step = p->channels_last ? 3 : 1;
        float *to = tensor + (p->channels_last ? (size_t)c : (size_t)c * plane);
        for (int row = 0; row < rows; row++) {
            float *out =
                to + ((size_t)(y + row) * (size_t)p->width + (size_t)x) * step;
            for (int i = 0; i < columns; i++, from += 3)
                out[(size_t)i * step] = table[*from];
        }
    }
}

/* Black, as the table gives it, for what the picture does not cover. */
static void pad(const struct preprocess *p, float *tensor) {
    size_t plane = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < 3 * plane; i++)
        tensor[i] = p->table[p->channels_last ? i % 3 : i / plane][0];
}

bool preprocess_is_small(const struct preprocess *p, int width, int height) {
    return width <= p->width && height <= p->height;
}

int preprocess_apply(const struct preprocess *p, struct preprocess_work *work,
                     const struct image *image, float *tensor,
                     struct err *err) {
    struct layout l = lay_out(p, image->shown_width, image->shown_height);
    struct resize_window window;
    window.width = overlap(l.x, p->width, l.width, &window.x);
    window.height = overlap(l.y, p->height, l.height, &window.y);
    size_t size = (size_t)window.width * (size_t)window.height * 3;
    uint8_t *rgb = codec_reserve(&work->window, size, err);
    if (!rgb)
        return -1;
    struct resize_source from = {
        .rgb = image->rgb,
        .width = image->width,
        .height = image->height,
        .box = image->box,
    };
    if (resize(&work->resizer, &from, p->filter, l.width, l.height, &window,
               rgb, err) < 0)
        return -1;
    if (window.width < p->width || window.height < p->height)
        pad(p, tensor);
    place(p, rgb, window.width, window.height, window.x - l.x, window.y - l.y,
          tensor);
    return 0;
}

void preprocess_region(const struct preprocess *p, int shown_width,
                       int shown_height, float region[4]) {
    struct layout l = lay_out(p, shown_width, shown_height);
    region[0] = (float)l.x / (float)l.width;
    region[1] = (float)l.y / (float)l.height;
    region[2] = (float)p->width / (float)l.width;
    region[3] = (float)p->height / (float)l.height;
}

void preprocess_work_trim(struct preprocess_work *work, size_t keep) {
    resizer_trim(&work->resizer, keep);
    if (work->window.capacity > keep) {
        free(work->window.bytes);
        work->window = (struct image_buffer){0};
    }
}

void preprocess_work_free(struct preprocess_work *work) {
    preprocess_work_trim(work, 0);
}

char *preprocess_describe(const struct preprocess *p) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    const char *filter = resize_filter_name(p->filter);
    if (p->resize && p->shortest_edge)
        fprintf(f, "resize the shorter side to %d, %s\n", p->shortest_edge,
                filter);
    else if (p->resize)
        fprintf(f, "resize to %d x %d, %s\n", p->resize_width, p->resize_height,
                filter);
    if (p->crop)
        fprintf(f, "cut out %d x %d in the centre\n", p->width, p->height);
    if (p->flip_channels)
        fprintf(f, "channels in the order blue, green, red\n");
    if (p->rescale && p->rescale_offset != 0)
        fprintf(f, "multiply by %.6g and subtract %g\n", p->rescale_factor,
                p->rescale_offset);
    else if (p->rescale && p->rescale_factor != 1)
        fprintf(f, "multiply by %.6g\n", p->rescale_factor);
    if (p->normalise)
        fprintf(f,
                "subtract (%.4g, %.4g, %.4g) and divide by (%.4g, %.4g, "
                "%.4g)%s\n",
                p->mean[0], p->mean[1], p->mean[2], p->std[0], p->std[1],
                p->std[2], p->divide_again ? " twice" : "");
    fprintf(f, "feed as float32 (N, %s)\n",
            p->channels_last ? "height, width, 3" : "3, height, width");
    if (p->views.count > 1)
        fprintf(f, "look %d times at a larger picture, and average:",
                p->views.count);
    for (int i = 0; p->views.count > 1 && i < p->views.count; i++) {
        char view[64];
        fprintf(f, "%s %s%s", i ? ";" : "",
                view_describe(&p->views.list[i], view),
                i == p->views.count - 1 ? "\n" : "");
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
