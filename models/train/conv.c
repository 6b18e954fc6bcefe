/*
 * Convolution, stride and padding the same in both directions.
 *
 * Weights are (KH, KW, C, K): the inner product over channels is then a plain
 * matrix product with (C, K), and transforms run along K. Two ways through:
 * 3x3 with stride 1 and padding 1 by Winograd (winograd.h), the rest by
 * unfolding patches into rows and one product with (KH*KW*C, K). Transformed
 * weights are packed for the engine's product (panels.h) once a step.
 *
 * A slice adds its weight gradients to an accumulator of its own, which
 * finish() sums in the order of slices. Under Winograd the accumulators stay
 * in the transformed domain, so the transform back is done once a step; and
 * where the transformed tensors of the whole batch are smaller than that many
 * accumulators (many channels, small images), they are kept instead, and
 * finish() has one long product for each of the points.
 */
#include "models/nn/gemm.h"
#include "models/train/floats.h"
#include "models/train/layer.h"
#include "models/train/panels.h"
#include "models/train/unfold.h"
#include "models/train/winograd.h"
#include "models/train/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tiles (Winograd) or output pixels (unfolded) that go through one product:
 * tall enough for the matrix product to run at speed, short enough that both
 * its sides stay in the caches. The gradient of the weights is summed over
 * them, which passes over all of its sums each time: that wants more. */
#define TILES_AT_ONCE 32
#define GRADIENT_TILES_AT_ONCE 128
#define PIXELS_AT_ONCE 1024

struct conv {
    bool winograd;
    struct winograd g;
    int images_at_once, gradient_images_at_once;
    size_t taps; /* KH*KW, or the planes of Winograd's transform */
    float *u;    /* (taps, C, K) transformed weights, before they are packed */
    struct product {
        struct panels panels;
        float *weights;  /* (taps) packed */
    } forward, backward; /* (C, K); (K, C) of the rotated kernel, for dx */
    bool whole;          /* dw is one product over the batch, of v and d: */
    float *v, *d;        /* (taps, tiles of the batch, C), and so many K */
    size_t plane_v, plane_d;
    float *accumulators; /* (LAYER_SLICES, taps, C, K); one where `whole` */
    float *bias_sums;    /* (LAYER_SLICES, K) */
    int images[LAYER_SLICES]; /* that a slice has gone back through */
};

static bool suits_winograd(const struct layer *l) {
    return l->spec.kernel == 3 && l->spec.stride == 1 && l->spec.padding == 1 &&
           l->in.channels >= SIMD_LANES && l->spec.channels >= SIMD_LANES;
}

static int images_at_once(const struct layer *l, int tiles) {
    int each = l->out.height * l->out.width, limit = PIXELS_AT_ONCE;
    if (suits_winograd(l)) {
        struct winograd g;
        winograd_shape(&g, l->in.height, l->in.width);
        each = g.tiles_y * g.tiles_x;
        limit = tiles;
    }
    return each >= limit ? 1 : limit / each;
}

static int conv_plan(struct layer *l, struct err *err) {
    struct layer_spec *spec = &l->spec;
    if (spec->stride == 0)
        spec->stride = 1;
    int height = l->in.height + 2 * spec->padding - spec->kernel;
    int width = l->in.width + 2 * spec->padding - spec->kernel;
    if (spec->kernel < 1 || spec->channels < 1 || height < 0 || width < 0)
        return err_set(err,
                       "a convolution of %dx%d to %d channels does not fit an "
                       "input of %dx%dx%d",
                       spec->kernel, spec->kernel, spec->channels, l->in.height,
                       l->in.width, l->in.channels);
    l->out = (struct shape){height / spec->stride + 1, width / spec->stride + 1,
                            spec->channels};
    size_t c = (size_t)l->in.channels, k = (size_t)spec->channels;
    size_t taps = (size_t)spec->kernel * (size_t)spec->kernel;
    l->params[l->params_count++] = (struct param){.name = "weight",
                                                  .count = taps * c * k,
                                                  .frozen = spec->whiten,
                                                  .lr_scale = 1};
    if (spec->bias)
        l->params[l->params_count++] =
            (struct param){.name = "bias",
                           .count = k,
                           .lr_scale = spec->lr_scale > 0 ? spec->lr_scale : 1};

    size_t images = (size_t)images_at_once(l, GRADIENT_TILES_AT_ONCE);
    if (suits_winograd(l)) {
        struct winograd g;
        winograd_shape(&g, l->in.height, l->in.width);
        size_t tiles = images * (size_t)(g.tiles_y * g.tiles_x);
        l->work_size = (size_t)g.planes *
                       (winograd_plane(tiles, c) + winograd_plane(tiles, k));
    } else {
        l->work_size =
            images * (size_t)(l->out.height * l->out.width) * taps * c;
    }
    return 0;
}

