#include "models/train/network.h"

#include "models/nn/gemm.h"
#include "models/train/floats.h"

#include <stdlib.h>
#include <string.h>

void network_slice(int n, int index, struct slice *slice) {
    slice->index = index;
    slice->first = n * index / LAYER_SLICES;
    slice->count = n * (index + 1) / LAYER_SLICES - slice->first;
    slice->work = NULL;
}

/* ---- opening ------------------------------------------------------------- */

/* The shortcut into layer i. */
static int check_shortcut(const struct network *net, int i, struct err *err) {
    int from = i - net->layers[i].spec.shortcut;
    if (from < 0 || memcmp(&net->layers[from].out, &net->layers[i].in,
                           sizeof net->layers[i].in) != 0)
        return err_set(err,
                       "layer %d (%s): nothing of its shape is %d layers "
                       "before it",
                       i, net->layers[i].kind->name,
                       net->layers[i].spec.shortcut);
    return 0;
}

static int plan_layers(struct network *net, const struct layer_spec *table,
                       struct err *err) {
    struct shape shape = net->input;
    for (int i = 0; i < net->layers_count; i++) {
        struct layer *l = &net->layers[i];
        l->kind = table[i].kind;
        l->spec = table[i];
        l->in = shape;
        l->batch_max = net->batch_max;
        if (l->kind->plan(l, err) < 0)
            return err_prefix(err, "layer %d (%s)", i, l->kind->name);
        if (l->spec.shortcut > 0 && check_shortcut(net, i, err) < 0)
            return -1;
        shape = l->out;
        for (int p = 0; p < l->params_count; p++)
            net->count += l->params[p].count;
    }
    net->output = shape;
    return 0;
}

static int place_params(struct network *net, struct err *err) {
    size_t at = 0;
    net->values = calloc(net->count, sizeof *net->values);
    net->grads = calloc(net->count, sizeof *net->grads);
    net->momentum = calloc(net->count, sizeof *net->momentum);
    if (!net->values || !net->grads || !net->momentum)
        return err_set(err, "no memory for %zu parameters", net->count);
    for (int i = 0; i < net->layers_count; i++)
        for (int p = 0; p < net->layers[i].params_count; p++) {
            struct param *param = &net->layers[i].params[p];
            param->value = net->values + at;
            param->grad = net->grads + at;
            param->momentum = net->momentum + at;
            at += param->count;
        }
    return 0;
}

static float *new_batch(const struct network *net, struct shape shape) {
    return floats_new((size_t)net->batch_max * shape_size(shape));
}

static bool feeds_shortcut(const struct network *net, int layer) {
    for (int i = layer + 1; i < net->layers_count; i++)
        if (net->layers[i].spec.shortcut == i - layer)
            return true;
    return false;
}

/* Memory for the shortcut into layer i, whose source is kept by now. */
static int place_shortcut(struct network *net, int i) {
    struct layer *l = &net->layers[i];
    int from = i - l->spec.shortcut;
    if (l->spec.shortcut == 0)
        return 0;
    net->shortcut_grads[from] = new_batch(net, l->in);
    l->shortcut = net->kept[from];
    l->shortcut_grad = net->shortcut_grads[from];
    return l->shortcut_grad ? 0 : -1;
}

/* Which outputs are kept: those that the next layer's backward pass, a
 * shortcut, or the caller reads. */
