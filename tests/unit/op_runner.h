/* Runs one row of op.h, for the tests of operators. */
#ifndef CONVOY_TESTS_OP_RUNNER_H
#define CONVOY_TESTS_OP_RUNNER_H

#include "models/nn/op.h"

#include <stdlib.h>
#include <string.h>

/* Finds, checks and infers; the outputs have no data yet. */
static inline int op_prepare(struct op_call *call, const char *op_type,
                             struct node *node, int64_t opset,
                             struct err *err) {
    node->name = "";
    node->op_type = op_type;
    call->node = node;
    call->opset = opset;
    call->op = op_find(op_type, opset, err);
    if (!call->output_count)
        call->output_count = 1;
    return !call->op || op_check(call->op, call, err) < 0 ||
                   call->op->infer(call, err) < 0
               ? -1
               : 0;
}

/* Gives the outputs memory, which op_release() frees, and runs. */
static inline int op_perform(struct op_call *call) {
    for (int i = 0; i < call->output_count; i++) {
        struct tensor *t = &call->outputs[i], made;
        if (tensor_make(&made, t->type, t->rank, t->dims, NULL) < 0)
            return -1;
        t->data = made.data;
    }
    const size_t scratch = call->op->scratch ? call->op->scratch(call) : 0;
    call->scratch = malloc(scratch ? scratch : 1);
    if (call->scratch)
        call->op->run(call);
    return call->scratch ? 0 : -1;
}

static inline void op_release(struct op_call *call) {
    for (int i = 0; i < call->output_count; i++)
        free(call->outputs[i].data);
    free(call->scratch);
}

/* The same numbers in the other layout, allocated. */
static inline struct tensor op_channels_last(const struct tensor *t) {
    struct tensor last;
    const int64_t *d = t->dims;
    if (tensor_make(&last, t->type, t->rank, d, NULL) < 0)
        abort();
    last.layout = LAYOUT_CHANNELS_LAST;
    const size_t size = type_size(t->type);
    const char *from = t->data;
    for (int64_t n = 0; n < d[0]; n++)
        for (int64_t c = 0; c < d[1]; c++)
            for (int64_t y = 0; y < d[2]; y++)
                for (int64_t x = 0; x < d[3]; x++, from += size)
                    memcpy(
                        (char *)last.data +
                            (size_t)(((n * d[2] + y) * d[3] + x) * d[1] + c) *
                                size,
                        from, size);
    return last;
}

#endif