static void conv_close(struct layer *l) {
    struct conv *conv = l->state;
    if (!conv)
        return;
    free(conv->u);
    free(conv->forward.weights);
    free(conv->backward.weights);
    free(conv->v);
    free(conv->d);
    free(conv->accumulators);
    free(conv->bias_sums);
    free(conv);
    l->state = NULL;
}

static int open_product(struct product *p, size_t taps, int k, int n) {
    p->panels = panels_plan(k, n);
    p->weights = floats_new(taps * p->panels.size);
    return p->weights ? 0 : -1;
}

static int open_accumulators(const struct layer *l, struct conv *conv) {
    size_t c = (size_t)l->in.channels, k = (size_t)l->out.channels;
    size_t count = LAYER_SLICES;
    size_t tiles =
        (size_t)l->batch_max * (size_t)(conv->g.tiles_y * conv->g.tiles_x);

    conv->whole = conv->winograd && tiles * (c + k) < LAYER_SLICES * c * k;
    if (conv->whole) {
        count = 1;
        conv->plane_v = winograd_plane(tiles, c);
        conv->plane_d = winograd_plane(tiles, k);
        conv->v = floats_new(conv->taps * conv->plane_v);
        conv->d = floats_new(conv->taps * conv->plane_d);
        if (!conv->v || !conv->d)
            return -1;
    }
    conv->accumulators = floats_new(count * conv->taps * c * k);
    return conv->accumulators ? 0 : -1;
}

static int conv_open(struct layer *l, struct err *err) {
    struct conv *conv = calloc(1, sizeof *conv);
    if (!conv)
        return err_set(err, "no memory for a convolution");
    l->state = conv;
    conv->winograd = suits_winograd(l);
    conv->images_at_once = images_at_once(l, TILES_AT_ONCE);
    conv->gradient_images_at_once = images_at_once(l, GRADIENT_TILES_AT_ONCE);
    conv->taps = (size_t)l->spec.kernel * (size_t)l->spec.kernel;
    size_t size = (size_t)l->in.channels * (size_t)l->out.channels;
    if (conv->winograd) {
        winograd_shape(&conv->g, l->in.height, l->in.width);
        conv->taps = (size_t)conv->g.planes;
        conv->u = floats_new(conv->taps * size);
        if (!conv->u ||
            open_product(&conv->forward, conv->taps, l->in.channels,
                         l->out.channels) < 0 ||
            open_product(&conv->backward, conv->taps, l->out.channels,
                         l->in.channels) < 0)
            goto fail;
    }
    if (!l->params[0].frozen && open_accumulators(l, conv) < 0)
        goto fail;
    conv->bias_sums =
        calloc(LAYER_SLICES * (size_t)l->out.channels, sizeof *conv->bias_sums);
    if (!conv->bias_sums)
        goto fail;
    return 0;
fail:
    return err_set(err,
                   "no memory for the gradients of a convolution of %d to %d "
                   "channels",
                   l->in.channels, l->out.channels);
}

/* PyTorch's default, uniform within 1/sqrt(fan in); then the first C filters
 * of a 3x3 layer become the identity (dirac initialisation, Zagoruyko and
 * Komodakis 2017; section 3.2 of arXiv 2404.00498). */
static void conv_init(struct layer *l, struct rng *rng) {
    int c = l->in.channels, k = l->out.channels, size = l->spec.kernel;
    struct param *weight = &l->params[0];
    float bound = 1.0f / sqrtf((float)(size * size * c));

    for (size_t i = 0; i < weight->count; i++)
        weight->value[i] = rng_uniform(rng, -bound, bound);
    struct param *bias = layer_param(l, "bias");
    if (bias)
        memset(bias->value, 0, bias->count * sizeof *bias->value);
    if (size % 2 == 0 || l->spec.stride != 1)
        return;
    int centre = size / 2 * size + size / 2;
    for (int i = 0; i < c && i < k; i++)
        for (int tap = 0; tap < size * size; tap++)
            for (int ci = 0; ci < c; ci++)
                weight
                    ->value[((size_t)tap * (size_t)c + (size_t)ci) * (size_t)k +
                            (size_t)i] = tap == centre && ci == i ? 1.0f : 0.0f;
}

