/*
 * y = scale * (x W + b), W (inputs, outputs). The fixed scale keeps logits
 * small at the start, and with them the first gradients (section 3.1 of
 * arXiv 2404.00498); inference folds it into W and b.
 */
#include "models/nn/gemm.h"
#include "models/train/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct linear {
    float *weight_sums; /* (LAYER_SLICES, inputs, outputs) */
    float *bias_sums;   /* (LAYER_SLICES, outputs) */
    bool touched[LAYER_SLICES];
};

static int linear_plan(struct layer *l, struct err *err) {
    (void)err;
    size_t k = (size_t)l->spec.channels;
    if (l->spec.scale <= 0)
        l->spec.scale = 1;
    l->out = (struct shape){1, 1, l->spec.channels};
    l->params[l->params_count++] = (struct param){
        .name = "weight", .count = shape_size(l->in) * k, .lr_scale = 1};
    if (l->spec.bias)
        l->params[l->params_count++] =
            (struct param){.name = "bias", .count = k, .lr_scale = 1};
    return 0;
}

static void linear_close(struct layer *l) {
    struct linear *linear = l->state;
    if (!linear)
        return;
    free(linear->weight_sums);
    free(linear->bias_sums);
    free(linear);
    l->state = NULL;
}

static int linear_open(struct layer *l, struct err *err) {
    struct linear *linear = calloc(1, sizeof *linear);
    if (!linear)
        return err_set(err, "no memory for a linear layer");
    l->state = linear;
    linear->weight_sums =
        calloc(LAYER_SLICES * l->params[0].count, sizeof *linear->weight_sums);
    linear->bias_sums = calloc(LAYER_SLICES * (size_t)l->spec.channels,
                               sizeof *linear->bias_sums);
    if (!linear->weight_sums || !linear->bias_sums)
        return err_set(err, "no memory for a linear layer");
    return 0;
}

/* PyTorch's default: uniform within 1/sqrt(fan in). */
static void linear_init(struct layer *l, struct rng *rng) {
    float bound = 1.0f / sqrtf((float)shape_size(l->in));
    for (int p = 0; p < l->params_count; p++)
        for (size_t i = 0; i < l->params[p].count; i++)
            l->params[p].value[i] = rng_uniform(rng, -bound, bound);
}

static void linear_begin(struct layer *l, struct team *team, bool training) {
    struct linear *linear = l->state;
    (void)team;
    (void)training;
    memset(linear->touched, 0, sizeof linear->touched);
}

static void linear_forward(struct layer *l, const struct slice *s,
                           const float *x, float *y) {
    int c = (int)shape_size(l->in), k = l->out.channels;
    const struct param *bias = layer_param(l, "bias");

    gemm(false, false, s->count, k, c, l->spec.scale, x, c, l->params[0].value,
         k, 0, y, k);
    for (int n = 0; bias && n < s->count; n++)
        for (int i = 0; i < k; i++)
            y[n * k + i] += l->spec.scale * bias->value[i];
}

static void linear_backward(struct layer *l, const struct slice *s,
                            const float *x, const float *dy, float *dx) {
    struct linear *linear = l->state;
    int c = (int)shape_size(l->in), k = l->out.channels;
    float *sums = linear->bias_sums + s->index * k;

    gemm(true, false, c, k, s->count, l->spec.scale, x, c, dy, k, 0,
         linear->weight_sums + (size_t)s->index * l->params[0].count, k);
    memset(sums, 0, (size_t)k * sizeof *sums);
    for (int n = 0; n < s->count; n++)
        for (int i = 0; i < k; i++)
            sums[i] += l->spec.scale * dy[n * k + i];
    linear->touched[s->index] = true;
    if (dx)
        gemm(false, true, s->count, c, k, l->spec.scale, dy, k,
             l->params[0].value, k, 0, dx, c);
}

static void add_slices(struct param *param, const float *sums,
                       const bool *touched) {
    memset(param->grad, 0, param->count * sizeof *param->grad);
    for (size_t j = 0; j < LAYER_SLICES; j++)
        for (size_t i = 0; touched[j] && i < param->count; i++)
            param->grad[i] += sums[j * param->count + i];
}

static void linear_finish(struct layer *l, struct team *team) {
    struct linear *linear = l->state;
    struct param *bias = layer_param(l, "bias");
    (void)team;
    add_slices(&l->params[0], linear->weight_sums, linear->touched);
    if (bias)
        add_slices(bias, linear->bias_sums, linear->touched);
}

const struct layer_kind layer_linear = {
    .name = "linear",
    .keeps_input = true,
    .plan = linear_plan,
    .open = linear_open,
    .close = linear_close,
    .init = linear_init,
    .begin = linear_begin,
    .forward = linear_forward,
    .backward = linear_backward,
    .finish = linear_finish,
};
