/*
 * graph: a network as the file has it and as the passes leave it: nodes that
 * read and write values.
 *
 *     struct graph *graph = onnx_parse(bytes, size, &err);
 *     if (graph_fold(graph, &err) < 0 || graph_fuse(graph, &err) < 0) ...
 *     for (int i = 0; i < graph->node_count; i++)
 *         ... graph->nodes[i]->op, in an order in which every value is written
 *             before it is read
 *     graph_free(graph);
 *
 * A value with data is a constant. Nodes, values, names and attributes live as
 * long as the graph; the data of a constant go as soon as nobody reads it.
 *
 * A pass walks over the nodes once, in order, and looks backwards (a value
 * knows its producer). It takes a node away by graph_forward() and is ended by
 * graph_tidy(), which makes producers and uses exact again.
 */
#ifndef CONVOY_NN_GRAPH_H
#define CONVOY_NN_GRAPH_H

#include "models/nn/op.h"

/* Bounds of what is accepted, far above any network in use (EfficientNet-L2
 * has some 3,000 nodes): a pass may look at every node for every node. */
#define GRAPH_NODES_MAX 32768
#define GRAPH_PORTS_MAX 64
#define GRAPH_FILES_MAX 1024 /* where each weight has one */
/* What a file could hold by itself: protobuf ends at 2 GiB. */
#ifndef GRAPH_CONSTANTS_MAX
#define GRAPH_CONSTANTS_MAX ((size_t)2 << 30)
#endif

struct value {
    const char *name;
    struct tensor t; /* data: a constant. rank -1: not known yet. An input has
                        dims as declared, -1 where open */
    struct graph_node *producer; /* NULL: an input or a constant */
    struct value *forward;       /* readers read that one instead */
    int uses;                    /* by nodes and as outputs of the graph */
    int index;                   /* in graph->values */
    bool is_input;
};

struct graph_node {
    struct node node;      /* as operators see it */
    const struct op *op;   /* NULL: taken away */
    struct value **inputs; /* NULL: left out */
    struct value **outputs;
    int input_count, output_count;
    const char *refused; /* why it cannot be run, which matters only where its
                            result is needed; or NULL */
};

/* A file that tensors lie in (in_file): the model's own, or one beside it. */
struct graph_file {
    const char *name; /* relative to the model's folder; NULL: the model */
    void *bytes;      /* mapped */
    size_t size;
};

struct graph {
    const char *producer; /* "pytorch 1.13.0" */
    int64_t opset;
    int file_nodes; /* in the file */
    int64_t parameters;
    struct graph_node **nodes;
    struct value **values;
    int node_count, value_count, value_room;
    struct nn_port inputs[GRAPH_PORTS_MAX], outputs[GRAPH_PORTS_MAX];
    struct value *input_values[GRAPH_PORTS_MAX];
    struct value *output_values[GRAPH_PORTS_MAX];
    int input_count, output_count;
    size_t constant_bytes;
    struct graph_file *files;
    int file_count;
    struct block *blocks;   /* of graph_alloc() */
    struct value **by_name; /* hash table, open addressing */
    size_t by_name_room;
};

struct graph *graph_new(struct err *err);
void graph_free(struct graph *graph);

/* Zeroed memory that lives as long as the graph. */
void *graph_alloc(struct graph *graph, size_t size, struct err *err);
const char *graph_string(struct graph *graph, const void *text, size_t len,
                         struct err *err);

/* The value of that name, new where there is none; "" is a new one. */
struct value *graph_value(struct graph *graph, const char *name,
                          struct err *err);
/* NULL where there is none. */
struct value *graph_find_value(const struct graph *graph, const char *name);

/* Brings the nodes into an order in which each is behind those it reads from;
 * refuses cycles and values that nobody writes. */
int graph_sort(struct graph *graph, struct err *err);

/* Applies what was forwarded, drops nodes and constants that nobody needs,
 * counts uses. */
void graph_tidy(struct graph *graph);

