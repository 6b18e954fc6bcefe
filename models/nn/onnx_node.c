/*
 * Nodes of the file, of functions and of branches become nodes of the graph.
 *
 * A node that the engine cannot run is kept with the reason (`refused`): it
 * stops a file only where an output needs it, which is known when all nodes are
 * there.
 */
#include "models/nn/onnx_reader.h"
#include "models/nn/onnx_tensor.h"

#include <stdlib.h>
#include <string.h>

/* ---- names -------------------------------------------------------------- */

static int find_name(char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(onnx_text(names[i]), name) == 0)
            return (int)i;
    return -1;
}

/* A function's inputs and outputs are the call's, a name of its own gets the
 * number of the call before it. */
struct value *onnx_value(struct onnx_reader *r, const struct onnx_scope *scope,
                         const char *name, struct err *err) {
    for (; scope->function && *name; scope = scope->outer) {
        const Onnx__FunctionProto *f = scope->function;
        const Onnx__NodeProto *call = scope->call;
        const int in = find_name(f->input, f->n_input, name);
        const int out = find_name(f->output, f->n_output, name);
        if (in >= 0)
            name = (size_t)in < call->n_input ? onnx_text(call->input[in]) : "";
        else if (out >= 0 && (size_t)out < call->n_output &&
                 *onnx_text(call->output[out]))
            name = call->output[out];
        else
            break;
    }
    if (!scope->function || !*name)
        return *name ? graph_value(r->graph, name, err) : NULL;
    const size_t size = strlen(name) + 16;
    char *own = graph_alloc(r->graph, size, err);
    if (!own)
        return NULL;
    snprintf(own, size, "%d/%s", scope->number, name);
    return graph_value(r->graph, own, err);
}

/* The same of a name that is written to: one that stands for nothing ("", or an
 * input that the call leaves out) is a value that nobody reads. */
static struct value *written_value(struct onnx_reader *r,
                                   const struct onnx_scope *scope,
                                   const char *name, struct err *err) {
    struct err failed = {0};
    struct value *value = onnx_value(r, scope, name, &failed);
    if (!value && *failed.text)
        err_set(err, "%s", failed.text);
    return value || *failed.text ? value : graph_value(r->graph, "", err);
}

/* ---- attributes --------------------------------------------------------- */

static int read_tensor_attribute(struct onnx_reader *r,
                                 const Onnx__TensorProto *proto,
                                 struct attribute *a, struct err *err) {
    if (!proto)
        return err_set(err, "the attribute %s has no value", a->name);
    if (onnx_tensor(proto, &a->t, err) < 0 || onnx_narrow(r, &a->t, err) < 0) {
        tensor_free(&a->t);
        return err_prefix(err, "the attribute %s", a->name);
    }
    size_t bytes = tensor_bytes(&a->t);
    void *data = graph_alloc(r->graph, bytes > 0 ? bytes : 1, err);
    if (data)
        memcpy(data, a->t.data, bytes);
    free(a->t.data);
    a->t.data = data;
    return data ? 0 : -1;
}

static int copy_numbers(struct graph *graph, const void *numbers, size_t count,
                        size_t size, struct attribute *a, const void **out,
                        struct err *err) {
    if (count > INT32_MAX)
        return err_set(err, "the attribute %s has %zu numbers", a->name, count);
    void *copy = graph_alloc(graph, count * size + 1, err);
    if (!copy)
        return -1;
    if (count > 0)
        memcpy(copy, numbers, count * size);
    a->count = (int)count;
    *out = copy;
    return 0;
}