struct transform_job {
    struct layer *l;
    bool rotate;
};

#define TRANSFORM_PARTS 16

/* Rows from..to of u, which are columns of the product that gives dx. */
static void pack_rows(const struct conv *conv, size_t size, int from, int to,
                      bool rotated) {
    const struct product *f = &conv->forward, *b = &conv->backward;
    for (size_t p = 0; p < conv->taps; p++) {
        const float *u = conv->u + p * size;
        if (rotated)
            panels_pack_transposed(&b->panels, u, from, to,
                                   b->weights + p * b->panels.size);
        else
            panels_pack(&f->panels, u, from, to,
                        f->weights + p * f->panels.size);
    }
}

static void transform_part(void *arg, int item, int thread) {
    struct transform_job *job = arg;
    struct conv *conv = job->l->state;
    int c = job->l->in.channels, k = job->l->out.channels;
    int from = c * item / TRANSFORM_PARTS,
        to = c * (item + 1) / TRANSFORM_PARTS;
    (void)thread;
    for (int rotated = 0; rotated <= job->rotate; rotated++) {
        winograd_weights(&conv->g, job->l->params[0].value, c, k, rotated, from,
                         to, conv->u);
        pack_rows(conv, (size_t)c * (size_t)k, from, to, rotated);
    }
}

static void conv_begin(struct layer *l, struct team *team, bool training) {
    struct conv *conv = l->state;
    struct transform_job job = {l, training && l->needs_dx};
    if (conv->winograd)
        team_run(team, TRANSFORM_PARTS, transform_part, &job);
    memset(conv->images, 0, sizeof conv->images);
}

static void add_bias(float *y, size_t rows, size_t k, const float *bias) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < k; j++)
            y[i * k + j] += bias[j];
}

/* ---- Winograd ------------------------------------------------------------ */

/* x (images, H, W, C) -> y (images, H, W, K), C and K the product's k and n. */
static void winograd_convolve(const struct winograd *g,
                              const struct product *product, const float *x,
                              int images, float *work, float *y) {
    const struct panels *panels = &product->panels;
    int tiles = images * g->tiles_y * g->tiles_x;
    size_t plane_v = winograd_plane((size_t)tiles, (size_t)panels->k);
    size_t plane_m = winograd_plane((size_t)tiles, (size_t)panels->n);
    float *v = work, *m = work + (size_t)g->planes * plane_v;

    winograd_input(g, x, images, panels->k, v, plane_v);
    for (size_t p = 0; p < (size_t)g->planes; p++)
        panels_multiply(panels, v + p * plane_v, tiles,
                        product->weights + p * panels->size, m + p * plane_m);
    winograd_output(g, m, plane_m, images, panels->n, y);
}

static void winograd_gradient(const struct conv *conv, const float *x,
                              const float *dy, int images, int c, int k,
                              float *work, float *du, bool add) {
    const struct winograd *g = &conv->g;
    int tiles = images * g->tiles_y * g->tiles_x;
    size_t plane_v = winograd_plane((size_t)tiles, (size_t)c);
    size_t plane_d = winograd_plane((size_t)tiles, (size_t)k);
    float *v = work, *d = work + (size_t)g->planes * plane_v;

    winograd_input(g, x, images, c, v, plane_v);
    winograd_output_adjoint(g, dy, images, k, d, plane_d);
    for (size_t p = 0; p < (size_t)g->planes; p++)
        gemm(true, false, c, k, tiles, 1, v + p * plane_v, c, d + p * plane_d,
             k, add ? 1 : 0, du + p * (size_t)c * (size_t)k, k);
}

