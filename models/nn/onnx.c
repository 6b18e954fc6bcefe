#include "models/nn/onnx.h"
#include "models/nn/onnx_reader.h"
#include "models/nn/onnx_tensor.h"
#include "models/nn/onnx_unpack.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int read_header(const Onnx__ModelProto *proto, struct graph *graph,
                       struct err *err) {
    for (size_t i = 0; i < proto->n_opset_import; i++)
        if (onnx_is_default_domain(proto->opset_import[i]->domain))
            graph->opset = proto->opset_import[i]->version;
    if (graph->opset < ONNX_OPSET_MIN || graph->opset > ONNX_OPSET_MAX)
        return err_set(err,
                       "opset %lld is not supported, %d to %d are: export the "
                       "model with one of these",
                       (long long)graph->opset, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
    char producer[128];
    int n = snprintf(producer, sizeof producer, "%s%s%s",
                     onnx_text(proto->producer_name),
                     *onnx_text(proto->producer_version) ? " " : "",
                     onnx_text(proto->producer_version));
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof producer)
        len = sizeof producer - 1;
    graph->producer = graph_string(graph, producer, len, err);
    return graph->producer ? 0 : -1;
}

/* ---- inputs, outputs ---------------------------------------------------- */

static int read_port(const struct onnx_reader *r,
                     const Onnx__ValueInfoProto *proto, const char *name,
                     struct nn_port *port, struct err *err) {
    const Onnx__TypeProto *type = proto->type;
    *port = (struct nn_port){.name = name};
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !type->tensor_type)
        return err_set(err, "%s is declared as something else than a tensor",
                       name);
    const Onnx__TypeProto__Tensor *tensor = type->tensor_type;
    port->type =
        onnx_port_type(r, tensor->has_elem_type ? tensor->elem_type : 0);
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
static int read_inputs(struct onnx_reader *r, const Onnx__GraphProto *proto,
                       struct err *err) {
    struct graph *graph = r->graph;
    for (size_t i = 0; i < proto->n_input; i++) {
        struct value *value =
            graph_value(graph, onnx_text(proto->input[i]->name), err);
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
        if (read_port(r, proto->input[i], value->name, port, err) < 0)
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
static int read_outputs(struct onnx_reader *r, const Onnx__GraphProto *proto,
                        struct err *err) {
    struct graph *graph = r->graph;
    if (proto->n_output == 0 || proto->n_output > GRAPH_PORTS_MAX)
        return err_set(err,
                       "the network has %zu outputs (1 to %d are "
                       "accepted)",
                       proto->n_output, GRAPH_PORTS_MAX);
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = onnx_text(proto->output[i]->name);
        struct value *value = graph_find_value(graph, name);
        if (!value || (!value->producer && !value->is_input && !value->t.data))
            return err_set(err, "nothing in the file writes the output %s",
                           name);
        struct nn_port *port = &graph->outputs[i];
        if (read_port(r, proto->output[i], value->name, port, NULL) < 0)
            port->rank = -1;
        graph->output_values[i] = value;
    }
    graph->output_count = (int)proto->n_output;
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

/* And what lies in memory of the caller's. */
static int copy_borrowed_in(struct graph *graph, const struct onnx_file *file,
                            struct err *err) {
    for (int i = 0; i < graph->value_count; i++) {
        const uint8_t *data = graph->values[i]->t.data;
        if (data >= file->bytes && data < file->bytes + file->size &&
            graph_copy_in(graph->values[i], err) < 0)
            return -1;
    }
    return 0;
}

/* ---- all of it ---------------------------------------------------------- */

/* A network of float64 is computed in float32, which is what convolutions are
 * in; where there are none, few operators lack float64. */
static bool is_double(const Onnx__GraphProto *proto) {
    bool images = false, convolves = false;
    for (size_t i = 0; i < proto->n_input; i++) {
        const Onnx__TypeProto *type = proto->input[i]->type;
        images =
            images ||
            (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
             type->tensor_type && type->tensor_type->has_elem_type &&
             type->tensor_type->elem_type ==
                 ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE);
    }
    for (size_t i = 0; i < proto->n_node; i++)
        convolves = convolves ||
                    strcmp(onnx_text(proto->node[i]->op_type), "Conv") == 0;
    return images && convolves;
}

static int check_nodes(const struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count; i++)
        if (graph->nodes[i]->refused) {
            err_set(err, "%s", graph->nodes[i]->refused);
            return graph_error(graph, graph->nodes[i], err);
        }
    return 0;
}

static int read_graph(struct onnx_reader *r, struct err *err) {
    const Onnx__GraphProto *proto = r->model->graph;
    struct graph *graph = r->graph;
    if (read_header(r->model, graph, err) < 0)
        return -1;
    const struct onnx_scope scope = {.opset = graph->opset};
    graph->file_nodes =
        (int)(proto->n_node < INT_MAX ? proto->n_node : INT_MAX);
    r->narrow = is_double(proto);
    if (onnx_initialisers(r, &scope, proto, err) < 0 ||
        read_inputs(r, proto, err) < 0 ||
        onnx_nodes(r, &scope, proto->node, proto->n_node, err) < 0 ||
        read_outputs(r, proto, err) < 0 || graph_sort(graph, err) < 0)
        return -1;
    graph_tidy(graph);
    return check_nodes(graph, err);
}

static struct graph *parse(const struct onnx_file *file, const char *folder,
                           struct err *err) {
    Onnx__ModelProto *proto = onnx_unpack(file, err);
    struct onnx_reader r = {.graph = proto ? graph_new(err) : NULL,
                            .file = file,
                            .model = proto,
                            .folder = folder};
    if (r.graph &&
        (read_graph(&r, err) < 0 || copy_others_in(r.graph, err) < 0)) {
        graph_free(r.graph);
        r.graph = NULL;
    }
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    for (int i = 0; r.graph && i < r.graph->file_count; i++)
        tensor_give_back(r.graph->files[i].bytes, r.graph->files[i].size);
    return r.graph;
}

struct graph *onnx_parse_beside(const void *bytes, size_t size,
                                const char *folder, struct err *err) {
    const struct onnx_file file = {bytes, size};
    struct graph *graph = parse(&file, folder, err);
    if (graph && copy_borrowed_in(graph, &file, err) < 0) {
        graph_free(graph);
        return NULL;
    }
    return graph;
}

struct graph *onnx_parse(const void *bytes, size_t size, struct err *err) {
    return onnx_parse_beside(bytes, size, NULL, err);
}

struct graph *onnx_parse_mapping(void *bytes, size_t size, const char *folder,
                                 struct err *err) {
    struct graph *graph = parse(&(struct onnx_file){bytes, size}, folder, err);
    if (!graph) {
        munmap(bytes, size);
        return NULL;
    }
    tensor_give_back(bytes, size);
    if (!graph_own_file(graph, NULL, bytes, size, err)) {
        graph_free(graph);
        return NULL;
    }
    return graph;
}