/* Readers of node's first output read `value` instead, and the node goes. */
void graph_forward(struct graph_node *node, struct value *value);

/* Input i, behind what was forwarded; NULL where it is left out. */
struct value *graph_input(const struct graph_node *node, int i);
bool graph_is_constant(const struct value *value);
/* The node that writes `value` where it is of that type and `value` is read
 * once and is no output of the graph; else NULL. */
struct graph_node *graph_producer(const struct value *value,
                                  const char *op_type);

/* Adds to graph->constant_bytes; refuses what goes beyond the bound. */
int graph_reserve(struct graph *graph, size_t bytes, struct err *err);

/* A new constant with room for the data. */
struct value *graph_constant(struct graph *graph, const char *name,
                             enum nn_type type, int rank, const int64_t *dims,
                             struct err *err);

/* Takes over a mapping, which is unmapped with the graph, or now where that
 * fails: NULL. Pointers to files hold until the next one. */
const struct graph_file *graph_own_file(struct graph *graph, const char *name,
                                        void *bytes, size_t size,
                                        struct err *err);
const struct graph_file *graph_find_file(const struct graph *graph,
                                         const char *name);

/* Copies the numbers of a constant that lie in the file, so that anyone can
 * read them. */
int graph_copy_in(struct value *value, struct err *err);

/* Replaces the attribute of that name, or adds it. */
int graph_set_attribute(struct graph *graph, struct graph_node *node,
                        const struct attribute *attribute, struct err *err);

/* The node's only number, where value is a constant float32 of one number. */
bool graph_scalar(const struct value *value, float *number);

/* True for a ReduceMean over the last two of four axes, which is global average
 * pooling. */
bool graph_averages_pixels(const struct graph_node *node);

/* What a person finds the node by: its name, or its output's. */
const char *graph_label(const struct graph_node *node);
/* Puts "node ... (Conv, opset 13): " before the sentence; returns -1. */
int graph_error(const struct graph *graph, const struct graph_node *node,
                struct err *err);

/* Fills `call` for the node; tensors[value->index] where `tensors` is not
 * NULL, otherwise each value's own. */
void graph_call(const struct graph *graph, const struct graph_node *node,
                const struct tensor *tensors, struct op_call *call);

/* ---- the passes --------------------------------------------------------- */

/* quantised.c: operators between Dequantize and Quantize become operators of
 * bytes. Before folding. */
int graph_fuse_quantised(struct graph *graph, struct err *err);

/* fold.c: computes whatever does not depend on the inputs. */
int graph_fold(struct graph *graph, struct err *err);

/* shapes.c: ranks and shapes for one nominal size, an aid for fusion; leaves
 * unknown (rank -1) what it cannot find. */
int graph_guess_shapes(struct graph *graph, struct err *err);

/* A size for what a file leaves open: one colour image of 224 x 224. */
void graph_nominal_port(const struct nn_port *declared, struct nn_port *out);

/* simplify.c: gives reductions their axes as attribute; takes away what does
 * nothing: Identity, Dropout, empty Pad, Cast to the same type, Transpose that
 * another one undoes or that a reduction makes needless; merges Pad into the
 * convolution behind it. */
int graph_simplify(struct graph *graph, struct err *err);

/* activations.c: composites that are one activation become one node. */
int graph_fuse_activations(struct graph *graph, struct err *err);

/* shuffle.c: channel shuffles become one node. */
int graph_fuse_shuffles(struct graph *graph, struct err *err);

/* layer_norm.c: layer normalisation that is written out becomes one node. */
int graph_fuse_layer_norms(struct graph *graph, struct err *err);

/* The activation that a node is, if it is one with known parameters. */
struct activation;
bool graph_activation(const struct graph_node *node,
                      struct activation *activation);

/* affine.c: BatchNormalization and multiplication and addition of constants by
 * channel go into the convolution, Gemm or MatMul before them; what stays
 * becomes one ScaleShift (x, scale (C), shift (C)). */
int graph_fuse_affine(struct graph *graph, struct err *err);

#endif
