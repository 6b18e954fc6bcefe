/*
 * op: the operators of ONNX that the engine has, one row each.
 *
 *     const struct op *op = op_find("Reshape", opset, &err);
 *     struct op_call call = {.op = op, .node = node, .opset = 17,
 *                            .inputs = {&x, &shape}, .input_count = 2,
 *                            .output_count = 1};
 *     if (op->infer(&call, &err) < 0) ...     types and shapes of the outputs
 *     call.outputs[0].data = ...              tensor_bytes() of room each
 *     call.scratch = ...                      op->scratch(&call) bytes, if any
 *     op->run(&call);
 *
 * The same rows serve folding of constants at load, shape inference at
 * planning and the run itself. infer() checks everything that can be wrong
 * (ranks, types, attributes, and sizes against overflow), so that run() cannot
 * fail. An input whose data are known while shapes are inferred (a constant,
 * or computed from shapes alone) has `data`; infer() of an operator whose
 * output shape depends on numbers (Reshape, Slice, Pad, ConstantOfShape ...)
 * refuses by name where it does not. Data are in the plain layout unless a
 * trait says otherwise.
 *
 * A new operator is one row in one of the tables of ops_*.c and its functions.
 */
#ifndef CONVOY_NN_OP_H
#define CONVOY_NN_OP_H

#include "models/nn/tensor.h"

#define OP_INPUTS_MAX 64 /* Concat in DenseNet takes 32 and more */
#define OP_OUTPUTS_MAX 32

struct attribute {
    const char *name;
    enum attribute_kind {
        ATTRIBUTE_INT = 1,
        ATTRIBUTE_FLOAT,
        ATTRIBUTE_STRING,
        ATTRIBUTE_TENSOR,
        ATTRIBUTE_INTS,
        ATTRIBUTE_FLOATS,
        ATTRIBUTE_OTHER, /* a kind that no operator here takes */
    } kind;
    int64_t i;
    float f;
    const char *s; /* NUL-terminated */
    struct tensor t;
    const int64_t *ints;
    const float *floats;
    int count; /* of ints or floats */
};

/* A node as the file has it. Everything is owned by the graph. */
struct node {
    const char *name;    /* "" where the file gives none */
    const char *op_type; /* "Conv" */
    struct attribute *attributes;
    int attribute_count;
};

struct op_call {
    const struct op *op; /* the row, as op_find() gave it */
    const struct node *node;
    int64_t opset;
    int input_count, output_count;
    const struct tensor *inputs[OP_INPUTS_MAX]; /* NULL: left out */
    struct tensor outputs[OP_OUTPUTS_MAX];
    void *scratch; /* TENSOR_ALIGN aligned */
};

enum op_trait {
    /* Number by number, the same for every layout (all inputs in one layout
     * and shape, or the others scalars): Relu, Add, Clip ... The output may be
     * written over an input of the same shape and type. */
    OP_ELEMENTWISE = 1,
    /* Output 0 is input 0's data under another shape: Reshape, Flatten,
     * Squeeze, Identity ... A plan aliases where there is no other output;
     * run() copies. */
    OP_VIEW = 2,
    /* The output depends on the input's shape alone: Shape, Size. */
    OP_SHAPE_ONLY = 4,
    /* run() reads each input and writes each output in the layout that it is
     * marked with (infer() marks outputs plain): Concat, Slice, Resize ... */
    OP_ANY_LAYOUT = 8,
    /* run() takes inputs and outputs of rank 4 in either layout, the same for
     * all of them. */
    OP_ONE_LAYOUT = 16,
    /* Where the first dimension, and no other, of all inputs that are not
     * constant and of all outputs is the batch, no image has a part in the
     * results of another. (OP_ELEMENTWISE implies it.) */
    OP_IMAGES_APART = 32,
};

struct op_attribute {
    const char *name; /* NULL ends a list */
    enum attribute_kind kind;
};

struct op {
    const char *name;
    int since; /* first opset whose meaning this row has; the row with the
                  greatest `since` up to the model's opset is taken */
    int inputs_min, inputs_max;
    int outputs_max;
    unsigned traits;
    int (*infer)(struct op_call *call, struct err *err);
    void (*run)(struct op_call *call);
    size_t (*scratch)(const struct op_call *call); /* NULL: none */
    /* Those that the row understands; any other name or kind is a load error.
     * NULL: none. */
    const struct op_attribute *attributes;
    const void *kernel; /* what sets this row apart from others with the same
                           functions; of a type that its file alone knows */
};

/* NULL with an error that names the operator and what to do about it. Checks
 * nothing else. */
const struct op *op_find(const char *op_type, int64_t opset, struct err *err);

/* Row i of all tables, one behind the other; NULL behind the last one. */
const struct op *op_row(int i);

/* Number of inputs and outputs, none left out that is needed, attributes: for
 * every node at load. */
int op_check(const struct op *op, const struct op_call *call, struct err *err);

/* run() with scratch of its own, for what is computed once. */
int op_run_alone(struct op_call *call, struct err *err);

/* ---- for the ops_*.c ---------------------------------------------------- */

/* Each table ends with a row without a name. */
extern const struct op ops_unary[], ops_binary[], ops_shape[], ops_move[],
    ops_gather[], ops_pad[], ops_resize[], ops_reduce[], ops_line[],
    ops_normalise[], ops_matmul[], ops_conv[], ops_pool[], ops_quantise[],
    ops_qlinear[], ops_einsum[], ops_activation[], ops_topk[];

const struct attribute *node_attribute(const struct node *node,
                                       const char *name);
/* The value, or the default where the node has none. The kind was checked by
 * op_check(). */
int64_t node_int(const struct node *node, const char *name, int64_t otherwise);
float node_float(const struct node *node, const char *name, float otherwise);
const char *node_string(const struct node *node, const char *name,
                        const char *otherwise);
/* Returns the count, 0 where the node has none. */
int node_ints(const struct node *node, const char *name, const int64_t **ints);

/* Refuses the type of an input that is not in `types` (number.h's sets). */
int op_types(const struct op_call *call, int input, unsigned types,
             struct err *err);

/* True where the node has this input. */
static inline bool op_has(const struct op_call *call, int input) {
    return input < call->input_count && call->inputs[input];
}

/* Sets type and shape of output i. */
int op_output(struct op_call *call, int i, enum nn_type type, int rank,
              const int64_t *dims, struct err *err);

/* Numbers of an integer input (int32 or int64) that must be known while
 * planning; *count of them, at most `max`. */
int op_known_ints(const struct op_call *call, int input, int64_t *ints,
                  int *count, int max, struct err *err);

/* -rank..rank-1 -> 0..rank-1, or an error. */
int op_axis(int64_t axis, int rank, int *out, struct err *err);

/* Marks the axes that the attribute "axes" has (in early opsets) or input 1,
 * each at most once. *given: false where the node has neither. */
int op_axes(const struct op_call *call, int rank, bool *given,
            bool marked[NN_MAX_RANK], struct err *err);

/* Broadcasting as ONNX (and NumPy) has it. */
int op_broadcast(const struct tensor *a, const struct tensor *b, int *rank,
                 int64_t dims[NN_MAX_RANK], struct err *err);

#endif
