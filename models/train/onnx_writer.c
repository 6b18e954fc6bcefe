/*
 * Protocol buffers in C are structs that point at each other. Here a node, a
 * tensor or a port is one slot with everything that it points at, so each is
 * one allocation and one free.
 */
#include "models/train/onnx_writer.h"

#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 64
#define RANK_MAX 4
#define INPUTS_MAX 5 /* BatchNormalization has the most */
#define ATTRIBUTES_MAX 4
#define NODES_MAX 1024 /* a network has at most 64 layers, of 5 nodes each */
#define BATCH_NAME "batch"

/* raw_data is little-endian in every ONNX file. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weights would have to be turned round");

struct node {
    Onnx__NodeProto proto;
    char name[TEXT], output[TEXT], inputs[INPUTS_MAX][TEXT];
    char *input_list[INPUTS_MAX], *output_list[1];
    Onnx__AttributeProto attributes[ATTRIBUTES_MAX];
    Onnx__AttributeProto *attribute_list[ATTRIBUTES_MAX];
    int64_t ints[ATTRIBUTES_MAX][RANK_MAX];
};

struct weights {
    Onnx__TensorProto proto;
    char name[TEXT];
    int64_t dims[RANK_MAX];
    float values[];
};

struct port {
    Onnx__ValueInfoProto proto;
    Onnx__ValueInfoProto *list[1];
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[RANK_MAX];
    Onnx__TensorShapeProto__Dimension *dim_list[RANK_MAX];
    char name[TEXT];
};

struct onnx_writer {
    const char *wrong; /* the first thing that went wrong, or NULL */
    char name[TEXT];
    struct port input, output;
    struct node *nodes[NODES_MAX];
    struct weights *weights[NODES_MAX];
    size_t node_count, weights_count;
};

struct onnx_writer *onnx_writer_open(const char *graph, struct err *err) {
    struct onnx_writer *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(err, "no memory to write an ONNX file");
        return NULL;
    }
    strncpy(w->name, graph, TEXT - 1);
    return w;
}

void onnx_writer_close(struct onnx_writer *w) {
    if (!w)
        return;
    for (size_t i = 0; i < w->node_count; i++)
        free(w->nodes[i]);
    for (size_t i = 0; i < w->weights_count; i++)
        free(w->weights[i]);
    free(w);
}

static void go_wrong(struct onnx_writer *w, const char *why) {
    if (!w->wrong)
        w->wrong = why;
}

static char *copy(struct onnx_writer *w, char to[TEXT], const char *name) {
    if (strlen(name) >= TEXT)
        go_wrong(w, "a name is longer than 63 bytes");
    strncpy(to, name, TEXT - 1);
    return to;
}

/* ---- input and output ---------------------------------------------------- */

static void set_port(struct onnx_writer *w, struct port *port, const char *name,
                     int rank, const int64_t *dims) {
    static char batch[] = BATCH_NAME; /* only read */
    onnx__value_info_proto__init(&port->proto);
    onnx__type_proto__init(&port->type);
    onnx__type_proto__tensor__init(&port->tensor);
    onnx__tensor_shape_proto__init(&port->shape);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = &port->dims[i];
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case =
            dims[i] < 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                        : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (dims[i] < 0)
            dim->dim_param = batch;
        else
            dim->dim_value = dims[i];
        port->dim_list[i] = dim;
    }
    port->shape.n_dim = (size_t)rank;
    port->shape.dim = port->dim_list;
    port->tensor.has_elem_type = true;
    port->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    port->tensor.shape = &port->shape;
    port->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    port->type.tensor_type = &port->tensor;
    port->proto.name = copy(w, port->name, name);
    port->proto.type = &port->type;
    port->list[0] = &port->proto;
}

void onnx_writer_input(struct onnx_writer *w, const char *name, int rank,
                       const int64_t *dims) {
    set_port(w, &w->input, name, rank, dims);
}

void onnx_writer_output(struct onnx_writer *w, const char *name, int rank,
                        const int64_t *dims) {
    set_port(w, &w->output, name, rank, dims);
}

/* ---- weights ------------------------------------------------------------- */

float *onnx_writer_weights(struct onnx_writer *w, const char *name, int rank,
                           const int64_t *dims) {
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    struct weights *slot =
        w->weights_count < NODES_MAX
            ? calloc(1, sizeof *slot + count * sizeof *slot->values)
            : NULL;
    if (!slot) {
        go_wrong(w, "no memory for its weights");
        return NULL;
    }
    onnx__tensor_proto__init(&slot->proto);
    memcpy(slot->dims, dims, (size_t)rank * sizeof *dims);
    slot->proto.name = copy(w, slot->name, name);
    slot->proto.n_dims = (size_t)rank;
    slot->proto.dims = slot->dims;
    slot->proto.has_data_type = true;
    slot->proto.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    slot->proto.has_raw_data = true;
    slot->proto.raw_data.len = count * sizeof *slot->values;
    slot->proto.raw_data.data = (uint8_t *)slot->values;
    w->weights[w->weights_count++] = slot;
    return slot->values;
}

