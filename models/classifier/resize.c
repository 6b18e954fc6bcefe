/*
 * Two passes: `across` makes of each source row that the window needs a row
 * of the window's width; `down` makes of these rows the window's rows. The
 * scratch block holds, one behind the other: the weights across, the weights
 * down, and the rows in between.
 *
 * Both passes are compiled for AVX2 as well and chosen at run time.
 */
#include "models/classifier/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_BITS 22 /* 32 bits less 8 of the pixel and 2 for overshoot */

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define PER_TARGET __attribute__((target_clones("avx2", "default")))
#else
#define PER_TARGET
#endif

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double hamming(double x) {
    x = fabs(x);
    if (x == 0.0)
        return 1.0;
    if (x >= 1.0)
        return 0.0;
    x *= M_PI;
    return sin(x) / x * (0.54 + 0.46 * cos(x));
}

static double cubic(double x) /* Keys, with a = -0.5 */
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0)
        return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    const char *name;
    double support;
    double (*weight)(double);
} filters[RESIZE_FILTERS] = {
    [RESIZE_NEAREST] = {"nearest", 0, NULL},
    [RESIZE_LANCZOS] = {"lanczos", 3, lanczos},
    [RESIZE_BILINEAR] = {"bilinear", 1, triangle},
    [RESIZE_BICUBIC] = {"bicubic", 2, cubic},
    [RESIZE_BOX] = {"box", 0.5, box},
    [RESIZE_HAMMING] = {"hamming", 1, hamming},
};

const char *resize_filter_name(enum resize_filter filter) {
    return filters[filter].name;
}

/* Where one pixel of the result gets its value: `count` pixels from `first`,
 * weighted by axis.weights[i * taps ...]. */
struct span {
    int first, count;
};

struct axis {
    int size;              /* pixels of the source */
    double origin, length; /* the part of them that is resized */
    int out;               /* pixels of the result */
    int from, count;       /* of them, those wanted */
    int taps;              /* most weights of one pixel */
    struct span *spans;    /* (count) */
    int32_t *weights;      /* (count, taps) */
};

static struct axis make_axis(int size, double origin, double length, int out,
                             int from, int count, enum resize_filter filter) {
    struct axis axis = {.size = size,
                        .origin = origin,
                        .length = length,
                        .out = out,
                        .from = from,
                        .count = count};
    double scale = length / out;
    double reach = filters[filter].support * (scale < 1.0 ? 1.0 : scale);
    axis.taps = (int)ceil(reach) * 2 + 1;
    return axis;
}

static size_t axis_bytes(const struct axis *axis) {
    return (size_t)axis->count *
           (sizeof *axis->spans + (size_t)axis->taps * sizeof *axis->weights);
}

/* The weights of one pixel of the result, as precompute_coeffs() and
 * normalize_coeffs_8bpc() in Pillow. They are computed twice, first for their
 * sum: cheaper than a place to keep them as doubles. */
