#include "models/nn/plan.h"

#include "models/nn/strided.h"

#include <stdlib.h>
#include <string.h>

struct laying {
    struct plan *plan;
    const struct shapes *shapes;
};

/* With one channel or one pixel, both layouts are the same memory. */
static bool has_one_layout(const struct tensor *t) {
    return t->rank != 4 || t->dims[1] == 1 || t->dims[2] * t->dims[3] == 1;
}

static int add_slot(struct laying *l, const struct value *value,
                    enum layout layout, struct err *err) {
    struct plan *plan = l->plan;
    if (plan->slot_count == plan->slot_room) {
        int room = plan->slot_room ? 2 * plan->slot_room : 64;
        struct slot *slots = realloc(plan->slots, (size_t)room * sizeof *slots);
        if (!slots)
            return err_set(err, "no memory for %d slots", room);
        plan->slots = slots;
        plan->slot_room = room;
    }
    int i = plan->slot_count++;
    plan->slots[i] = (struct slot){.value = value,
                                   .layout = layout,
                                   .root = i,
                                   .first = INT32_MAX,
                                   .last = -1};
    plan->slot_of[value->index][layout] = i;
    if (has_one_layout(&l->shapes->values[value->index])) {
        plan->slot_of[value->index][LAYOUT_PLAIN] = i;
        plan->slot_of[value->index][LAYOUT_CHANNELS_LAST] = i;
    }
    return i;
}

static void copy_layout(const struct tensor *from, struct tensor *to) {
    ptrdiff_t in[NN_MAX_RANK], out[NN_MAX_RANK];
    strided_of_tensor(in, from);
    strided_of_tensor(out, to);
    strided_copy(type_size(from->type), from->rank, from->dims, to->data, out,
                 from->data, in);
}

/* A constant in the other layout, or in the file, is copied once, here. */
static int constant_slot(struct laying *l, const struct value *value,
                         enum layout layout, struct err *err) {
    int slot = add_slot(l, value, layout, err);
    if (slot < 0)
        return -1;
    l->plan->slots[slot].constant = value->t.data;
    bool turned = layout == LAYOUT_CHANNELS_LAST && !has_one_layout(&value->t);
    if (turned || value->t.in_file) {
        struct tensor to = value->t;
        to.layout = turned ? LAYOUT_CHANNELS_LAST : LAYOUT_PLAIN;
        to.in_file = false;
        to.data = plan_alloc(l->plan, tensor_bytes(&to), err);
        if (!to.data)
            return -1;
        if (turned)
            copy_layout(&value->t, &to);
        else
            memcpy(to.data, value->t.data, tensor_bytes(&to));
        l->plan->slots[slot].constant = to.data;
    }
    return slot;
}

static struct step *add_step(struct laying *l, const struct step_kind *kind,
                             int inputs, int outputs, struct err *err) {
    struct step *step = plan_add_step(l->plan, err);
    if (!step)
        return NULL;
    step->kind = kind;
    step->inputs = plan_alloc(
        l->plan, (size_t)(inputs + outputs + 1) * sizeof *step->inputs, err);
    if (!step->inputs)
        return NULL;
    step->outputs = step->inputs + inputs;
    step->input_count = inputs;
    step->output_count = outputs;
    return step;
}

/* The slot that has `value` in `layout`; a step that converts it is added
 * where there is only the other one. */
static int slot_in(struct laying *l, const struct value *value,
                   enum layout layout, struct err *err) {
    int *slots = l->plan->slot_of[value->index];
    if (l->shapes->values[value->index].rank != 4)
        layout = LAYOUT_PLAIN;
    if (slots[layout] >= 0)
        return slots[layout];
    if (value->t.data)
        return constant_slot(l, value, layout, err);
    int from = slots[1 - layout];
    if (l->shapes->values[value->index].data && from < 0) {
        /* Known numbers are few, and plain. */
        int slot = add_slot(l, value, LAYOUT_PLAIN, err);
        if (slot < 0)
            return -1;
        l->plan->slots[slot].known = true;
        return slot_in(l, value, layout, err);
    }
    int to = add_slot(l, value, layout, err);
    struct step *step = to < 0 ? NULL : add_step(l, &step_convert, 1, 1, err);
    if (!step)
        return -1;
    step->node = value->producer;
    step->output = value;
    snprintf(step->label, sizeof step->label, "%s",
             layout == LAYOUT_PLAIN ? "to NCHW" : "to NHWC");
    step->inputs[0] = from;
    step->outputs[0] = to;
    return to;
}