/* proto has the value; the name may be that of another attribute. */
static int read_attribute(struct onnx_reader *r, const char *name,
                          const Onnx__AttributeProto *proto,
                          struct attribute *a, struct err *err) {
#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name
    struct graph *graph = r->graph;
    const void *numbers = NULL;
    int rc = 0;

    *a = (struct attribute){.kind = ATTRIBUTE_OTHER};
    if (!(a->name = graph_string(graph, name, strlen(name), err)))
        return -1;
    switch (proto->has_type ? proto->type : KIND(UNDEFINED)) {
    case KIND(INT):
        a->kind = ATTRIBUTE_INT;
        a->i = proto->i;
        break;
    case KIND(FLOAT):
        a->kind = ATTRIBUTE_FLOAT;
        a->f = proto->f;
        break;
    case KIND(STRING):
        a->kind = ATTRIBUTE_STRING;
        a->s = graph_string(graph, proto->s.data, proto->s.len, err);
        rc = a->s ? 0 : -1;
        break;
    case KIND(TENSOR):
        a->kind = ATTRIBUTE_TENSOR;
        rc = read_tensor_attribute(r, proto->t, a, err);
        break;
    case KIND(INTS):
        a->kind = ATTRIBUTE_INTS;
        rc = copy_numbers(graph, proto->ints, proto->n_ints,
                          sizeof *proto->ints, a, &numbers, err);
        a->ints = numbers;
        break;
    case KIND(FLOATS):
        a->kind = ATTRIBUTE_FLOATS;
        rc = copy_numbers(graph, proto->floats, proto->n_floats,
                          sizeof *proto->floats, a, &numbers, err);
        a->floats = numbers;
        break;
    default:
        break;
    }
    return rc;
#undef KIND
}

/* What an attribute is where it stands for one of the call. NULL: left out. */
static int given_attribute(const struct onnx_scope *scope,
                           const Onnx__AttributeProto **attribute,
                           struct err *err) {
    const char *name = onnx_text((*attribute)->ref_attr_name);
    for (; *name; scope = scope->outer) {
        const Onnx__NodeProto *call = scope->call;
        if (!scope->function)
            return err_set(err,
                           "the attribute %s of a call is used outside of "
                           "a function",
                           name);
        *attribute = NULL;
        for (size_t i = 0; i < call->n_attribute; i++)
            if (strcmp(onnx_text(call->attribute[i]->name), name) == 0)
                *attribute = call->attribute[i];
        /* A default would be in a field that this onnx.proto does not have. */
        if (!*attribute)
            return find_name(scope->function->attribute,
                             scope->function->n_attribute, name) >= 0
                       ? 0
                       : err_set(err,
                                 "the function %.100s has a default for its "
                                 "attribute %s, which is not supported: inline "
                                 "functions with onnx.inliner",
                                 onnx_text(scope->function->name), name);
        name = onnx_text((*attribute)->ref_attr_name);
    }
    return 0;
}

static int read_attributes(struct onnx_reader *r,
                           const struct onnx_scope *scope,
                           const Onnx__NodeProto *proto,
                           struct graph_node *node, struct err *err) {
    size_t count = proto->n_attribute;
    if (count > 256)
        return err_set(err, "has %zu attributes", count);
    node->node.attributes =
        graph_alloc(r->graph, (count + 1) * sizeof *node->node.attributes, err);
    if (!node->node.attributes)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const Onnx__AttributeProto *a = proto->attribute[i];
        if (given_attribute(scope, &a, err) < 0)
            return -1;
        if (!a)
            continue;
        if (read_attribute(r, onnx_text(proto->attribute[i]->name), a,
                           &node->node.attributes[node->node.attribute_count],
                           err) < 0)
            return -1;
        node->node.attribute_count++;
    }
    return 0;
}

/* ---- nodes -------------------------------------------------------------- */

/* Trailing names that are empty stand for nothing. */
static size_t count_names(char **names, size_t count) {
    while (count > 0 && !*onnx_text(names[count - 1]))
        count--;
    return count;
}

