#include "models/nn/plan.h"

#include <stdlib.h>
#include <string.h>

/* What all activations of a session may take together; beyond that the sizes
 * of a file are a mistake or an attack. */
#ifndef PLAN_ARENA_MAX
#define PLAN_ARENA_MAX ((size_t)16 << 30)
#endif

struct plan_block {
    struct plan_block *next;
    _Alignas(TENSOR_ALIGN) unsigned char bytes[];
};

void *plan_alloc(struct plan *plan, size_t size, struct err *err) {
    size_t bytes = sizeof(struct plan_block) + size;
    bytes = (bytes + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
    struct plan_block *block = aligned_alloc(TENSOR_ALIGN, bytes);
    if (!block) {
        err_set(err, "no memory for a plan (%zu bytes)", size);
        return NULL;
    }
    memset(block, 0, bytes);
    block->next = plan->blocks;
    plan->blocks = block;
    return block->bytes;
}

struct step *plan_add_step(struct plan *plan, struct err *err) {
    if (plan->step_count == plan->step_room) {
        int room = plan->step_room ? 2 * plan->step_room : 64;
        struct step *steps = realloc(plan->steps, (size_t)room * sizeof *steps);
        if (!steps) {
            err_set(err, "no memory for %d steps", room);
            return NULL;
        }
        plan->steps = steps;
        plan->step_room = room;
    }
    struct step *step = &plan->steps[plan->step_count++];
    *step = (struct step){.residual_slot = -1};
    return step;
}

void plan_free(struct plan *plan) {
    if (!plan)
        return;
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kernel)
            plan->steps[i].kind->close(plan->steps[i].kernel);
    for (struct plan_block *block = plan->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(plan->steps);
    free(plan->stretches);
    free(plan->slots);
    free(plan->slot_of);
    free(plan->tensors);
    free(plan);
}

struct tensor *plan_tensors(const struct plan *plan, int batch) {
    int row = plan->batch_fixed ? 0 : batch - 1;
    return plan->tensors + (size_t)row * (size_t)plan->slot_count;
}

/* ---- one batch ---------------------------------------------------------- */

static bool depends_on_batch(const struct graph *graph, int i) {
    return graph->inputs[i].rank > 0 && graph->inputs[i].dims[0] < 0;
}

static void ports_for(const struct plan *plan, int batch,
                      struct nn_port ports[GRAPH_PORTS_MAX]) {
    memcpy(ports, plan->ports, sizeof plan->ports);
    for (int i = 0; i < plan->graph->input_count; i++)
        if (depends_on_batch(plan->graph, i))
            ports[i].dims[0] = batch;
}

static bool same_but_first(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank &&
           (a->rank == 0 ||
            memcmp(a->dims + 1, b->dims + 1,
                   (size_t)(a->rank - 1) * sizeof *a->dims) == 0);
}

/* Kernels are opened for the largest batch: none may have more numbers, and
 * some must have the same of each image. */
static bool slot_fits(const struct plan *plan, const struct step *step,
                      int slot, int batch) {
    const struct tensor *largest = plan_tensors(plan, plan->batch_max) + slot;
    const struct tensor *now = plan_tensors(plan, batch) + slot;
    return tensor_count(now) <= tensor_count(largest) &&
           now->type == largest->type &&
           (!step->kind->per_image || same_but_first(largest, now));
}

static bool kernel_fits(const struct plan *plan, const struct step *step,
                        const struct shapes *shapes, int batch) {
    const struct tensor *now = plan_tensors(plan, batch);
    if (!step->kind->takes(step->node, shapes->values))
        return false;
    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i] >= 0 &&
            !slot_fits(plan, step, step->inputs[i], batch))
            return false;
    return slot_fits(plan, step, step->outputs[0], batch) &&
           (step->residual_slot < 0 ||
            tensor_same_shape(&now[step->residual_slot],
                              &now[step->outputs[0]]));
}

static int check_steps(struct plan *plan, const struct shapes *shapes,
                       int batch, struct err *err) {
    for (int i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        size_t scratch =
            step->kind->measure
                ? step->kind->measure(step, plan_tensors(plan, batch))
                : 0;
        if (scratch > step->scratch)
            step->scratch = scratch;
        if (step->kind != &step_convert && step->kind != &step_operator &&
            !kernel_fits(plan, step, shapes, batch)) {
            err_set(err,
                    "a batch of %d has other shapes than a batch of %d, "
                    "not just fewer images",
                    batch, plan->batch_max);
            return graph_error(plan->graph, step->node, err);
        }
    }
    return 0;
}

