/*
 * Memory by lifetime. A slot lives from the step that writes it to the last one
 * that reads it; two whose lives do not touch may have the same bytes. First
 * those that can lie over an input of their step are joined to it; then steps
 * are divided into stretches, and what crosses the borders of one that takes a
 * batch in parts must live through all of it; then the largest are placed
 * first, each at the lowest place that is free during its life (Pisarchyk and
 * Lee 2020, arXiv 2001.03288, "greedy by size").
 */
#include "models/nn/plan.h"

#include <stdlib.h>

static void use(struct plan *plan, int slot, int step) {
    if (slot < 0)
        return;
    struct slot *root = &plan->slots[plan->slots[slot].root];
    if (step < root->first)
        root->first = step;
    if (step > root->last)
        root->last = step;
}

static void pin(struct plan *plan, int slot, bool from_start) {
    struct slot *root = &plan->slots[plan->slots[slot].root];
    root->pinned = true;
    root->last = plan->step_count;
    if (from_start)
        root->first = -1;
}

static void find_lives(struct plan *plan) {
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        for (int k = 0; k < step->input_count; k++)
            use(plan, step->inputs[k], i);
        for (int k = 0; k < step->output_count; k++)
            use(plan, step->outputs[k], i);
        use(plan, step->residual_slot, i);
    }
    for (int i = 0; i < plan->graph->input_count; i++)
        pin(plan, plan->input_slots[i], true);
    for (int i = 0; i < plan->graph->output_count; i++)
        pin(plan, plan->output_slots[i], false);
    for (int k = 0; k < 2 && plan->features; k++) {
        int slot = plan->slot_of[plan->features->index][k];
        if (slot >= 0)
            pin(plan, slot, false);
    }
}

/* True where step i may write its output over that slot. */
static bool can_join(const struct plan *plan, int i, int from) {
    const struct step *step = &plan->steps[i];
    if (from < 0)
        return false;
    const struct slot *in = &plan->slots[from];
    const struct slot *out = &plan->slots[step->outputs[0]];
    const struct slot *root = &plan->slots[in->root];
    int batch = plan->batch_max;
    const struct tensor *x = &plan_tensors(plan, batch)[from];
    const struct tensor *y = &plan_tensors(plan, batch)[step->outputs[0]];
    return in->pitch == 0 && out->pitch == 0 && !root->pinned &&
           !root->constant && !root->known && root->last == i &&
           in->layout == out->layout && x->type == y->type &&
           tensor_same_shape(x, y);
}

static bool is_elementwise(const struct step *step) {
    return step->kind == &step_operator
               ? (step->node->op->traits & OP_ELEMENTWISE) != 0
               : step->kind->in_place;
}

static void join(struct plan *plan, int into, int slot) {
    struct slot *root = &plan->slots[plan->slots[into].root];
    const struct slot *old = &plan->slots[slot]; /* is its own root */
    if (old->last > root->last)
        root->last = old->last;
    root->pinned = root->pinned || old->pinned;
    for (int i = 0; i < plan->slot_count; i++)
        if (plan->slots[i].root == slot)
            plan->slots[i].root = plan->slots[into].root;
}

/* A kernel never writes over its input, which may be the residual as well. */
static bool reads_residual(const struct plan *plan, const struct step *step) {
    int root = plan->slots[step->residual_slot].root;
    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i] >= 0 && plan->slots[step->inputs[i]].root == root)
            return true;
    return false;
}

static void write_in_place(struct plan *plan) {
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        int joined = -1;
        if (can_join(plan, i, step->residual_slot) &&
            !reads_residual(plan, step))
            joined = step->residual_slot;
        for (int k = 0; k < step->input_count && is_elementwise(step); k++)
            if (joined < 0 && can_join(plan, i, step->inputs[k]))
                joined = step->inputs[k];
        if (joined >= 0)
            join(plan, joined, step->outputs[0]);
    }
}

/* ---- parts of a batch --------------------------------------------------- */

static const struct stretch *stretch_of(const struct plan *plan, int step) {
    for (int i = 0; i < plan->stretch_count; i++)
        if (step >= plan->stretches[i].first && step < plan->stretches[i].end)
            return &plan->stretches[i];
    return NULL; /* before the first step or behind the last one */
}