static int place_tensors(struct network *net, struct err *err) {
    size_t largest = shape_size(net->input), work = 0;
    int last = net->layers_count - 1;

    for (int i = 0; i <= last; i++) {
        struct layer *l = &net->layers[i];
        if (shape_size(l->out) > largest)
            largest = shape_size(l->out);
        if (l->work_size > work)
            work = l->work_size;
        if (i == last || net->layers[i + 1].kind->keeps_input ||
            feeds_shortcut(net, i)) {
            net->kept[i] = new_batch(net, l->out);
            if (!net->kept[i])
                goto fail;
        }
        if (l->kind->gather) {
            net->kept_grads[i] = new_batch(net, l->out);
            if (!net->kept_grads[i])
                goto fail;
        }
        if (place_shortcut(net, i) < 0)
            goto fail;
    }
    size_t slice_images = (size_t)net->batch_max / LAYER_SLICES + 1;
    net->slice_floats = slice_images * largest;
    net->work_floats = work;
    net->scratch_each = 2 * net->slice_floats + work;
    net->scratch =
        floats_new((size_t)team_threads(net->team) * net->scratch_each);
    net->batch = new_batch(net, net->input);
    net->logit_grads = new_batch(net, net->output);
    if (!net->scratch || !net->batch || !net->logit_grads)
        goto fail;
    return 0;
fail:
    return err_set(err, "no memory for a batch of %d images: use a smaller one",
                   net->batch_max);
}

struct network *network_open(const struct layer_spec *table, int rows,
                             struct shape input, int batch_max,
                             struct team *team, struct err *err) {
    struct network *net = calloc(1, sizeof *net);
    if (!net) {
        err_set(err, "no memory for a network");
        return NULL;
    }
    net->input = input;
    net->batch_max = batch_max;
    net->team = team;
    net->layers = calloc((size_t)rows, sizeof *net->layers);
    net->kept = calloc((size_t)rows, sizeof *net->kept);
    net->kept_grads = calloc((size_t)rows, sizeof *net->kept_grads);
    net->shortcut_grads = calloc((size_t)rows, sizeof *net->shortcut_grads);
    if (!net->layers || !net->kept || !net->kept_grads ||
        !net->shortcut_grads) {
        err_set(err, "no memory for %d layers", rows);
        goto fail;
    }
    net->layers_count = rows;
    if (plan_layers(net, table, err) < 0 || place_params(net, err) < 0 ||
        place_tensors(net, err) < 0)
        goto fail;
    for (int i = 0; i < rows; i++)
        if (net->layers[i].kind->open &&
            net->layers[i].kind->open(&net->layers[i], err) < 0)
            goto fail;
    network_set_epoch(net, 0);
    gemm_init();
    return net;
fail:
    network_free(net);
    return NULL;
}

void network_free(struct network *net) {
    if (!net)
        return;
    for (int i = 0; i < net->layers_count; i++) {
        struct layer *l = &net->layers[i];
        if (l->kind && l->kind->close)
            l->kind->close(l);
        free(net->kept[i]);
        free(net->kept_grads[i]);
        free(net->shortcut_grads[i]);
    }
    free(net->layers);
    free(net->kept);
    free(net->kept_grads);
    free(net->shortcut_grads);
    free(net->values);
    free(net->grads);
    free(net->momentum);
    free(net->batch);
    free(net->logit_grads);
    free(net->scratch);
    free(net);
}

void network_init(struct network *net, uint64_t seed) {
    memset(net->momentum, 0, net->count * sizeof *net->momentum);
    for (int i = 0; i < net->layers_count; i++) {
        struct rng rng;
        rng_seed(&rng, seed, (uint64_t)i);
        if (net->layers[i].kind->init)
            net->layers[i].kind->init(&net->layers[i], &rng);
    }
}

static bool is_fixed(const struct layer *l, const struct param *param,
                     int epoch) {
    if (strcmp(param->name, "weight") == 0)
        return l->spec.whiten;
    return strcmp(param->name, "bias") == 0 && l->spec.bias_epochs > 0 &&
           epoch >= l->spec.bias_epochs;
}

void network_set_epoch(struct network *net, int epoch) {
    bool learns = false;
    for (int i = 0; i < net->layers_count; i++) {
        struct layer *l = &net->layers[i];
        bool waits = epoch < net->frozen_epochs && i < net->layers_count - 1;
        l->needs_dx = learns;
        for (int p = 0; p < l->params_count; p++) {
            struct param *param = &l->params[p];
            param->frozen = waits || is_fixed(l, param, epoch);
            learns |= !param->frozen && !param->statistic;
        }
    }
}