static int fill_tensors(struct plan *plan, const struct shapes *shapes,
                        int batch, struct err *err) {
    struct tensor *tensors = plan_tensors(plan, batch);
    for (int i = 0; i < plan->slot_count; i++) {
        struct slot *slot = &plan->slots[i];
        tensors[i] = shapes->values[slot->value->index];
        tensors[i].layout = slot->layout;
        tensors[i].pitch = slot->pitch;
        size_t bytes = tensor_bytes(&tensors[i]);
        if (slot->known) {
            const void *numbers = tensors[i].data;
            if (!numbers)
                return err_set(err, "%s is known for a batch of %d only",
                               slot->value->name, plan->batch_max);
            tensors[i].data = plan_alloc(plan, bytes, err);
            if (!tensors[i].data)
                return -1;
            memcpy(tensors[i].data, numbers, bytes);
        }
        if (bytes > PLAN_ARENA_MAX / 4)
            return err_set(err, "%s takes %zu MiB, which is too much",
                           slot->value->name, bytes >> 20);
        bytes = (bytes + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
        if (bytes > slot->bytes)
            slot->bytes = bytes;
    }
    return check_steps(plan, shapes, batch, err);
}

/* ---- all of them -------------------------------------------------------- */

static int build_steps(struct plan *plan, const struct shapes *shapes,
                       struct err *err) {
    if (plan_lower(plan, shapes, err) < 0 ||
        plan_lay_out(plan, shapes, err) < 0 ||
        plan_place_concats(plan, shapes, err) < 0)
        return -1;
    size_t rows = plan->batch_fixed ? 1 : (size_t)plan->batch_max;
    plan->tensors =
        calloc(rows * (size_t)plan->slot_count + 1, sizeof *plan->tensors);
    if (!plan->tensors)
        return err_set(err, "no memory for shapes of %zu batches", rows);
    return fill_tensors(plan, shapes, plan->batch_max, err);
}

static int smaller_batch(struct plan *plan, int batch, struct err *err) {
    struct nn_port ports[GRAPH_PORTS_MAX];
    struct shapes shapes;
    ports_for(plan, batch, ports);
    if (shapes_infer(&shapes, plan->graph, ports, err) < 0)
        return err_prefix(err, "for a batch of %d", batch);
    int rc = fill_tensors(plan, &shapes, batch, err);
    shapes_free(&shapes);
    return rc;
}

static int open_stretch(struct plan *plan, const struct stretch *stretch,
                        struct err *err) {
    const struct tensor *tensors = plan_tensors(plan, stretch->images);
    for (int i = stretch->first; i < stretch->end; i++) {
        struct step *step = &plan->steps[i];
        if (step->kind->open && step->kind->open(step, tensors, err) < 0)
            return graph_error(plan->graph, step->node, err);
        if (step->scratch > plan->scratch)
            plan->scratch = step->scratch;
    }
    if (plan->scratch > PLAN_ARENA_MAX)
        return err_set(err,
                       "a batch of %d takes %zu MiB of scratch, which is "
                       "too much",
                       plan->batch_max, plan->scratch >> 20);
    return 0;
}

int plan_open(struct plan *plan, struct err *err) {
    for (int i = 0; i < plan->stretch_count; i++)
        if (open_stretch(plan, &plan->stretches[i], err) < 0)
            return -1;
    return 0;
}

struct plan *plan_build(const struct graph *graph, const struct nn_port *ports,
                        int batch_max, const struct value *features,
                        struct err *err) {
    struct plan *plan = calloc(1, sizeof *plan);
    struct shapes shapes = {0};

    if (!plan) {
        err_set(err, "no memory for a plan");
        return NULL;
    }
    plan->graph = graph;
    plan->features = features;
    plan->batch_max = batch_max;
    plan->batch_fixed = true;
    memcpy(plan->ports, ports, (size_t)graph->input_count * sizeof *ports);
    for (int i = 0; i < graph->input_count; i++)
        if (depends_on_batch(graph, i))
            plan->batch_fixed = false;
    if (shapes_infer(&shapes, graph, ports, err) < 0 ||
        build_steps(plan, &shapes, err) < 0)
        goto fail;
    for (int b = 1; b < batch_max && !plan->batch_fixed; b++)
        if (smaller_batch(plan, b, err) < 0)
            goto fail;
    if (plan_buffers(plan, err) < 0)
        goto fail;
    if (plan->arena > PLAN_ARENA_MAX) {
        err_set(err, "a batch of %d takes %zu MiB, which is too much",
                batch_max, plan->arena >> 20);
        goto fail;
    }
    shapes_free(&shapes);
    return plan;
fail:
    shapes_free(&shapes);
    plan_free(plan);
    return NULL;
}
