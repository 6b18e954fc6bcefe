#include "models/nn/plan.h"

struct edges {
    const struct plan *plan;
    struct nn_edge *edges;
    int count, max;
};

static void add(struct edges *e, int from, int to) {
    for (int i = e->count < e->max ? e->count : e->max;
         i-- > 0 && e->edges[i].to == to;)
        if (e->edges[i].from == from)
            return;
    if (e->count < e->max)
        e->edges[e->count] = (struct nn_edge){from, to};
    e->count++;
}

static bool has_root(const struct plan *plan, int slot, int root) {
    return slot >= 0 && plan->slots[slot].root == root;
}

static bool writes(const struct plan *plan, const struct step *step, int root) {
    for (int i = 0; i < step->output_count; i++)
        if (has_root(plan, step->outputs[i], root))
            return true;
    return false;
}

static bool reads(const struct plan *plan, const struct step *step, int root) {
    for (int i = 0; i < step->input_count; i++)
        if (has_root(plan, step->inputs[i], root))
            return true;
    return has_root(plan, step->residual_slot, root);
}

/* Whoever has written into the memory of `slot` before step `to`: the parts of
 * a concatenation are written by several, a view has its input's, and what
 * writes over its own input hides who wrote that. */
static void add_sources(struct edges *e, int slot, int to) {
    const struct plan *plan = e->plan;
    const int root = slot < 0 ? -1 : plan->slots[slot].root;
    if (slot < 0 || plan->slots[root].constant || plan->slots[root].known)
        return;
    for (int i = to < plan->step_count ? to : plan->step_count; i-- > 0;) {
        if (!writes(plan, &plan->steps[i], root))
            continue;
        add(e, i, to);
        if (reads(plan, &plan->steps[i], root))
            return;
    }
    for (int i = 0; i < plan->graph->input_count; i++)
        if (has_root(plan, plan->input_slots[i], root))
            add(e, -1 - i, to);
}

int plan_edges(const struct plan *plan, struct nn_edge *edges, int max) {
    struct edges e = {plan, edges, 0, max};
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        for (int k = 0; k < step->input_count; k++)
            add_sources(&e, step->inputs[k], i);
        add_sources(&e, step->residual_slot, i);
    }
    for (int i = 0; i < plan->graph->output_count; i++)
        add_sources(&e, plan->output_slots[i], plan->step_count + i);
    return e.count;
}
