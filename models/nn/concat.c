/*
 * Concatenation of channels without copying: channels last, the numbers of one
 * input are a part of every pixel of the result. So whoever computes an input
 * writes it there, `pitch` floats from pixel to pixel.
 *
 * Where every layer reads all results before it (Huang et al. 2017, DenseNet,
 * arXiv 1608.06993), there are many concatenations and each begins with the
 * inputs of the one before. Their results are the first channels of the last
 * one's, which alone has memory.
 *
 * Both need steps that can write or read like that (plan.h: pitched_output and
 * pitched_input). What cannot be had so is copied, but once for all
 * concatenations that share memory.
 */
#include "models/nn/plan.h"

#include <stdlib.h>

struct placing {
    struct plan *plan;
    const struct shapes *shapes;
    int *writer; /* [slot]: the step, -1: none */
};

static const struct tensor *shape_of(const struct placing *p, int slot) {
    return &p->shapes->values[p->plan->slots[slot].value->index];
}

static bool is_concat(const struct step *step) {
    return step->kind == &step_concat;
}

static bool reads(const struct step *step, int slot) {
    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i] == slot)
            return true;
    return step->residual_slot == slot;
}

/* Memory that nothing but steps knows, and no part of something else yet. */
static bool is_free(const struct placing *p, int slot) {
    const struct plan *plan = p->plan;
    const struct slot *s = &plan->slots[slot];
    if (s->root != slot || s->constant || s->known || s->pinned ||
        s->value == plan->features)
        return false;
    for (int i = 0; i < plan->slot_count; i++)
        if (i != slot && plan->slots[i].root == slot)
            return false; /* a view */
    for (int i = 0; i < plan->graph->output_count; i++)
        if (plan->output_slots[i] == slot)
            return false;
    return true;
}

static bool can_be_written(const struct placing *p, int slot) {
    if (p->writer[slot] < 0)
        return false;
    const struct step *step = &p->plan->steps[p->writer[slot]];
    return step->kind->pitched_output && step->residual_slot < 0;
}

static bool can_be_read(const struct placing *p, int slot) {
    for (int i = 0; i < p->plan->step_count; i++) {
        const struct step *step = &p->plan->steps[i];
        if (reads(step, slot) &&
            (!step->kind->pitched_input || step->residual_slot == slot))
            return false;
    }
    return true;
}

static size_t channels_bytes(const struct placing *p, int slot) {
    const struct tensor *t = shape_of(p, slot);
    return (size_t)t->dims[1] * type_size(t->type);
}

/* Puts `slot`, which hosts nothing yet, at byte `at` of the pixels of `host`.
 */
static void place(struct placing *p, int slot, int host, size_t at) {
    struct slot *slots = p->plan->slots;
    int root = slots[host].root;
    int64_t pitch =
        slots[host].pitch ? slots[host].pitch : shape_of(p, host)->dims[1];
    slots[slot].root = root;
    slots[slot].pitch = pitch;
    slots[slot].at = slots[host].at + at;
}

static bool begins_with(const struct step *longer, const struct step *step) {
    if (step->input_count > longer->input_count)
        return false;
    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i] != longer->inputs[i])
            return false;
    return true;
}

/* A concatenation that a later one continues is the beginning of that. */
static void join_longer(struct placing *p, int at) {
    const struct step *step = &p->plan->steps[at];
    int out = step->outputs[0];
    if (!is_free(p, out) || !can_be_read(p, out))
        return;
    for (int i = at + 1; i < p->plan->step_count; i++) {
        const struct step *longer = &p->plan->steps[i];
        if (is_concat(longer) && begins_with(longer, step) &&
            p->plan->slots[longer->outputs[0]].layout == LAYOUT_CHANNELS_LAST) {
            place(p, out, longer->outputs[0], 0);
            return;
        }
    }
}

static void place_inputs(struct placing *p, const struct step *step) {
    size_t at = 0;
    for (int i = 0; i < step->input_count; i++) {
        int slot = step->inputs[i];
        if (p->plan->slots[slot].layout == LAYOUT_CHANNELS_LAST &&
            is_free(p, slot) && can_be_written(p, slot) && can_be_read(p, slot))
            place(p, slot, step->outputs[0], at);
        at += channels_bytes(p, slot);
    }
}

/* Whether a step before `at` has put the slot to that byte of the same memory.
 */
static bool is_there(const struct placing *p, int at, int slot, size_t byte,
                     int root) {
    for (int i = 0; i < at; i++) {
        const struct step *step = &p->plan->steps[i];
        if (!is_concat(step) || p->plan->slots[step->outputs[0]].root != root)
            continue;
        size_t to = p->plan->slots[step->outputs[0]].at;
        for (int k = 0; k < step->input_count; k++) {
            if (step->inputs[k] == slot && to == byte)
                return true;
            to += channels_bytes(p, step->inputs[k]);
        }
    }
    return false;
}

static void mark_copies(struct placing *p, int at) {
    struct step *step = &p->plan->steps[at];
    const struct slot *out = &p->plan->slots[step->outputs[0]];
    size_t byte = out->at;
    step->copied = 0;
    for (int i = 0; i < step->input_count; i++) {
        const struct slot *in = &p->plan->slots[step->inputs[i]];
        bool placed = in->root == out->root && in->at == byte && in->pitch;
        if (!placed && !is_there(p, at, step->inputs[i], byte, out->root))
            step->copied |= (uint64_t)1 << i;
        byte += channels_bytes(p, step->inputs[i]);
    }
}

static void place_all(struct placing *p) {
    struct plan *plan = p->plan;
    for (int i = 0; i < plan->step_count; i++)
        for (int k = 0; k < plan->steps[i].output_count; k++)
            if (plan->steps[i].outputs[k] >= 0)
                p->writer[plan->steps[i].outputs[k]] = i;
    for (int i = plan->step_count - 1; i >= 0; i--) {
        const struct step *step = &plan->steps[i];
        if (!is_concat(step) ||
            plan->slots[step->outputs[0]].layout != LAYOUT_CHANNELS_LAST)
            continue;
        join_longer(p, i);
        place_inputs(p, step);
    }
    for (int i = 0; i < plan->step_count; i++)
        if (is_concat(&plan->steps[i]))
            mark_copies(p, i);
}

int plan_place_concats(struct plan *plan, const struct shapes *shapes,
                       struct err *err) {
    struct placing p = {plan, shapes, NULL};
    p.writer = malloc(((size_t)plan->slot_count + 1) * sizeof *p.writer);
    if (!p.writer)
        return err_set(err, "no memory for a plan of %d slots",
                       plan->slot_count);
    for (int i = 0; i < plan->slot_count; i++)
        p.writer[i] = -1;
    place_all(&p);
    free(p.writer);
    return 0;
}