float *network_input(struct network *net) {
    return net->batch;
}

const float *network_logits(const struct network *net) {
    return net->kept[net->layers_count - 1];
}

size_t network_parameters(const struct network *net) {
    size_t count = 0;
    for (int i = 0; i < net->layers_count; i++)
        for (int p = 0; p < net->layers[i].params_count; p++)
            if (!net->layers[i].params[p].statistic)
                count += net->layers[i].params[p].count;
    return count;
}

/* ---- running ------------------------------------------------------------- */

struct job {
    struct network *net;
    int n;
    int from, to; /* layers of the segment; `to` is only gathered */
    bool training;
    const uint16_t *labels;
    float smoothing;
    struct loss losses[LAYER_SLICES];
};

/* The slice's part of a tensor of the whole batch. */
static float *part(float *tensor, struct shape shape, const struct slice *s) {
    return tensor + (size_t)s->first * shape_size(shape);
}

static float *thread_buffer(const struct network *net, int thread, int which) {
    return net->scratch + (size_t)thread * net->scratch_each +
           (size_t)which * net->slice_floats;
}

static struct slice take_slice(const struct job *job, int item, int thread) {
    struct slice s;
    network_slice(job->n, item, &s);
    s.work = thread_buffer(job->net, thread, 2);
    return s;
}

/* What layer i reads: a kept tensor, or NULL where it was in scratch. */
static const float *kept_input(const struct network *net, int i,
                               const struct slice *s) {
    if (i == 0)
        return part(net->batch, net->input, s);
    return net->kept[i - 1] ? part(net->kept[i - 1], net->layers[i].in, s)
                            : NULL;
}

static void forward_slice(void *arg, int item, int thread) {
    struct job *job = arg;
    struct network *net = job->net;
    struct slice s = take_slice(job, item, thread);
    const float *x = kept_input(net, job->from, &s);

    for (int i = job->from; i < job->to; i++) {
        struct layer *l = &net->layers[i];
        float *y = net->kept[i] ? part(net->kept[i], l->out, &s)
                                : thread_buffer(net, thread, i % 2);
        if (!job->training && l->kind->infer)
            l->kind->infer(l, &s, x, y);
        else
            l->kind->forward(l, &s, x, y);
        x = y;
    }
    if (job->to < net->layers_count)
        net->layers[job->to].kind->gather(&net->layers[job->to], &s, x);
}

static void forward(struct job *job) {
    struct network *net = job->net;
    int count = net->layers_count;

    for (int i = 0; i < count; i++)
        if (net->layers[i].kind->begin)
            net->layers[i].kind->begin(&net->layers[i], net->team,
                                       job->training);
    job->to = 0;
    while (job->to < count) {
        bool starts_gathered = job->to > 0;
        job->from = job->to;
        job->to += starts_gathered;
        while (job->to < count &&
               !(job->training && net->layers[job->to].kind->gather))
            job->to++;
        team_run(net->team, LAYER_SLICES, forward_slice, job);
        if (job->to < count)
            net->layers[job->to].kind->reduce(&net->layers[job->to], job->n);
    }
}

static void loss_slice(void *arg, int item, int thread) {
    struct job *job = arg;
    struct network *net = job->net;
    struct slice s = take_slice(job, item, thread);
    int last = net->layers_count - 1;

    loss_softmax(part(net->kept[last], net->output, &s), job->labels + s.first,
                 s.count, net->output.channels, job->smoothing,
                 net->class_weights, part(net->logit_grads, net->output, &s),
                 &job->losses[item]);
}

/* Layer i's output went further than to the layer after it: `grad` becomes
 * the sum of what both paths bring back. */
