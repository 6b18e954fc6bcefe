#include "common/clock.h"
#include "models/nn/model.h"
#include "models/nn/plan.h"

#include <stdlib.h>
#include <string.h>

struct nn_session {
    const struct nn_model *model;
    struct plan *plan;
    unsigned char *arena; /* every activation */
    void *scratch;
    int batch; /* of the last run */
    bool profiling;
    double *seconds; /* (plan->step_count) */
    struct nn_port outputs[GRAPH_PORTS_MAX];
};

/* ---- opening ------------------------------------------------------------ */

/* Dimension k of input i: what the file says, else what the caller says. */
static int concrete_dim(const struct nn_port *declared,
                        const struct nn_port *wanted, int k, int64_t *dim,
                        struct err *err) {
    *dim = declared->dims[k];
    if (wanted && wanted->dims[k] > 0) {
        if (*dim > 0 && *dim != wanted->dims[k])
            return err_set(err,
                           "the model fixes dimension %d of its input %s at "
                           "%lld, asked for is %lld",
                           k, declared->name, (long long)*dim,
                           (long long)wanted->dims[k]);
        *dim = wanted->dims[k];
    }
    if (*dim <= 0)
        return err_set(err,
                       "the model leaves dimension %d of its input %s open: "
                       "say how large it is",
                       k, declared->name);
    return 0;
}

static int concrete_port(const struct nn_port *declared,
                         const struct nn_port *wanted, int batch_max,
                         struct nn_port *port, struct err *err) {
    *port = *declared;
    if (wanted && wanted->rank == 0)
        wanted = NULL;
    if (wanted && wanted->rank != declared->rank)
        return err_set(err, "the model's input %s has %d dimensions, not %d",
                       declared->name, declared->rank, wanted->rank);
    for (int k = 0; k < port->rank; k++)
        if (k == 0 && declared->dims[0] < 0)
            port->dims[0] = batch_max;
        else if (k == 0)
            port->dims[0] = declared->dims[0];
        else if (concrete_dim(declared, wanted, k, &port->dims[k], err) < 0)
            return -1;
    return 0;
}

/* The batch to plan for; a file that fixes every first dimension has one. */
static int find_batch(const struct graph *graph, int asked, int *batch_max,
                      struct err *err) {
    *batch_max = asked > 0 ? asked : 1;
    if (*batch_max > PLAN_BATCH_MAX)
        return err_set(err,
                       "a batch of %d is more than the %d that are "
                       "accepted",
                       asked, PLAN_BATCH_MAX);
    for (int i = 0; i < graph->input_count; i++)
        if (graph->inputs[i].rank == 0 || graph->inputs[i].dims[0] < 0)
            return 0;
    int64_t fixed = graph->inputs[0].dims[0];
    if (asked > 0 && fixed != asked)
        return err_set(err,
                       "the model fixes its batch at %lld, asked for is %d: "
                       "export it with an open first dimension",
                       (long long)fixed, asked);
    if (fixed > PLAN_BATCH_MAX)
        return err_set(err,
                       "the model's batch of %lld is more than the %d "
                       "that are accepted",
                       (long long)fixed, PLAN_BATCH_MAX);
    *batch_max = (int)fixed;
    return 0;
}

static int make_plan(struct nn_session *s, const struct nn_options *options,
                     struct err *err) {
    const struct graph *graph = s->model->graph;
    const struct nn_options none = {0};
    struct nn_port ports[GRAPH_PORTS_MAX];
    int batch_max;
    if (!options)
        options = &none;
    if (find_batch(graph, options->batch_max, &batch_max, err) < 0)
        return -1;
    for (int i = 0; i < graph->input_count; i++)
        if (concrete_port(&graph->inputs[i],
                          options->shapes ? &options->shapes[i] : NULL,
                          batch_max, &ports[i], err) < 0)
            return -1;
    s->plan = plan_build(graph, ports, batch_max, s->model->cam.features, err);
    return s->plan ? plan_open(s->plan, err) : -1;
}

static void *allocate(size_t bytes) {
    bytes = (bytes + TENSOR_ALIGN) / TENSOR_ALIGN * TENSOR_ALIGN;
    return aligned_alloc(TENSOR_ALIGN, bytes);
}

/* Bytes of one image of a slot that has all of them. */
static size_t image_bytes(const struct plan *plan, int slot) {
    const struct tensor *t = &plan_tensors(plan, plan->batch_max)[slot];
    return tensor_bytes(t) / (size_t)plan->batch_max;
}

