/* The two kinds of step that any plan can do with: a node by its operator's
 * row, and a change of layout. */
#include "models/nn/plan.h"
#include "models/nn/strided.h"

#include <string.h>

double step_no_flops(const struct step *step, const struct tensor *tensors) {
    (void)step;
    (void)tensors;
    return 0;
}

double step_output_flops(const struct step *step,
                         const struct tensor *tensors) {
    return (double)tensor_count(&tensors[step->outputs[0]]);
}

/* ---- an operator's row -------------------------------------------------- */

static bool takes_any(const struct graph_node *node,
                      const struct tensor *values) {
    (void)node;
    (void)values;
    return true;
}

static void fill_call(const struct step *step, const struct tensor *tensors,
                      struct op_call *call) {
    const struct op *op = step->node->op;
    call->op = op;
    call->opset = step->opset;
    call->scratch = NULL;
    call->node = &step->node->node;
    call->input_count = step->input_count;
    call->output_count = step->output_count;
    for (int i = 0; i < step->input_count; i++)
        call->inputs[i] =
            step->inputs[i] < 0 ? NULL : &tensors[step->inputs[i]];
    for (int i = step->input_count; i < op->inputs_max; i++)
        call->inputs[i] = NULL;
    for (int i = 0; i < step->output_count; i++)
        call->outputs[i] = tensors[step->outputs[i]];
}

static size_t operator_scratch(const struct step *step,
                               const struct tensor *tensors) {
    struct op_call call;
    if (!step->node->op->scratch)
        return 0;
    fill_call(step, tensors, &call);
    return step->node->op->scratch(&call);
}

static void run_operator(const struct step *step, struct tensor *tensors,
                         void *scratch) {
    struct op_call call;
    fill_call(step, tensors, &call);
    call.scratch = scratch;
    step->node->op->run(&call);
}

static const char *operator_algorithm(const struct step *step) {
    (void)step;
    return "generic";
}

/* What each number of the output looks at: a window, of poolings other than
 * the global ones; 1 of the rest. */
static double window_numbers(const struct node *node) {
    const int64_t *kernel;
    int axes = node_ints(node, "kernel_shape", &kernel);
    double count = 1;
    for (int i = 0; i < axes; i++)
        count *= (double)kernel[i];
    return count;
}

/* Rows that multiply matrices count their multiplications and additions,
 * poolings what their windows cover, all others one for each number that they
 * give. */
static double operator_flops(const struct step *step,
                             const struct tensor *tensors) {
    const char *op_type = step->node->node.op_type;
    double count = step_output_flops(step, tensors);
    const struct tensor *a = step->input_count > 0 && step->inputs[0] >= 0
                                 ? &tensors[step->inputs[0]]
                                 : NULL;
    const struct tensor *b = step->input_count > 1 && step->inputs[1] >= 0
                                 ? &tensors[step->inputs[1]]
                                 : NULL;
    if (a && strcmp(op_type, "MatMul") == 0 && a->rank > 0)
        return 2 * count * (double)a->dims[a->rank - 1];
    if (a && strcmp(op_type, "Gemm") == 0 && a->rank == 2)
        return 2 * count *
               (double)
                   a->dims[node_int(&step->node->node, "transA", 0) ? 0 : 1];
    if (b && strcmp(op_type, "Conv") == 0 && b->rank > 1)
        return 2 * count * (double)dims_count(b->dims + 1, b->rank - 1);
    return count * window_numbers(&step->node->node);
}

/* ---- a change of layout ------------------------------------------------- */

#define TILE 16 /* floats in a cache line */

/* Three planes of colours -> pixels; what nearly every network begins with. */
static void interleave(size_t pixels, const float *restrict in,
                       float *restrict out) {
    for (size_t i = 0; i < pixels; i++) {
        out[3 * i] = in[i];
        out[3 * i + 1] = in[pixels + i];
        out[3 * i + 2] = in[2 * pixels + i];
    }
}

/* in (rows, columns) -> out (columns, rows) */
static void transpose(size_t rows, size_t columns, const float *in,
                      float *out) {
    if (rows == 3) {
        interleave(columns, in, out);
        return;
    }
    for (size_t r = 0; r < rows; r += TILE)
        for (size_t c = 0; c < columns; c += TILE) {
            size_t r_end = r + TILE < rows ? r + TILE : rows;
            size_t c_end = c + TILE < columns ? c + TILE : columns;
            for (size_t j = c; j < c_end; j++)
                for (size_t i = r; i < r_end; i++)
                    out[j * rows + i] = in[i * columns + j];
        }
}

/* The same of bytes, which quantised networks begin with. */
static void transpose_bytes(size_t rows, size_t columns, const uint8_t *in,
                            uint8_t *out) {
    for (size_t c = 0; c < columns; c += TILE) {
        size_t end = c + TILE < columns ? c + TILE : columns;
        for (size_t r = 0; r < rows; r++)
            for (size_t j = c; j < end; j++)
                out[j * rows + r] = in[r * columns + j];
    }
}

static void run_convert(const struct step *step, struct tensor *tensors,
                        void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    struct tensor *y = &tensors[step->outputs[0]];
    size_t size = type_size(x->type);
    (void)scratch;
    if (size != sizeof(float) && size != 1) {
        ptrdiff_t in[NN_MAX_RANK], out[NN_MAX_RANK];
        strided_of_tensor(in, x);
        strided_of_tensor(out, y);
        strided_copy(size, x->rank, x->dims, y->data, out, x->data, in);
        return;
    }
    size_t channels = (size_t)x->dims[1];
    size_t pixels = (size_t)(x->dims[2] * x->dims[3]);
    bool plain = x->layout == LAYOUT_PLAIN;
    size_t rows = plain ? channels : pixels;
    size_t columns = plain ? pixels : channels;
    for (size_t n = 0; n < (size_t)x->dims[0]; n++) {
        size_t at = n * channels * pixels;
        if (size == sizeof(float))
            transpose(rows, columns, (const float *)x->data + at,
                      (float *)y->data + at);
        else
            transpose_bytes(rows, columns, (const uint8_t *)x->data + at,
                            (uint8_t *)y->data + at);
    }
}

const struct step_kind step_operator = {.name = "operator",
                                        .layout = WANTS_PLAIN,
                                        .inputs = -1,
                                        .takes = takes_any,
                                        .measure = operator_scratch,
                                        .run = run_operator,
                                        .algorithm = operator_algorithm,
                                        .flops = operator_flops};

const struct step_kind step_convert = {.name = "convert",
                                       .layout = WANTS_ANY,
                                       .inputs = 1,
                                       .images_apart = true,
                                       .takes = takes_any,
                                       .run = run_convert,
                                       .flops = step_no_flops};