/* Leaves a slice's part of the two factors, for the product over the batch. */
static void winograd_factors(const struct layer *l, const struct slice *s,
                             const float *x, const float *dy) {
    const struct conv *conv = l->state;
    const struct winograd *g = &conv->g;
    int c = l->in.channels, k = l->out.channels;
    size_t tile = (size_t)s->first * (size_t)(g->tiles_y * g->tiles_x);
    winograd_input(g, x, s->count, c, conv->v + tile * (size_t)c,
                   conv->plane_v);
    winograd_output_adjoint(g, dy, s->count, k, conv->d + tile * (size_t)k,
                            conv->plane_d);
}

/* One of the points. */
static void multiply_factors(void *arg, int item, int thread) {
    const struct layer *l = arg;
    const struct conv *conv = l->state;
    int c = l->in.channels, k = l->out.channels, images = 0;
    size_t p = (size_t)item;
    (void)thread;

    for (int i = 0; i < LAYER_SLICES; i++)
        images += conv->images[i];
    gemm(true, false, c, k, images * conv->g.tiles_y * conv->g.tiles_x, 1,
         conv->v + p * conv->plane_v, c, conv->d + p * conv->plane_d, k, 0,
         conv->accumulators + p * (size_t)c * (size_t)k, k);
}

/* ---- unfolded ------------------------------------------------------------ */

static void unfolded_convolve(const struct layer *l, const float *x, int images,
                              float *work, float *y) {
    int k = l->out.channels, rows = images * l->out.height * l->out.width;
    int depth = l->spec.kernel * l->spec.kernel * l->in.channels;
    unfold(l, x, images, work);
    gemm(false, false, rows, k, depth, 1, work, depth, l->params[0].value, k, 0,
         y, k);
}

static void unfolded_gradient(const struct layer *l, const float *x,
                              const float *dy, int images, float *work,
                              float *dw, bool add) {
    int k = l->out.channels, rows = images * l->out.height * l->out.width;
    int depth = l->spec.kernel * l->spec.kernel * l->in.channels;
    unfold(l, x, images, work);
    gemm(true, false, depth, k, rows, 1, work, depth, dy, k, add ? 1 : 0, dw,
         k);
}

static void unfolded_input_gradient(const struct layer *l, const float *dy,
                                    int images, float *work, float *dx) {
    int k = l->out.channels, each = l->out.height * l->out.width;
    int depth = l->spec.kernel * l->spec.kernel * l->in.channels;
    gemm(false, true, images * each, depth, k, 1, dy, k, l->params[0].value, k,
         0, work, depth);
    for (int n = 0; n < images; n++)
        fold(l, work + (size_t)n * (size_t)each * (size_t)depth,
             dx + (size_t)n * shape_size(l->in));
}

/* ---- the layer ----------------------------------------------------------- */

/* Images of the slice from number n on, up to so many at once. */
static int images_from(const struct slice *s, int n, int at_once) {
    return s->count - n < at_once ? s->count - n : at_once;
}

static void conv_forward(struct layer *l, const struct slice *s, const float *x,
                         float *y) {
    const struct conv *conv = l->state;
    const struct param *bias = layer_param(l, "bias");
    size_t in = shape_size(l->in), out = shape_size(l->out);
    size_t k = (size_t)l->out.channels;

    for (int n = 0; n < s->count; n += conv->images_at_once) {
        int images = images_from(s, n, conv->images_at_once);
        const float *from = x + (size_t)n * in;
        float *to = y + (size_t)n * out;
        if (conv->winograd)
            winograd_convolve(&conv->g, &conv->forward, from, images, s->work,
                              to);
        else
            unfolded_convolve(l, from, images, s->work, to);
        if (bias)
            add_bias(to, (size_t)images * out / k, k, bias->value);
    }
}

static void sum_bias(const float *dy, size_t rows, size_t k, float *sums) {
    memset(sums, 0, k * sizeof *sums);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < k; j++)
            sums[j] += dy[i * k + j];
}

/* To the slice's accumulator, which begins with it unless `add`. */
static void add_gradient(const struct layer *l, const struct slice *s,
                         const float *x, const float *dy, int images,
                         bool add) {
    const struct conv *conv = l->state;
    int c = l->in.channels, k = l->out.channels;
    float *dw = conv->accumulators +
                (size_t)s->index * conv->taps * (size_t)c * (size_t)k;
    if (conv->winograd)
        winograd_gradient(conv, x, dy, images, c, k, s->work, dw, add);
    else
        unfolded_gradient(l, x, dy, images, s->work, dw, add);
}