/* Tensors of a batch, or of the part of one that begins with image `first`,
 * point into the arena or to constants. */
static void bind_tensors(struct nn_session *s, int batch, int first) {
    const struct plan *plan = s->plan;
    struct tensor *tensors = plan_tensors(plan, batch);
    for (int i = 0; i < plan->slot_count; i++) {
        const struct slot *slot = &plan->slots[i];
        const struct slot *root = &plan->slots[slot->root];
        if (slot->constant)
            tensors[i].data = (void *)slot->constant; /* nobody writes there */
        else if (!slot->known)
            tensors[i].data = root->known
                                  ? plan_tensors(plan, batch)[slot->root].data
                                  : s->arena + root->offset + slot->at;
        if (first > 0 && root->whole && !slot->constant && !slot->known &&
            !root->known)
            tensors[i].data = (char *)tensors[i].data +
                              (size_t)first * image_bytes(plan, slot->root);
    }
}

static void describe_outputs(struct nn_session *s, int batch) {
    const struct tensor *tensors = plan_tensors(s->plan, batch);
    for (int i = 0; i < s->model->graph->output_count; i++) {
        const struct tensor *t = &tensors[s->plan->output_slots[i]];
        s->outputs[i] = (struct nn_port){
            .name = s->model->graph->outputs[i].name,
            .type = t->type,
            .rank = t->rank,
        };
        memcpy(s->outputs[i].dims, t->dims, sizeof t->dims);
    }
    s->batch = batch;
}

struct nn_session *nn_session_open(const struct nn_model *model,
                                   const struct nn_options *options,
                                   struct err *err) {
    struct nn_session *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, "no memory for a session");
        return NULL;
    }
    s->model = model;
    if (make_plan(s, options, err) < 0)
        goto fail;
    s->arena = allocate(s->plan->arena);
    s->scratch = allocate(s->plan->scratch);
    s->seconds = calloc((size_t)s->plan->step_count + 1, sizeof *s->seconds);
    if (!s->arena || !s->scratch || !s->seconds) {
        err_set(err, "no memory for a session of %zu MiB",
                (s->plan->arena + s->plan->scratch) >> 20);
        goto fail;
    }
    for (int i = 0; i < model->graph->input_count; i++) {
        const struct slot *slot = &s->plan->slots[s->plan->input_slots[i]];
        memset(s->arena + slot->offset, 0, slot->bytes);
    }
    int batch_max = s->plan->batch_max;
    for (int b = s->plan->batch_fixed ? batch_max : 1; b <= batch_max; b++)
        bind_tensors(s, b, 0);
    describe_outputs(s, batch_max);
    return s;
fail:
    nn_session_close(s);
    return NULL;
}

void nn_session_close(struct nn_session *s) {
    if (!s)
        return;
    plan_free(s->plan);
    free(s->arena);
    free(s->scratch);
    free(s->seconds);
    free(s);
}

/* ---- running ------------------------------------------------------------ */

static void run_steps(struct nn_session *s, const struct stretch *stretch,
                      struct tensor *tensors) {
    for (int i = stretch->first; i < stretch->end; i++) {
        const struct step *step = &s->plan->steps[i];
        step->kind->run(step, tensors, s->scratch);
    }
}

static void run_profiled(struct nn_session *s, const struct stretch *stretch,
                         struct tensor *tensors) {
    double before = clock_seconds();
    for (int i = stretch->first; i < stretch->end; i++) {
        const struct step *step = &s->plan->steps[i];
        step->kind->run(step, tensors, s->scratch);
        double now = clock_seconds();
        s->seconds[i] += now - before;
        before = now;
    }
}

/* Rows of tensors serve as whole batches and as parts, so they are bound again
 * each time where a plan has parts. */
static void run_stretch(struct nn_session *s, const struct stretch *stretch,
                        int batch) {
    bool divided = plan_is_divided(s->plan);
    for (int first = 0; first < batch; first += stretch->images) {
        int left = batch - first;
        int images = left < stretch->images ? left : stretch->images;
        if (divided)
            bind_tensors(s, images, first);
        (s->profiling ? run_profiled
                      : run_steps)(s, stretch, plan_tensors(s->plan, images));
    }
}

