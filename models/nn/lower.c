#include "models/nn/plan.h"

#include <stdlib.h>
#include <string.h>

struct lowering {
    struct plan *plan;
    const struct shapes *shapes;
    int *uses;    /* [value->index]: by what runs, and as outputs */
    int *step_of; /* [value->index]: the step that writes it, -1: none */
};

static const struct tensor *shape_of(const struct lowering *l,
                                     const struct value *value) {
    return &l->shapes->values[value->index];
}

/* Everything that it writes follows from shapes. */
static bool is_known(const struct lowering *l, const struct graph_node *node) {
    for (int i = 0; i < node->output_count; i++)
        if (!shape_of(l, node->outputs[i])->data)
            return false;
    return true;
}

static void count_uses(struct lowering *l) {
    const struct graph *graph = l->plan->graph;
    for (int i = 0; i < graph->output_count; i++)
        l->uses[graph->output_values[i]->index]++;
    for (int i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = graph->nodes[i];
        for (int k = 0; k < node->input_count && !is_known(l, node); k++)
            if (node->inputs[k])
                l->uses[node->inputs[k]->index]++;
    }
}

static const struct step_kind *find_kind(const struct graph_node *node,
                                         const struct tensor *values) {
    const struct step_kind *const *const tables[] = {
        step_kinds_conv, step_kinds_pool, step_kinds_vector, step_kinds_concat,
        step_kinds_quantised};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (int k = 0; tables[i][k]; k++)
            if (tables[i][k]->takes(node, values))
                return tables[i][k];
    return &step_operator;
}

static void add_label(struct step *step, const char *op_type) {
    size_t len = strlen(step->label);
    snprintf(step->label + len, sizeof step->label - len, "%s%s",
             len ? "+" : "", op_type);
}

/* The step that writes `value`, where nothing but the next node reads it. */
static struct step *private_step(const struct lowering *l,
                                 const struct value *value) {
    int i = l->step_of[value->index];
    return i >= 0 && l->uses[value->index] == 1 ? &l->plan->steps[i] : NULL;
}

static void extend(struct lowering *l, struct step *step,
                   const struct graph_node *node) {
    add_label(step, node->node.op_type);
    step->output = node->outputs[0];
    l->step_of[step->output->index] = (int)(step - l->plan->steps);
}

static bool fuse_activation(struct lowering *l, const struct graph_node *node) {
    struct activation a;
    if (!graph_activation(node, &a))
        return false;
    struct step *step = private_step(l, node->inputs[0]);
    if (!step || !step->kind->fuses_activation ||
        step->activation.kind != ACTIVATION_NONE)
        return false;
    step->activation = a;
    extend(l, step, node);
    return true;
}

static bool takes_residual(const struct lowering *l, const struct value *value,
                           const struct graph_node *add) {
    const struct step *step = private_step(l, value);
    return step && step->kind->fuses_residual && !step->residual &&
           step->activation.kind == ACTIVATION_NONE &&
           tensor_same_shape(shape_of(l, value), shape_of(l, add->outputs[0]));
}

/* A convolution waits for the other side of the addition: it is moved to where
 * that is there for certain. Of two, the later one. */
static int fuse_residual(struct lowering *l, const struct graph_node *node,
                         struct err *err) {
    const char *op_type = node->node.op_type;
    if ((strcmp(op_type, "Add") != 0 && strcmp(op_type, "Sum") != 0) ||
        node->input_count != 2 ||
        !tensor_same_shape(shape_of(l, node->inputs[0]),
                           shape_of(l, node->inputs[1])))
        return 0;
    int from = -1;
    const struct value *other = NULL;
    for (int i = 0; i < 2; i++) {
        int at = l->step_of[node->inputs[i]->index];
        if (at > from && takes_residual(l, node->inputs[i], node)) {
            from = at;
            other = node->inputs[1 - i];
        }
    }
    if (!other)
        return 0;
    struct step *step = plan_add_step(l->plan, err);
    if (!step)
        return -1;
    *step = l->plan->steps[from];
    l->plan->steps[from].kind = NULL;
    step->residual = other;
    extend(l, step, node);
    return 1;
}

static int append(struct lowering *l, const struct graph_node *node,
                  struct err *err) {
    struct step *step = plan_add_step(l->plan, err);
    if (!step)
        return -1;
    step->kind = find_kind(node, l->shapes->values);
    step->node = node;
    step->opset = l->plan->graph->opset;
    add_label(step, node->node.op_type);
    step->output = node->outputs[0];
    for (int i = 0; i < node->output_count; i++)
        l->step_of[node->outputs[i]->index] = (int)(step - l->plan->steps);
    return 0;
}

static void drop_moved(struct plan *plan) {
    int kept = 0;
    for (int i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kind)
            plan->steps[kept++] = plan->steps[i];
    plan->step_count = kept;
}

static int lower(struct lowering *l, struct err *err) {
    const struct graph *graph = l->plan->graph;
    for (int i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = graph->nodes[i];
        if (is_known(l, node) || fuse_activation(l, node))
            continue;
        int fused = fuse_residual(l, node, err);
        if (fused < 0 || (fused == 0 && append(l, node, err) < 0))
            return -1;
    }
    drop_moved(l->plan);
    return 0;
}

int plan_lower(struct plan *plan, const struct shapes *shapes,
               struct err *err) {
    size_t count = (size_t)plan->graph->value_count;
    struct lowering l = {plan, shapes, calloc(count, sizeof(int)),
                         malloc(count * sizeof(int))};
    int rc = -1;

    if (!l.uses || !l.step_of) {
        err_set(err, "no memory for a plan of %zu values", count);
        goto fail;
    }
    for (size_t i = 0; i < count; i++)
        l.step_of[i] = -1;
    count_uses(&l);
    rc = lower(&l, err);
fail:
    free(l.uses);
    free(l.step_of);
    return rc;
}