static void weigh(const struct axis *axis, enum resize_filter filter, int i) {
    double scale = axis->length / axis->out;
    double widen = scale < 1.0 ? 1.0 : scale;
    double reach = filters[filter].support * widen;
    double center = axis->origin + (axis->from + i + 0.5) * scale;
    double step = 1.0 / widen;
    int first = (int)(center - reach + 0.5);
    if (first < 0)
        first = 0;
    int end = (int)(center + reach + 0.5);
    if (end > axis->size)
        end = axis->size;
    double sum = 0;
    for (int x = first; x < end; x++)
        sum += filters[filter].weight((x - center + 0.5) * step);
    int32_t *weights = axis->weights + (size_t)i * (size_t)axis->taps;
    for (int x = first; x < end; x++) {
        double w = filters[filter].weight((x - center + 0.5) * step);
        if (sum != 0.0)
            w /= sum;
        w *= 1 << WEIGHT_BITS;
        weights[x - first] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    axis->spans[i] = (struct span){first, end - first};
}

static inline uint8_t to_byte(int32_t sum) {
    sum >>= WEIGHT_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One row: `row` (size, 3) -> out (count, 3). */
PER_TARGET static void across(const struct axis *axis,
                              const uint8_t *restrict row,
                              uint8_t *restrict out) {
    for (int i = 0; i < axis->count; i++) {
        const int32_t *w = axis->weights + (size_t)i * (size_t)axis->taps;
        const uint8_t *p = row + 3 * (size_t)axis->spans[i].first;
        int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
        for (int k = 0; k < axis->spans[i].count; k++) {
            r += p[3 * k] * w[k];
            g += p[3 * k + 1] * w[k];
            b += p[3 * k + 2] * w[k];
        }
        out[3 * i] = to_byte(r);
        out[3 * i + 1] = to_byte(g);
        out[3 * i + 2] = to_byte(b);
    }
}

/* One row of the result: `rows` (count, width) weighted -> out (width). Sums
 * of a stretch are kept in registers or the first cache. */
PER_TARGET static void down(const uint8_t *restrict rows, size_t width,
                            const int32_t *restrict w, int count,
                            uint8_t *restrict out) {
    enum { STRETCH = 256 };
    int32_t sums[STRETCH];
    for (size_t x = 0; x < width; x += STRETCH) {
        size_t n = width - x < STRETCH ? width - x : STRETCH;
        for (size_t i = 0; i < n; i++)
            sums[i] = 1 << (WEIGHT_BITS - 1);
        for (int k = 0; k < count; k++) {
            const uint8_t *p = rows + (size_t)k * width + x;
            for (size_t i = 0; i < n; i++)
                sums[i] += p[i] * w[k];
        }
        for (size_t i = 0; i < n; i++)
            out[x + i] = to_byte(sums[i]);
    }
}

static int reserve(struct resizer *r, size_t size, struct err *err) {
    if (r->capacity < size) {
        free(r->bytes);
        r->bytes = malloc(size);
        r->capacity = r->bytes ? size : 0;
    }
    return r->bytes ? 0
                    : err_problem(err, "image-too-large",
                                  "not enough memory to resize the image");
}

/* Pillow adds the step again and again, so this does; a product would round
 * another way. */
static void nearest_columns(int *columns, const struct axis *axis) {
    double step = axis->length / axis->out;
    double at = axis->origin + step * 0.5;
    for (int i = 0; i < axis->from + axis->count; i++, at += step)
        if (i >= axis->from)
            columns[i - axis->from] =
                at < axis->size ? (int)at : axis->size - 1;
}

static int nearest(struct resizer *r, const struct resize_source *from,
                   const struct axis *x_axis, const struct axis *y_axis,
                   uint8_t *out, struct err *err) {
    size_t columns = (size_t)x_axis->count, rows = (size_t)y_axis->count;
    if (reserve(r, (columns + rows) * sizeof(int), err) < 0)
        return -1;
    int *xs = r->bytes, *ys = xs + columns;
    nearest_columns(xs, x_axis);
    nearest_columns(ys, y_axis);
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *row =
            from->rgb + 3 * (size_t)ys[y] * (size_t)from->width;
        for (size_t x = 0; x < columns; x++, out += 3)
            memcpy(out, row + 3 * (size_t)xs[x], 3);
    }
    return 0;
}

int resize(struct resizer *r, const struct resize_source *from,
           enum resize_filter filter, int width, int height,
           const struct resize_window *window, uint8_t *out, struct err *err) {
    const struct resize_box *box = &from->box;
    struct axis x_axis = make_axis(from->width, box->x, box->width, width,
                                   window->x, window->width, filter);
    struct axis y_axis = make_axis(from->height, box->y, box->height, height,
                                   window->y, window->height, filter);
    if (filter == RESIZE_NEAREST)
        return nearest(r, from, &x_axis, &y_axis, out, err);

    /* The rows in between cannot be more than the source has. */
    size_t row = (size_t)window->width * 3;
    size_t weights = axis_bytes(&x_axis) + axis_bytes(&y_axis);
    if (reserve(r, weights + row * (size_t)from->height, err) < 0)
        return -1;
    x_axis.spans = r->bytes;
    y_axis.spans = x_axis.spans + x_axis.count;
    x_axis.weights = (int32_t *)(y_axis.spans + y_axis.count);
    y_axis.weights =
        x_axis.weights + (size_t)x_axis.count * (size_t)x_axis.taps;
    uint8_t *rows = (uint8_t *)r->bytes + weights;
    for (int i = 0; i < x_axis.count; i++)
        weigh(&x_axis, filter, i);
    for (int i = 0; i < y_axis.count; i++)
        weigh(&y_axis, filter, i);

    struct span last = y_axis.spans[y_axis.count - 1];
    int first = y_axis.spans[0].first, end = last.first + last.count;
    for (int y = first; y < end; y++)
        across(&x_axis, from->rgb + 3 * (size_t)y * (size_t)from->width,
               rows + row * (size_t)(y - first));
    for (int i = 0; i < y_axis.count; i++)
        down(rows + row * (size_t)(y_axis.spans[i].first - first), row,
             y_axis.weights + (size_t)i * (size_t)y_axis.taps,
             y_axis.spans[i].count, out + row * (size_t)i);
    return 0;
}

void resizer_trim(struct resizer *r, size_t keep) {
    if (r->capacity > keep) {
        free(r->bytes);
        *r = (struct resizer){0};
    }
}

void resizer_free(struct resizer *r) {
    resizer_trim(r, 0);
}
