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

/* The shorter side to the wanted edge, the other with it; or, where that gets
 * too long, the longer side to its bound. */
static void fit_edge(const struct preprocess *p, int width, int height,
                     struct layout *l) {
    int from_shorter = width <= height ? width : height;
    int from_longer = width <= height ? height : width;
    int shorter = p->shortest_edge;
    int longer = clamp_side((double)shorter * from_longer / from_shorter);
    if (p->longest_edge && longer > p->longest_edge) {
        shorter = clamp_side((double)p->longest_edge * shorter / longer);
        longer = p->longest_edge;
    }
    l->width = width <= height ? shorter : longer;
    l->height = width <= height ? longer : shorter;
}

static struct layout lay_out(const struct preprocess *p, int width,
                             int height) {
    struct layout l = {width, height, 0, 0};
    if (p->resize && p->shortest_edge) {
        fit_edge(p, width, height, &l);
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
    if (!p->resize || p->filter == RESIZE_NEAREST)
        return 0; /* nearest takes single pixels: of the file, no others */
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
    for (int c = 0; c < p->channels; c++) {
        const float *table = p->table[c];
        const uint8_t *from = rgb + (p->flip_channels ? 2 - c : c);
        size_t step = p->channels_last ? (size_t)p->channels : 1;
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
    size_t channels = (size_t)p->channels;
    for (size_t i = 0; i < channels * plane; i++)
        tensor[i] = p->table[p->channels_last ? i % channels : i / plane][0];
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

static void describe_geometry(const struct preprocess *p, FILE *f) {
    const char *filter = resize_filter_name(p->filter);
    if (p->channels == 1)
        fprintf(f, "make it grey: the luma of ITU-R BT.601\n");
    if (p->resize && p->longest_edge)
        fprintf(f,
                "resize the shorter side to %d, the longer to no more than %d, "
                "%s\n",
                p->shortest_edge, p->longest_edge, filter);
    else if (p->resize && p->shortest_edge)
        fprintf(f, "resize the shorter side to %d, %s\n", p->shortest_edge,
                filter);
    else if (p->resize)
        fprintf(f, "resize to %d x %d, %s\n", p->resize_width, p->resize_height,
                filter);
    if (p->crop)
        fprintf(f, "cut out %d x %d in the centre\n", p->width, p->height);
}

static void describe_numbers(const struct preprocess *p, FILE *f) {
    const char *twice = p->divide_again ? " twice" : "";
    if (p->flip_channels)
        fprintf(f, "channels in the order blue, green, red\n");
    if (p->rescale && p->rescale_offset != 0)
        fprintf(f, "multiply by %.6g and subtract %g\n", p->rescale_factor,
                p->rescale_offset);
    else if (p->rescale && p->rescale_factor != 1)
        fprintf(f, "multiply by %.6g\n", p->rescale_factor);
    if (p->normalise && p->channels == 1)
        fprintf(f, "subtract %.4g and divide by %.4g%s\n", p->mean[0],
                p->std[0], twice);
    else if (p->normalise)
        fprintf(f,
                "subtract (%.4g, %.4g, %.4g) and divide by (%.4g, %.4g, "
                "%.4g)%s\n",
                p->mean[0], p->mean[1], p->mean[2], p->std[0], p->std[1],
                p->std[2], twice);
    fprintf(f,
            p->channels_last ? "feed as float32 (N, height, width, %d)\n"
                             : "feed as float32 (N, %d, height, width)\n",
            p->channels);
}

static void describe_views(const struct views *views, FILE *f) {
    if (views->count <= 1)
        return;
    fprintf(f, "look %d times at a larger picture, and average:", views->count);
    for (int i = 0; i < views->count; i++) {
        char view[64];
        fprintf(f, "%s %s", i ? ";" : "", view_describe(&views->list[i], view));
    }
    fprintf(f, "\n");
}

char *preprocess_describe(const struct preprocess *p) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    describe_geometry(p, f);
    describe_numbers(p, f);
    describe_views(&p->views, f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
