#include "models/nn/onnx.h"
#include "models/nn/onnx_skim.h"
#include "models/nn/onnx_tensor.h"
#include "models/nn/onnx_unpack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char *text(const char *s) {
    return s ? s : ""; /* protobuf-c leaves absent strings NULL */
}

static bool is_default_domain(const char *domain) {
    return *text(domain) == 0 || strcmp(domain, "ai.onnx") == 0;
}

static int read_header(const Onnx__ModelProto *proto, struct graph *graph,
                       struct err *err) {
    for (size_t i = 0; i < proto->n_opset_import; i++)
        if (is_default_domain(proto->opset_import[i]->domain))
            graph->opset = proto->opset_import[i]->version;
    if (graph->opset < ONNX_OPSET_MIN || graph->opset > ONNX_OPSET_MAX)
        return err_set(err,
                       "opset %lld is not supported, %d to %d are: export the "
                       "model with one of these",
                       (long long)graph->opset, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
    char producer[128];
    int n = snprintf(producer, sizeof producer, "%s%s%s",
                     text(proto->producer_name),
                     *text(proto->producer_version) ? " " : "",
                     text(proto->producer_version));
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof producer)
        len = sizeof producer - 1;
    graph->producer = graph_string(graph, producer, len, err);
    return graph->producer ? 0 : -1;
}

/* ---- initialisers, inputs, outputs -------------------------------------- */

static int take_tensor(struct graph *graph, const struct onnx_file *file,
                       Onnx__TensorProto *proto, struct value *value,
                       struct err *err) {
    if (value->t.data || value->producer || value->is_input)
        return err_set(err, "%s is written twice", value->name);
    struct onnx_place place;
    int rc;
    if (!onnx_skimmed(proto, &place))
        rc = onnx_tensor(proto, &value->t, err);
    else if (place.length > file->size ||
             place.offset > file->size - place.length)
        rc = err_set(err, "lies outside of the file");
    else
        rc = onnx_tensor_at(proto, file->bytes + place.offset,
                            (size_t)place.length, &value->t, err);
    if (rc < 0)
        return err_prefix(err, "%s", value->name);
    return graph_reserve(graph, tensor_bytes(&value->t), err);
}

static int read_initialisers(struct graph *graph, const struct onnx_file *file,
                             Onnx__GraphProto *proto, struct err *err) {
    if (proto->n_sparse_initializer > 0)
        return err_set(err, "sparse initialisers are not supported");
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const char *name = text(proto->initializer[i]->name);
        if (!*name)
            return err_set(err, "an initialiser has no name");
        struct value *value = graph_value(graph, name, err);
        if (!value ||
            take_tensor(graph, file, proto->initializer[i], value, err) < 0)
            return -1;
    }
    return 0;
}

static int read_port(const Onnx__ValueInfoProto *proto, const char *name,
                     struct nn_port *port, struct err *err) {
    const Onnx__TypeProto *type = proto->type;
    *port = (struct nn_port){.name = name};
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !type->tensor_type)
        return err_set(err, "%s is declared as something else than a tensor",
                       name);
    const Onnx__TypeProto__Tensor *tensor = type->tensor_type;
    port->type = onnx_type(tensor->has_elem_type ? tensor->elem_type : 0);
    if (!port->type)
        return err_set(err,
                       "%s is declared with type %d of onnx.proto, which "
                       "is not supported",
                       name, (int)tensor->elem_type);
    size_t rank = tensor->shape ? tensor->shape->n_dim : 0;
    if (rank > NN_MAX_RANK)
        return err_set(err, "%s is declared with %zu dimensions (at most %d)",
                       name, rank, NN_MAX_RANK);
    port->rank = tensor->shape ? (int)rank : -1;
    for (size_t i = 0; i < rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        bool given = dim->value_case ==
                         ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                     dim->dim_value > 0;
        port->dims[i] = given ? dim->dim_value : -1;
    }
    return 0;
}

/* Files of IR 3 declare every initialiser as an input, too. */
static int read_inputs(struct graph *graph, const Onnx__GraphProto *proto,
                       struct err *err) {
    for (size_t i = 0; i < proto->n_input; i++) {
        struct value *value =
            graph_value(graph, text(proto->input[i]->name), err);
        if (!value)
            return -1;
        if (value->t.data)
            continue;
        if (!*value->name || value->is_input)
            return err_set(err, "the input %s is declared twice", value->name);
        if (graph->input_count == GRAPH_PORTS_MAX)
            return err_set(err, "there are more than %d inputs",
                           GRAPH_PORTS_MAX);
        struct nn_port *port = &graph->inputs[graph->input_count];
        if (read_port(proto->input[i], value->name, port, err) < 0)
            return err_prefix(err, "input");
        if (port->rank < 0)
            return err_set(err, "the input %s is declared without a shape",
                           value->name);
        value->is_input = true;
        value->t.type = port->type;
        value->t.rank = port->rank;
        memcpy(value->t.dims, port->dims, sizeof port->dims);
        graph->input_values[graph->input_count++] = value;
    }
    if (graph->input_count == 0)
        return err_set(err, "the network has no input");
    return 0;
}