static int read_edges(struct onnx_reader *r, const struct onnx_scope *scope,
                      const Onnx__NodeProto *proto, struct graph_node *node,
                      struct err *err) {
    struct graph *graph = r->graph;
    size_t inputs = count_names(proto->input, proto->n_input);
    size_t outputs = count_names(proto->output, proto->n_output);
    if (inputs > OP_INPUTS_MAX || outputs == 0 || outputs > OP_OUTPUTS_MAX)
        return err_set(err,
                       "has %zu inputs and %zu outputs (at most %d and 1 "
                       "to %d)",
                       inputs, outputs, OP_INPUTS_MAX, OP_OUTPUTS_MAX);
    node->input_count = (int)inputs;
    node->inputs =
        graph_alloc(graph, (inputs + 1) * sizeof(struct value *), err);
    node->outputs = graph_alloc(graph, outputs * sizeof(struct value *), err);
    if (!node->inputs || !node->outputs)
        return -1;
    for (size_t i = 0; i < inputs; i++) {
        const char *name = onnx_text(proto->input[i]);
        struct err failed = {0}; /* NULL without one: left out by the call */
        node->inputs[i] = onnx_value(r, scope, name, &failed);
        if (!node->inputs[i] && *failed.text)
            return err_set(err, "%s", failed.text);
    }
    for (size_t i = 0; i < outputs; i++) {
        const char *name = onnx_text(proto->output[i]);
        struct value *value = written_value(r, scope, name, err);
        if (!value)
            return -1;
        node->outputs[i] = value;
        node->output_count = (int)i + 1;
        if (value->producer || value->is_input || value->t.data)
            return err_set(err, "writes %s, which is written already",
                           value->name);
        value->producer = node;
    }
    while (node->input_count > 0 && !node->inputs[node->input_count - 1])
        node->input_count--;
    return 0;
}

/* A Constant with a tensor is an initialiser, nothing to run. */
static Onnx__TensorProto *constant_tensor(const Onnx__NodeProto *proto) {
    if (strcmp(onnx_text(proto->op_type), "Constant") != 0 ||
        proto->n_attribute != 1 || proto->n_output != 1 ||
        strcmp(onnx_text(proto->attribute[0]->name), "value") != 0)
        return NULL;
    return proto->attribute[0]->t;
}

/* float16 is computed in float32. */
static void widen_cast(const struct onnx_reader *r, struct graph_node *node) {
    for (int i = 0; i < node->node.attribute_count; i++) {
        struct attribute *a = &node->node.attributes[i];
        if (strcmp(node->node.op_type, "Cast") == 0 &&
            strcmp(a->name, "to") == 0 && a->kind == ATTRIBUTE_INT &&
            a->i > 0 && a->i < 64 && onnx_type((int32_t)a->i))
            a->i = (int64_t)onnx_port_type(r, (int32_t)a->i);
    }
}

static int check_node(const struct onnx_scope *scope, const char *domain,
                      struct graph_node *node, struct err *err) {
    struct op_call call;
    if (strncmp(domain, "com.microsoft.", 14) == 0)
        return err_set(err,
                       "the operator's domain %.100s is what ONNX Runtime "
                       "writes when it optimises a network for one processor: "
                       "use the file from before that, or optimised at the "
                       "level \"extended\"",
                       domain);
    if (!onnx_is_default_domain(domain))
        return err_set(err,
                       "the operator's domain %.100s is not supported: export "
                       "the network without operators other than ONNX's own",
                       domain);
    const struct op *op = op_find(node->node.op_type, scope->opset, err);
    if (!op)
        return -1;
    call.node = &node->node;
    call.op = op;
    call.opset = scope->opset;
    call.input_count = node->input_count;
    call.output_count = node->output_count;
    for (int i = 0; i < node->input_count; i++)
        call.inputs[i] = node->inputs[i] ? &node->inputs[i]->t : NULL;
    if (op_check(op, &call, err) < 0)
        return -1;
    node->op = op;
    return 0;
}

static int infer_refused(struct op_call *call, struct err *err) {
    return err_set(err, "the operator %s is not supported",
                   call->node->op_type);
}

static const struct op refused = {
    .name = "refused", .since = 1, .infer = infer_refused};

/* `why` is for whoever needs what the node gives. */
static int refuse(struct graph *graph, struct graph_node *node,
                  const struct err *why, struct err *err) {
    node->op = &refused;
    node->refused = graph_string(graph, why->text, strlen(why->text), err);
    return node->refused ? 0 : -1;
}