/* ---- views -------------------------------------------------------------- */

static bool is_view(const struct laying *l, const struct step *step) {
    const struct graph_node *node = step->node;
    if (!(node->op->traits & OP_VIEW) || step->kind != &step_operator)
        return false;
    for (int i = 1; i < node->output_count; i++)
        if (node->outputs[i]->uses > 0)
            return false;
    const struct tensor *x = &l->shapes->values[node->inputs[0]->index];
    const struct tensor *y = &l->shapes->values[node->outputs[0]->index];
    return x->type == y->type && tensor_count(x) == tensor_count(y);
}

static int alias(struct plan *plan, int slot, int of) {
    plan->slots[slot].root = plan->slots[of].root;
    plan->slots[slot].constant = plan->slots[of].constant;
    return 0;
}

/* A view has no step: its slot has the memory of its input's. */
static int lay_view(struct laying *l, const struct step *step,
                    struct err *err) {
    const struct value *x = step->node->inputs[0];
    const struct tensor *from = &l->shapes->values[x->index];
    const struct tensor *to = &l->shapes->values[step->output->index];
    enum layout layout = LAYOUT_PLAIN;
    if (tensor_same_shape(from, to) &&
        l->plan->slot_of[x->index][LAYOUT_PLAIN] < 0)
        layout = LAYOUT_CHANNELS_LAST;
    int in = slot_in(l, x, layout, err);
    int out = in < 0 ? -1 : add_slot(l, step->output, layout, err);
    return out < 0 ? -1 : alias(l->plan, out, in);
}

/* (N, H, W, C) turned into (N, C, H, W) is the same memory, channels last, and
 * so is the way back. Networks written for channels last are full of them. */
static bool is_layout_change(const struct step *step, bool *to_last) {
    static const int64_t perms[2][4] = {{0, 3, 1, 2}, {0, 2, 3, 1}};
    const int64_t *perm;
    if (strcmp(step->node->node.op_type, "Transpose") != 0 ||
        node_ints(&step->node->node, "perm", &perm) != 4)
        return false;
    *to_last = memcmp(perm, perms[0], sizeof perms[0]) == 0;
    return *to_last || memcmp(perm, perms[1], sizeof perms[1]) == 0;
}

static int lay_layout_change(struct laying *l, const struct step *step,
                             bool to_last, struct err *err) {
    enum layout of_x = to_last ? LAYOUT_PLAIN : LAYOUT_CHANNELS_LAST;
    int in = slot_in(l, step->node->inputs[0], of_x, err);
    int out = in < 0 ? -1 : add_slot(l, step->output, 1 - of_x, err);
    return out < 0 ? -1 : alias(l->plan, out, in);
}

/* ---- steps -------------------------------------------------------------- */

static bool has_channels_last(const struct laying *l, const struct step *step) {
    for (int i = 0; i < step->node->input_count; i++) {
        const struct value *x = step->node->inputs[i];
        if (x && l->shapes->values[x->index].rank == 4 &&
            !has_one_layout(&l->shapes->values[x->index]) &&
            l->plan->slot_of[x->index][LAYOUT_CHANNELS_LAST] >= 0)
            return true;
    }
    return false;
}

static bool runs_in_any_layout(const struct step *step) {
    return step->kind == &step_operator
               ? step->node->op->traits &
                     (OP_ANY_LAYOUT | OP_ONE_LAYOUT | OP_ELEMENTWISE)
               : step->kind->layout == WANTS_ANY;
}

static enum layout output_layout(const struct laying *l,
                                 const struct step *step) {
    if (step->kind->layout == WANTS_CHANNELS_LAST)
        return LAYOUT_CHANNELS_LAST;
    return runs_in_any_layout(step) && has_channels_last(l, step)
               ? LAYOUT_CHANNELS_LAST
               : LAYOUT_PLAIN;
}