/* ---- nodes --------------------------------------------------------------- */

void onnx_writer_node(struct onnx_writer *w, const char *op, const char *name,
                      const char *const *inputs, const char *output) {
    struct node *node =
        w->node_count < NODES_MAX ? calloc(1, sizeof *node) : NULL;
    if (!node) {
        go_wrong(w, "no memory for its nodes");
        return;
    }
    onnx__node_proto__init(&node->proto);
    for (; inputs[node->proto.n_input]; node->proto.n_input++) {
        size_t i = node->proto.n_input;
        if (i == INPUTS_MAX) {
            go_wrong(w, "a node has more than 5 inputs");
            break;
        }
        node->input_list[i] = copy(w, node->inputs[i], inputs[i]);
    }
    node->output_list[0] = copy(w, node->output, output);
    node->proto.op_type = (char *)(uintptr_t)op; /* only read */
    node->proto.name = copy(w, node->name, name);
    node->proto.input = node->input_list;
    node->proto.n_output = 1;
    node->proto.output = node->output_list;
    node->proto.attribute = node->attribute_list;
    w->nodes[w->node_count++] = node;
}

/* A new attribute of the last node, or NULL. */
static Onnx__AttributeProto *
add_attribute(struct onnx_writer *w, const char *name,
              Onnx__AttributeProto__AttributeType type) {
    struct node *node = w->node_count > 0 ? w->nodes[w->node_count - 1] : NULL;
    if (!node || node->proto.n_attribute == ATTRIBUTES_MAX) {
        go_wrong(w, "a node has more than 4 attributes");
        return NULL;
    }
    size_t i = node->proto.n_attribute++;
    Onnx__AttributeProto *attribute = &node->attributes[i];
    onnx__attribute_proto__init(attribute);
    attribute->name = (char *)(uintptr_t)name; /* only read */
    attribute->has_type = true;
    attribute->type = type;
    attribute->ints = node->ints[i];
    node->attribute_list[i] = attribute;
    return attribute;
}

void onnx_writer_int(struct onnx_writer *w, const char *attribute,
                     int64_t value) {
    Onnx__AttributeProto *a =
        add_attribute(w, attribute, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return;
    a->has_i = true;
    a->i = value;
}

void onnx_writer_float(struct onnx_writer *w, const char *attribute,
                       float value) {
    Onnx__AttributeProto *a = add_attribute(
        w, attribute, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return;
    a->has_f = true;
    a->f = value;
}

void onnx_writer_ints(struct onnx_writer *w, const char *attribute, int count,
                      const int64_t *values) {
    Onnx__AttributeProto *a = add_attribute(
        w, attribute, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a)
        return;
    a->n_ints = (size_t)count;
    memcpy(a->ints, values, (size_t)count * sizeof *values);
}

/* ---- the file ------------------------------------------------------------ */

/* Lists of protocol buffers are arrays of pointers; a slot starts with its
 * message, so the slots' own arrays serve. */
_Static_assert(offsetof(struct node, proto) == 0 &&
                   offsetof(struct weights, proto) == 0,
               "slots are read as messages");

void *onnx_writer_pack(struct onnx_writer *w, size_t *size, struct err *err) {
    static char producer[] = "convoy-model", domain[] = ""; /* only read */
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    Onnx__OperatorSetIdProto *opsets[1] = {&opset};
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;

    if (w->wrong) {
        err_set(err, "cannot write the network as ONNX: %s", w->wrong);
        return NULL;
    }
    graph.name = w->name;
    graph.n_node = w->node_count;
    graph.node = (Onnx__NodeProto **)w->nodes;
    graph.n_initializer = w->weights_count;
    graph.initializer = (Onnx__TensorProto **)w->weights;
    graph.n_input = graph.n_output = 1;
    graph.input = w->input.list;
    graph.output = w->output.list;
    opset.domain = domain;
    opset.has_version = true;
    opset.version = ONNX_WRITER_OPSET;
    model.has_ir_version = true;
    model.ir_version = ONNX_WRITER_IR;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.producer_name = producer;
    model.graph = &graph;
    *size = onnx__model_proto__get_packed_size(&model);
    uint8_t *bytes = malloc(*size);
    if (!bytes) {
        err_set(err, "no memory for an ONNX file of %zu bytes", *size);
        return NULL;
    }
    onnx__model_proto__pack(&model, bytes);
    return bytes;
}