static struct graph_node *append_node(struct onnx_reader *r, const char *name,
                                      const char *op_type, struct err *err) {
    struct graph *graph = r->graph;
    struct graph_node *node = graph_alloc(graph, sizeof *node, err);
    if (graph->node_count == r->node_room) {
        const int room = 2 * r->node_room + 64;
        struct graph_node **nodes =
            graph_alloc(graph, (size_t)room * sizeof(struct graph_node *), err);
        if (!nodes)
            return NULL;
        if (graph->node_count > 0)
            memcpy(nodes, graph->nodes,
                   (size_t)graph->node_count * sizeof(struct graph_node *));
        graph->nodes = nodes;
        r->node_room = room;
    }
    if (!node ||
        !(node->node.name = graph_string(graph, name, strlen(name), err)) ||
        !(node->node.op_type =
              graph_string(graph, op_type, strlen(op_type), err)))
        return NULL;
    graph->nodes[graph->node_count++] = node;
    return node;
}

int onnx_add_node(struct onnx_reader *r, const struct op *op,
                  struct value *const *inputs, int count, struct value *output,
                  struct err *err) {
    struct graph_node *node = append_node(r, output->name, op->name, err);
    if (!node)
        return -1;
    node->op = op;
    node->inputs =
        graph_alloc(r->graph, (size_t)count * sizeof(struct value *), err);
    node->outputs = graph_alloc(r->graph, sizeof(struct value *), err);
    if (!node->inputs || !node->outputs)
        return -1;
    if (output->producer || output->is_input || output->t.data)
        return err_set(err, "%s is written twice", output->name);
    memcpy(node->inputs, inputs, (size_t)count * sizeof(struct value *));
    node->input_count = count;
    node->outputs[0] = output;
    node->output_count = 1;
    output->producer = node;
    return 0;
}

/* why: already known not to be supported, or empty. */
static int read_plain(struct onnx_reader *r, const struct onnx_scope *scope,
                      const Onnx__NodeProto *proto, struct err *why,
                      struct err *err) {
    struct graph_node *node =
        append_node(r, onnx_text(proto->name), onnx_text(proto->op_type), err);
    if (!node)
        return -1;
    if (read_edges(r, scope, proto, node, err) < 0)
        return graph_error(r->graph, node, err);
    if (*why->text || read_attributes(r, scope, proto, node, why) < 0 ||
        check_node(scope, onnx_text(proto->domain), node, why) < 0)
        return refuse(r->graph, node, why, err);
    widen_cast(r, node);
    return 0;
}

static int read_node(struct onnx_reader *r, const struct onnx_scope *scope,
                     const Onnx__NodeProto *proto, struct err *err) {
    Onnx__TensorProto *tensor = constant_tensor(proto);
    struct err why = {0};
    if (++r->seen > GRAPH_NODES_MAX)
        return err_set(err, "the network has more than %d nodes",
                       GRAPH_NODES_MAX);
    if (tensor) {
        struct value *value =
            written_value(r, scope, onnx_text(proto->output[0]), err);
        return value ? onnx_constant(r, tensor, value, err) : -1;
    }
    int rc = onnx_call(r, scope, proto, &why, err);
    if (rc == 0)
        rc = onnx_branch(r, scope, proto, &why, err);
    return rc == 0 ? read_plain(r, scope, proto, &why, err) : rc < 0 ? -1 : 0;
}

int onnx_nodes(struct onnx_reader *r, const struct onnx_scope *scope,
               Onnx__NodeProto **nodes, size_t count, struct err *err) {
    for (size_t i = 0; i < count; i++)
        if (read_node(r, scope, nodes[i], err) < 0)
            return -1;
    return 0;
}

int onnx_initialisers(struct onnx_reader *r, const struct onnx_scope *scope,
                      const Onnx__GraphProto *proto, struct err *err) {
    if (proto->n_sparse_initializer > 0)
        return err_set(err, "sparse initialisers are not supported");
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const char *name = onnx_text(proto->initializer[i]->name);
        if (!*name)
            return err_set(err, "an initialiser has no name");
        struct value *value = written_value(r, scope, name, err);
        if (!value || onnx_constant(r, proto->initializer[i], value, err) < 0)
            return -1;
    }
    return 0;
}