/* Outputs need not declare anything but a name. */
static int read_outputs(struct graph *graph, const Onnx__GraphProto *proto,
                        struct err *err) {
    if (proto->n_output == 0 || proto->n_output > GRAPH_PORTS_MAX)
        return err_set(err,
                       "the network has %zu outputs (1 to %d are "
                       "accepted)",
                       proto->n_output, GRAPH_PORTS_MAX);
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = text(proto->output[i]->name);
        struct value *value = graph_find_value(graph, name);
        if (!value || (!value->producer && !value->is_input && !value->t.data))
            return err_set(err, "nothing in the file writes the output %s",
                           name);
        struct nn_port *port = &graph->outputs[i];
        if (read_port(proto->output[i], value->name, port, NULL) < 0)
            port->rank = -1;
        graph->output_values[i] = value;
    }
    graph->output_count = (int)proto->n_output;
    return 0;
}

/* ---- nodes -------------------------------------------------------------- */

static int read_tensor_attribute(struct graph *graph,
                                 const Onnx__TensorProto *proto,
                                 struct attribute *a, struct err *err) {
    if (!proto)
        return err_set(err, "the attribute %s has no value", a->name);
    if (onnx_tensor(proto, &a->t, err) < 0)
        return err_prefix(err, "the attribute %s", a->name);
    size_t bytes = tensor_bytes(&a->t);
    void *data = graph_alloc(graph, bytes > 0 ? bytes : 1, err);
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

static int read_attribute(struct graph *graph,
                          const Onnx__AttributeProto *proto,
                          struct attribute *a, struct err *err) {
#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name
    const void *numbers = NULL;
    const char *name = text(proto->name);
    int rc = 0;

    *a = (struct attribute){.kind = ATTRIBUTE_OTHER};
    if (!(a->name = graph_string(graph, name, strlen(name), err)))
        return -1;
    if (*text(proto->ref_attr_name))
        return 0;
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
        rc = read_tensor_attribute(graph, proto->t, a, err);
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

static int read_attributes(struct graph *graph, const Onnx__NodeProto *proto,
                           struct graph_node *node, struct err *err) {
    size_t count = proto->n_attribute;
    if (count > 256)
        return err_set(err, "has %zu attributes", count);
    node->node.attributes =
        graph_alloc(graph, (count + 1) * sizeof *node->node.attributes, err);
    if (!node->node.attributes)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (read_attribute(graph, proto->attribute[i],
                           &node->node.attributes[i], err) < 0)
            return -1;
    node->node.attribute_count = (int)count;
    return 0;
}

/* Trailing names that are empty stand for nothing. */
static size_t count_names(char **names, size_t count) {
    while (count > 0 && !*text(names[count - 1]))
        count--;
    return count;
}

static int read_edges(struct graph *graph, const Onnx__NodeProto *proto,
                      struct graph_node *node, struct err *err) {
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
        const char *name = text(proto->input[i]);
        if (*name && !(node->inputs[i] = graph_value(graph, name, err)))
            return -1;
    }
    for (size_t i = 0; i < outputs; i++) {
        struct value *value = graph_value(graph, text(proto->output[i]), err);
        if (!value)
            return -1;
        node->outputs[i] = value;
        node->output_count = (int)i + 1;
        if (value->producer || value->is_input || value->t.data)
            return err_set(err, "writes %s, which is written already",
                           value->name);
        value->producer = node;
    }
    return 0;
}

/* A Constant with a tensor is an initialiser, nothing to run. */
static Onnx__TensorProto *constant_tensor(const Onnx__NodeProto *proto) {
    if (strcmp(text(proto->op_type), "Constant") != 0 ||
        proto->n_attribute != 1 || proto->n_output != 1 ||
        strcmp(text(proto->attribute[0]->name), "value") != 0)
        return NULL;
    return proto->attribute[0]->t;
}

/* float16 is computed in float32. */
static void widen_cast(struct graph_node *node) {
    for (int i = 0; i < node->node.attribute_count; i++) {
        struct attribute *a = &node->node.attributes[i];
        if (strcmp(node->node.op_type, "Cast") == 0 &&
            strcmp(a->name, "to") == 0 && a->kind == ATTRIBUTE_INT &&
            a->i > 0 && a->i < 64 && onnx_type((int32_t)a->i))
            a->i = (int64_t)onnx_type((int32_t)a->i);
    }
}

static int check_node(const struct graph *graph, const char *domain,
                      struct graph_node *node, struct err *err) {
    struct op_call call;
    if (!is_default_domain(domain))
        return err_set(err, "the operator's domain %s is not supported",
                       domain);
    node->op = op_find(node->node.op_type, graph->opset, err);
    if (!node->op)
        return -1;
    call.node = &node->node;
    call.op = node->op;
    call.opset = graph->opset;
    call.input_count = node->input_count;
    call.output_count = node->output_count;
    for (int i = 0; i < node->input_count; i++)
        call.inputs[i] = node->inputs[i] ? &node->inputs[i]->t : NULL;
    return op_check(node->op, &call, err);
}

static int read_node(struct graph *graph, const Onnx__NodeProto *proto,
                     struct err *err) {
    const char *name = text(proto->name), *op_type = text(proto->op_type);
    Onnx__TensorProto *tensor = constant_tensor(proto);
    if (tensor) {
        struct value *value = graph_value(graph, text(proto->output[0]), err);
        return value ? take_tensor(graph, NULL, tensor, value, err) : -1;
    }
    struct graph_node *node = graph_alloc(graph, sizeof *node, err);
    if (!node)
        return -1;
    node->node.name = graph_string(graph, name, strlen(name), err);
    node->node.op_type = graph_string(graph, op_type, strlen(op_type), err);
    if (!node->node.name || !node->node.op_type)
        return -1;
    if (read_edges(graph, proto, node, err) < 0 ||
        read_attributes(graph, proto, node, err) < 0 ||
        check_node(graph, text(proto->domain), node, err) < 0)
        return graph_error(graph, node, err);
    widen_cast(node);
    graph->nodes[graph->node_count++] = node;
    return 0;
}

static int read_nodes(struct graph *graph, const Onnx__GraphProto *proto,
                      struct err *err) {
    if (proto->n_node > GRAPH_NODES_MAX)
        return err_set(err,
                       "the network has %zu nodes, at most %d are "
                       "accepted",
                       proto->n_node, GRAPH_NODES_MAX);
    graph->nodes = graph_alloc(
        graph, (proto->n_node + 1) * sizeof(struct graph_node *), err);
    if (!graph->nodes)
        return -1;
    graph->file_nodes = (int)proto->n_node;
    for (size_t i = 0; i < proto->n_node; i++)
        if (read_node(graph, proto->node[i], err) < 0)
            return -1;
    return 0;
}

/* ---- weights in the file ------------------------------------------------ */

/* Whether steps pack input i of the node: they can read it at any address. */
static bool is_weights(const struct graph_node *node, int i) {
    static const char *const types[] = {"Conv", "Gemm", "MatMul"};
    const struct tensor *t = &node->inputs[i]->t;
    if (i != 1 || t->type != NN_FLOAT32)
        return false;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (strcmp(node->node.op_type, types[k]) == 0)
            return t->rank == (k == 0 ? 4 : 2);
    return false;
}

/* What anyone else reads is copied. */
static int copy_others_in(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->output_count; i++)
        if (graph_copy_in(graph->output_values[i], err) < 0)
            return -1;
    for (int n = 0; n < graph->node_count; n++) {
        const struct graph_node *node = graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] && !is_weights(node, i) &&
                graph_copy_in(node->inputs[i], err) < 0)
                return -1;
    }
    return 0;
}