/* What reads any layout takes what is there. */
static enum layout input_layout(const struct laying *l, const struct step *step,
                                const struct value *x, enum layout layout) {
    if (step->kind == &step_operator &&
        (step->node->op->traits & OP_ANY_LAYOUT)) {
        const int *slots = l->plan->slot_of[x->index];
        if (slots[layout] < 0 && slots[1 - layout] >= 0)
            return 1 - layout;
    }
    return layout;
}

/* Reserves the step's slots; `old` is a copy, as adding steps moves them. */
static int lay_step(struct laying *l, const struct step *old, struct err *err) {
    const struct graph_node *node = old->node;
    int slots[OP_INPUTS_MAX], residual = -1;
    int inputs = old->kind->inputs < 0 ? node->input_count : old->kind->inputs;
    int outputs = old->kind == &step_operator ? node->output_count : 1;
    enum layout layout = output_layout(l, old);

    for (int i = 0; i < inputs; i++) {
        const struct value *x = node->inputs[i];
        slots[i] =
            !x ? -1 : slot_in(l, x, input_layout(l, old, x, layout), err);
        if (x && slots[i] < 0)
            return -1;
    }
    if (old->residual &&
        (residual = slot_in(l, old->residual, layout, err)) < 0)
        return -1;
    struct step *step = add_step(l, old->kind, inputs, outputs, err);
    if (!step)
        return -1;
    struct step laid = *old;
    laid.inputs = step->inputs;
    laid.outputs = step->outputs;
    laid.input_count = inputs;
    laid.output_count = outputs;
    laid.residual_slot = residual;
    *step = laid;
    memcpy(step->inputs, slots, (size_t)inputs * sizeof *slots);
    for (int i = 0; i < outputs; i++) {
        const struct value *y = i == 0 ? step->output : node->outputs[i];
        bool four = l->shapes->values[y->index].rank == 4;
        step->outputs[i] = add_slot(l, y, four ? layout : LAYOUT_PLAIN, err);
        if (step->outputs[i] < 0)
            return -1;
    }
    return 0;
}

static int lay_ports(struct laying *l, struct err *err) {
    const struct graph *graph = l->plan->graph;
    for (int i = 0; i < graph->input_count; i++) {
        int slot = add_slot(l, graph->input_values[i], LAYOUT_PLAIN, err);
        if (slot < 0)
            return -1;
        l->plan->input_slots[i] = slot;
        l->plan->slots[slot].pinned = true;
    }
    return 0;
}

static int lay_outputs(struct laying *l, struct err *err) {
    const struct graph *graph = l->plan->graph;
    for (int i = 0; i < graph->output_count; i++) {
        int slot = slot_in(l, graph->output_values[i], LAYOUT_PLAIN, err);
        if (slot < 0)
            return -1;
        l->plan->output_slots[i] = slot;
    }
    return 0;
}

int plan_lay_out(struct plan *plan, const struct shapes *shapes,
                 struct err *err) {
    struct laying l = {plan, shapes};
    size_t count = (size_t)plan->graph->value_count;
    struct step *steps = plan->steps;
    int step_count = plan->step_count, rc = -1;

    plan->steps = NULL;
    plan->step_count = plan->step_room = 0;
    plan->slot_of = malloc((count + 1) * sizeof *plan->slot_of);
    if (!plan->slot_of) {
        err_set(err, "no memory for a plan of %zu values", count);
        goto fail;
    }
    memset(plan->slot_of, -1, count * sizeof *plan->slot_of);
    if (lay_ports(&l, err) < 0)
        goto fail;
    for (int i = 0; i < step_count; i++) {
        bool to_last;
        int laid = is_view(&l, &steps[i]) ? lay_view(&l, &steps[i], err)
                   : is_layout_change(&steps[i], &to_last)
                       ? lay_layout_change(&l, &steps[i], to_last, err)
                       : lay_step(&l, &steps[i], err);
        if (laid < 0)
            goto fail;
    }
    rc = lay_outputs(&l, err);
fail:
    free(steps);
    return rc;
}