/* Every part of the batch passes all steps of its stretch: what comes from
 * before is read until the last part, what stays is written from the first. */
static void extend_lives(struct plan *plan) {
    for (int i = 0; i < plan->slot_count; i++) {
        struct slot *slot = &plan->slots[i];
        const struct stretch *first = stretch_of(plan, slot->first);
        const struct stretch *last = stretch_of(plan, slot->last);
        if (slot->root != i || (first == last && !slot->pinned))
            continue;
        slot->whole = true;
        if (first)
            slot->first = first->first;
        if (last)
            slot->last = last->end - 1;
    }
}

/* Bytes that a slot takes: of all images, or those of the largest part. */
static size_t slot_bytes(const struct plan *plan, int i) {
    const struct slot *slot = &plan->slots[i];
    const struct slot *root = &plan->slots[slot->root];
    const struct stretch *stretch = stretch_of(plan, root->first);
    if (root->whole || !stretch || stretch->images == plan->batch_max)
        return slot->bytes;
    size_t most = 0;
    for (int b = 1; b <= stretch->images; b++) {
        size_t bytes = tensor_bytes(&plan_tensors(plan, b)[i]);
        most = bytes > most ? bytes : most;
    }
    return (most + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
}

/* ---- places ------------------------------------------------------------- */

struct block {
    int slot;
    size_t bytes;
};

static int by_size(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->slot < y->slot ? -1 : 1;
}

static int by_offset(const void *a, const void *b) {
    const struct slot *x = *(const struct slot *const *)a;
    const struct slot *y = *(const struct slot *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The lowest gap among those placed that live at the same time. */
static size_t find_place(const struct plan *plan, const struct slot *slot,
                         const struct block *placed, int count,
                         const struct slot **alive) {
    size_t n = 0, at = 0;
    for (int i = 0; i < count; i++) {
        const struct slot *other = &plan->slots[placed[i].slot];
        if (other->first <= slot->last && slot->first <= other->last)
            alive[n++] = other;
    }
    qsort(alive, n, sizeof *alive, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (alive[i]->offset >= at + slot->bytes)
            break;
        size_t end = alive[i]->offset + alive[i]->bytes;
        if (end > at)
            at = end;
    }
    return at;
}

/* The roots that need a place, each as large as its largest view. */
static int find_blocks(struct plan *plan, struct block *blocks) {
    int n = 0;
    for (int i = 0; i < plan->slot_count; i++)
        plan->slots[i].bytes = slot_bytes(plan, i);
    for (int i = 0; i < plan->slot_count; i++) {
        const struct slot *slot = &plan->slots[i];
        struct slot *root = &plan->slots[slot->root];
        if (slot->bytes > root->bytes)
            root->bytes = slot->bytes;
        if (root == slot && !slot->constant && !slot->known)
            blocks[n++].slot = i;
    }
    for (int i = 0; i < n; i++)
        blocks[i].bytes = plan->slots[blocks[i].slot].bytes;
    return n;
}

int plan_buffers(struct plan *plan, struct err *err) {
    size_t count = (size_t)plan->slot_count;
    struct block *blocks = calloc(count + 1, sizeof *blocks);
    const struct slot **alive = calloc(count + 1, sizeof *alive);
    int n, rc = -1;

    if (!blocks || !alive) {
        err_set(err, "no memory for a plan of %zu slots", count);
        goto fail;
    }
    find_lives(plan);
    write_in_place(plan);
    if (plan_divide(plan, err) < 0)
        goto fail;
    extend_lives(plan);
    n = find_blocks(plan, blocks);
    qsort(blocks, (size_t)n, sizeof *blocks, by_size);
    for (int i = 0; i < n; i++) {
        struct slot *slot = &plan->slots[blocks[i].slot];
        slot->offset = find_place(plan, slot, blocks, i, alive);
        if (slot->offset + slot->bytes > plan->arena)
            plan->arena = slot->offset + slot->bytes;
    }
    rc = 0;
fail:
    free(blocks);
    free(alive);
    return rc;
}
