/*
 * onnx_reader: what the parts of the reader of ONNX files share while a file is
 * read; for onnx*.c alone.
 */
#ifndef CONVOY_NN_ONNX_READER_H
#define CONVOY_NN_ONNX_READER_H

#include "models/nn/graph.h"
#include "models/nn/onnx_unpack.h"

struct onnx_reader {
    struct graph *graph;
    const struct onnx_file *file;
    const Onnx__ModelProto *model;
    const char *folder; /* of external data; NULL: there are none */
    bool narrow;        /* float64 is read as float32 */
    int seen;           /* nodes, those of functions each time they are used */
    int node_room;      /* of graph->nodes */
    int functions;      /* used so far */
    int choices;        /* conditions looked at so far */
};

/* Where a node stands: in the graph, or in a function that a node calls, whose
 * names and attributes are its own. */
struct onnx_scope {
    const struct onnx_scope *outer; /* of the call; NULL: the graph */
    const Onnx__FunctionProto *function;
    const Onnx__NodeProto *call;
    int64_t opset;
    int number, depth;
};

static inline const char *onnx_text(const char *s) {
    return s ? s : ""; /* protobuf-c leaves absent strings NULL */
}

static inline bool onnx_is_default_domain(const char *domain) {
    return *onnx_text(domain) == 0 || strcmp(domain, "ai.onnx") == 0;
}

/* onnx_constant.c: `value` becomes a constant with the tensor's numbers,
 * wherever these lie. */
int onnx_constant(struct onnx_reader *r, Onnx__TensorProto *proto,
                  struct value *value, struct err *err);
/* float64 becomes float32 where the reader says so. */
int onnx_narrow(const struct onnx_reader *r, struct tensor *t, struct err *err);
enum nn_type onnx_port_type(const struct onnx_reader *r, int32_t data_type);

/* onnx_node.c: the value that a name stands for. */
struct value *onnx_value(struct onnx_reader *r, const struct onnx_scope *scope,
                         const char *name, struct err *err);
int onnx_nodes(struct onnx_reader *r, const struct onnx_scope *scope,
               Onnx__NodeProto **nodes, size_t count, struct err *err);
int onnx_initialisers(struct onnx_reader *r, const struct onnx_scope *scope,
                      const Onnx__GraphProto *proto, struct err *err);
/* A node that reads `inputs` and writes `output`. */
int onnx_add_node(struct onnx_reader *r, const struct op *op,
                  struct value *const *inputs, int count, struct value *output,
                  struct err *err);

/* What may be other nodes in place of this one: 1: they were read; 0: it is
 * none of these, or `why` says why that cannot be done; -1: an error. */
/* onnx_function.c: a call of a function of the file's, or an operator of
 * com.microsoft that is known. */
int onnx_call(struct onnx_reader *r, const struct onnx_scope *scope,
              const Onnx__NodeProto *proto, struct err *why, struct err *err);
/* onnx_branch.c: an If, of which one branch is taken. */
int onnx_branch(struct onnx_reader *r, const struct onnx_scope *scope,
                const Onnx__NodeProto *proto, struct err *why, struct err *err);

/* onnx_microsoft.c: an operator of com.microsoft as a function of ONNX's own,
 * which lives as long as the graph; NULL: an error was set. */
const Onnx__FunctionProto *onnx_microsoft(struct graph *graph,
                                          const Onnx__NodeProto *call,
                                          struct err *err);

#endif