static void add_shortcut(const struct network *net, int i,
                         const struct slice *s, float *grad) {
    const struct layer *l = &net->layers[i];
    if (!net->shortcut_grads[i])
        return;
    const float *more = part(net->shortcut_grads[i], l->out, s);
    size_t count = (size_t)s->count * shape_size(l->out);
    for (size_t k = 0; k < count; k++)
        grad[k] += more[k];
}

/* Layers from..to+1 downwards; `to`, if there is one, is only gathered. */
static void backward_slice(void *arg, int item, int thread) {
    struct job *job = arg;
    struct network *net = job->net;
    struct slice s = take_slice(job, item, thread);
    struct layer *first = &net->layers[job->from];
    const float *dy =
        part(job->from == net->layers_count - 1 ? net->logit_grads
                                                : net->kept_grads[job->from],
             first->out, &s);

    for (int i = job->from; i > job->to; i--) {
        struct layer *l = &net->layers[i];
        float *dx = thread_buffer(net, thread, i % 2);
        if (i > 0 && net->kept_grads[i - 1])
            dx = part(net->kept_grads[i - 1], l->in, &s);
        if (!l->needs_dx)
            dx = NULL;
        l->kind->backward(l, &s, kept_input(net, i, &s), dy, dx);
        if (!dx)
            return;
        if (i > 0)
            add_shortcut(net, i - 1, &s, dx);
        dy = dx;
    }
    if (job->to >= 0)
        net->layers[job->to].kind->gather_backward(
            &net->layers[job->to], &s, kept_input(net, job->to, &s), dy);
}

static void backward(struct job *job) {
    struct network *net = job->net;

    job->to = net->layers_count - 1;
    for (;;) {
        job->from = job->to;
        job->to = job->from - 1;
        while (job->to >= 0 && !net->layers[job->to].kind->gather)
            job->to--;
        team_run(net->team, LAYER_SLICES, backward_slice, job);
        if (job->to < 0)
            break;
        struct layer *l = &net->layers[job->to];
        l->kind->reduce_backward(l, job->n);
        if (!l->needs_dx)
            break;
    }
    for (int i = 0; i < net->layers_count; i++)
        if (net->layers[i].kind->finish)
            net->layers[i].kind->finish(&net->layers[i], net->team);
}

void network_step(struct network *net, int n, const uint16_t *labels,
                  float smoothing, struct loss *loss) {
    struct job job = {.net = net,
                      .n = n,
                      .training = true,
                      .labels = labels,
                      .smoothing = smoothing};
    forward(&job);
    team_run(net->team, LAYER_SLICES, loss_slice, &job);
    for (int i = 0; i < LAYER_SLICES; i++) {
        loss->sum += job.losses[i].sum;
        loss->correct += job.losses[i].correct;
        loss->classed += job.losses[i].classed;
    }
    backward(&job);
}

void network_infer(struct network *net, int n) {
    struct job job = {.net = net, .n = n, .training = false};
    forward(&job);
}

void network_measure(struct network *net, int n) {
    struct job job = {.net = net, .n = n, .training = true};
    forward(&job);
}

void network_average_statistics(struct network *net, int n, int before) {
    float usual = 0;
    for (int i = 0; i < net->layers_count; i++) {
        struct layer_spec *spec = &net->layers[i].spec;
        if (spec->kind != &layer_batchnorm)
            continue;
        usual = spec->momentum;
        spec->momentum = (float)before / (float)(before + 1);
    }
    network_measure(net, n);
    for (int i = 0; i < net->layers_count; i++)
        if (net->layers[i].kind == &layer_batchnorm)
            net->layers[i].spec.momentum = usual;
}

const float *network_features(const struct network *net, struct shape *shape) {
    for (int i = 1; i < net->layers_count; i++)
        if (net->layers[i].kind == &layer_global_average) {
            *shape = net->layers[i].in;
            return net->kept[i - 1];
        }
    return NULL;
}

const float *network_pooled(const struct network *net) {
    return net->kept[net->layers_count - 2];
}