int nn_session_run(struct nn_session *s, int batch, struct err *err) {
    if (batch < 1 || batch > s->plan->batch_max ||
        (s->plan->batch_fixed && batch != s->plan->batch_max))
        return err_set(err, "a batch of %d does not fit a session for %s%d",
                       batch, s->plan->batch_fixed ? "exactly " : "1 to ",
                       s->plan->batch_max);
    for (int i = 0; i < s->plan->stretch_count; i++)
        run_stretch(s, &s->plan->stretches[i], batch);
    if (batch != s->batch)
        describe_outputs(s, batch);
    return 0;
}

void *nn_session_input(struct nn_session *s, int i) {
    return plan_tensors(s->plan, s->batch)[s->plan->input_slots[i]].data;
}

const void *nn_session_output(const struct nn_session *s, int i) {
    return plan_tensors(s->plan, s->batch)[s->plan->output_slots[i]].data;
}

const struct nn_port *nn_session_output_port(const struct nn_session *s,
                                             int i) {
    return &s->outputs[i];
}

size_t nn_session_memory(const struct nn_session *s) {
    size_t rows = s->plan->batch_fixed ? 1 : (size_t)s->plan->batch_max;
    size_t bytes = s->plan->arena + s->plan->scratch +
                   rows * (size_t)s->plan->slot_count * sizeof(struct tensor);
    for (int i = 0; i < s->plan->step_count; i++)
        bytes += s->plan->steps[i].kernel_bytes;
    return bytes;
}

/* ---- activation maps ---------------------------------------------------- */

/* A value's numbers, channels last where they are there so. */
static const struct tensor *tensor_of(const struct nn_session *s,
                                      const struct value *value) {
    const int *slots = s->plan->slot_of[value->index];
    int slot = slots[LAYOUT_CHANNELS_LAST] >= 0 ? slots[LAYOUT_CHANNELS_LAST]
                                                : slots[LAYOUT_PLAIN];
    return &plan_tensors(s->plan, s->batch)[slot];
}

bool nn_session_cam(const struct nn_session *s, struct nn_cam *out) {
    const struct cam *cam = &s->model->cam;
    if (!cam->features)
        return false;
    const struct tensor *t = tensor_of(s, cam->features);
    const struct tensor *pooled = tensor_of(s, cam->pooled);
    /* Of a model that leaves the size open, other sizes may have been pooled
     * to more than one pixel. */
    if (tensor_count(pooled) != (size_t)t->dims[0] * (size_t)t->dims[1])
        return false;
    ptrdiff_t pixels = (ptrdiff_t)(t->dims[2] * t->dims[3]);
    bool last = t->layout == LAYOUT_CHANNELS_LAST;
    *out = (struct nn_cam){
        .output = cam->output,
        .classes = cam->classes,
        .channels = cam->channels,
        .height = (int)t->dims[2],
        .width = (int)t->dims[3],
        .weights = cam->weights,
        .features = t->data,
        .stride_n = pixels * cam->channels,
        .stride_c = last ? 1 : pixels,
        .stride_h = (ptrdiff_t)t->dims[3] * (last ? cam->channels : 1),
        .stride_w = last ? cam->channels : 1,
    };
    return true;
}

/* ---- reports ------------------------------------------------------------ */

void nn_session_profile(struct nn_session *s, bool on) {
    s->profiling = on;
}

int nn_session_step_count(const struct nn_session *s) {
    return s->plan->step_count;
}

/* "[8, 64, 56, 56]" */
static void format_shape(const struct tensor *t, char *out, size_t size) {
    char text[160];
    const char *shape = strchr(tensor_text(t, text, sizeof text), '[');
    snprintf(out, size, "%s", shape ? shape : "");
}

void nn_session_step(const struct nn_session *s, int i,
                     struct nn_step_report *report) {
    const struct step *step = &s->plan->steps[i];
    const struct tensor *tensors = plan_tensors(s->plan, s->plan->batch_max);
    *report = (struct nn_step_report){
        .name = step->node ? graph_label(step->node) : step->output->name,
        .op = step->label,
        .algorithm = step->kind->algorithm ? step->kind->algorithm(step) : "",
        .flops = step->kind->flops(step, tensors),
        .seconds = s->seconds[i],
    };
    format_shape(&tensors[step->outputs[0]], report->shape,
                 sizeof report->shape);
}

int nn_session_edges(const struct nn_session *s, struct nn_edge *edges,
                     int max) {
    return plan_edges(s->plan, edges, max);
}