static int copy_all_in(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->value_count; i++)
        if (graph_copy_in(graph->values[i], err) < 0)
            return -1;
    return 0;
}

/* ---- all of it ---------------------------------------------------------- */

static struct graph *parse(const struct onnx_file *file, struct err *err) {
    Onnx__ModelProto *proto = onnx_unpack(file, err);
    struct graph *graph = proto ? graph_new(err) : NULL;

    if (!graph || read_header(proto, graph, err) < 0 ||
        read_initialisers(graph, file, proto->graph, err) < 0 ||
        read_inputs(graph, proto->graph, err) < 0 ||
        read_nodes(graph, proto->graph, err) < 0 ||
        read_outputs(graph, proto->graph, err) < 0 ||
        graph_sort(graph, err) < 0)
        goto fail;
    onnx__model_proto__free_unpacked(proto, NULL);
    graph_tidy(graph);
    return graph;
fail:
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    graph_free(graph);
    return NULL;
}

struct graph *onnx_parse(const void *bytes, size_t size, struct err *err) {
    struct graph *graph = parse(&(struct onnx_file){bytes, size}, err);
    if (graph && copy_all_in(graph, err) < 0) {
        graph_free(graph);
        return NULL;
    }
    return graph;
}

struct graph *onnx_parse_mapping(void *bytes, size_t size, struct err *err) {
    struct graph *graph = parse(&(struct onnx_file){bytes, size}, err);
    if (graph && copy_others_in(graph, err) < 0) {
        graph_free(graph);
        graph = NULL;
    }
    if (!graph) {
        munmap(bytes, size);
        return NULL;
    }
    tensor_give_back(bytes, size);
    graph->file = bytes;
    graph->file_size = size;
    return graph;
}