static void learn(const struct layer *l, const struct slice *s, const float *x,
                  const float *dy) {
    const struct conv *conv = l->state;
    size_t in = shape_size(l->in), out = shape_size(l->out);

    for (int n = 0; n < s->count; n += conv->gradient_images_at_once) {
        int images = images_from(s, n, conv->gradient_images_at_once);
        add_gradient(l, s, x + (size_t)n * in, dy + (size_t)n * out, images,
                     n > 0);
    }
}

static void find_input_gradient(const struct layer *l, const struct slice *s,
                                const float *dy, float *dx) {
    const struct conv *conv = l->state;
    size_t in = shape_size(l->in), out = shape_size(l->out);

    for (int n = 0; n < s->count; n += conv->images_at_once) {
        int images = images_from(s, n, conv->images_at_once);
        const float *from = dy + (size_t)n * out;
        float *to = dx + (size_t)n * in;
        if (conv->winograd)
            winograd_convolve(&conv->g, &conv->backward, from, images, s->work,
                              to);
        else
            unfolded_input_gradient(l, from, images, s->work, to);
    }
}

static void conv_backward(struct layer *l, const struct slice *s,
                          const float *x, const float *dy, float *dx) {
    struct conv *conv = l->state;
    const struct param *bias = layer_param(l, "bias");
    size_t k = (size_t)l->out.channels;

    if (bias && !bias->frozen)
        sum_bias(dy, (size_t)s->count * shape_size(l->out) / k, k,
                 conv->bias_sums + (size_t)s->index * k);
    if (!l->params[0].frozen && conv->whole)
        winograd_factors(l, s, x, dy);
    else if (!l->params[0].frozen)
        learn(l, s, x, dy);
    if (dx)
        find_input_gradient(l, s, dy, dx);
    conv->images[s->index] = s->count;
}

/* Adds the slices' accumulators into the first one. */
static void sum_tap(void *arg, int tap, int thread) {
    struct layer *l = arg;
    struct conv *conv = l->state;
    size_t size = (size_t)l->in.channels * (size_t)l->out.channels;
    float *restrict sum = conv->accumulators + (size_t)tap * size;
    (void)thread;
    if (!conv->images[0]) /* a small batch leaves slices empty */
        memset(sum, 0, size * sizeof *sum);
    for (size_t i = 1; i < LAYER_SLICES; i++) {
        if (!conv->images[i])
            continue;
        const float *part = sum + i * conv->taps * size;
        for (size_t j = 0; j < size; j++)
            sum[j] += part[j];
    }
}

static void untransform_part(void *arg, int item, int thread) {
    struct layer *l = arg;
    struct conv *conv = l->state;
    int c = l->in.channels, k = l->out.channels;
    (void)thread;
    winograd_weights_adjoint(
        &conv->g, conv->accumulators, c, k, c * item / TRANSFORM_PARTS,
        c * (item + 1) / TRANSFORM_PARTS, l->params[0].grad);
}

static void conv_finish(struct layer *l, struct team *team) {
    struct conv *conv = l->state;
    struct param *weight = &l->params[0], *bias = layer_param(l, "bias");

    if (!weight->frozen) {
        if (conv->whole)
            team_run(team, conv->g.planes, multiply_factors, l);
        else
            team_run(team, (int)conv->taps, sum_tap, l);
        if (conv->winograd)
            team_run(team, TRANSFORM_PARTS, untransform_part, l);
        else
            memcpy(weight->grad, conv->accumulators,
                   weight->count * sizeof *weight->grad);
    }
    if (bias && !bias->frozen) {
        memset(bias->grad, 0, bias->count * sizeof *bias->grad);
        for (size_t i = 0; i < LAYER_SLICES; i++)
            for (size_t j = 0; conv->images[i] && j < bias->count; j++)
                bias->grad[j] += conv->bias_sums[i * bias->count + j];
    }
}

const struct layer_kind layer_conv = {
    .name = "conv",
    .keeps_input = true,
    .plan = conv_plan,
    .open = conv_open,
    .close = conv_close,
    .init = conv_init,
    .begin = conv_begin,
    .forward = conv_forward,
    .backward = conv_backward,
    .finish = conv_finish,
};
