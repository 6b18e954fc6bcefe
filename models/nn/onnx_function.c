/*
 * A node that calls a function is replaced by the function's nodes, whose names
 * get the number of the call. How deep calls go, and how much they all read, is
 * bounded: a few lines could otherwise stand for any number of nodes.
 */
#include "models/nn/onnx.h"
#include "models/nn/onnx_reader.h"

#include <string.h>

#define CALLS_DEEP_MAX 16  /* of exporters: a module within a module ... */
#define FUNCTIONS_MAX 1024 /* looked through for every node */
#define INPUTS_MAX 256 /* and these for every name; QLinearConcat has most */

static const Onnx__FunctionProto *find(const Onnx__ModelProto *model,
                                       const Onnx__NodeProto *call) {
    for (size_t i = 0; i < model->n_functions; i++) {
        const Onnx__FunctionProto *f = model->functions[i];
        if (strcmp(onnx_text(f->name), onnx_text(call->op_type)) == 0 &&
            strcmp(onnx_text(f->domain), onnx_text(call->domain)) == 0)
            return f;
    }
    return NULL;
}

static int64_t opset_of(const Onnx__FunctionProto *f, int64_t otherwise) {
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (onnx_is_default_domain(f->opset_import[i]->domain))
            return f->opset_import[i]->version;
    return otherwise;
}

static int check(const Onnx__FunctionProto *f, const struct onnx_scope *scope,
                 struct err *err) {
    const char *name = onnx_text(f->name);
    if (scope->depth > CALLS_DEEP_MAX)
        return err_set(err,
                       "functions call one another more than %d deep, at "
                       "%.100s",
                       CALLS_DEEP_MAX, name);
    if (f->n_input > INPUTS_MAX || f->n_output > OP_OUTPUTS_MAX ||
        f->n_attribute > 256)
        return err_set(err,
                       "the function %.100s has %zu inputs, %zu outputs, "
                       "%zu attributes",
                       name, f->n_input, f->n_output, f->n_attribute);
    if (scope->opset < ONNX_OPSET_MIN || scope->opset > ONNX_OPSET_MAX)
        return err_set(err,
                       "the function %.100s is of opset %lld, %d to %d are "
                       "supported",
                       name, (long long)scope->opset, ONNX_OPSET_MIN,
                       ONNX_OPSET_MAX);
    return 0;
}

int onnx_call(struct onnx_reader *r, const struct onnx_scope *scope,
              const Onnx__NodeProto *proto, struct err *why, struct err *err) {
    if (proto->n_attribute > 256) /* which a function looks through */
        return err_set(why, "has %zu attributes", proto->n_attribute), 0;
    if (r->model->n_functions > FUNCTIONS_MAX)
        return err_set(err, "the file has %zu functions (at most %d)",
                       r->model->n_functions, FUNCTIONS_MAX);
    const Onnx__FunctionProto *f = find(r->model, proto);
    if (f && graph_reserve(r->graph, onnx__function_proto__get_packed_size(f),
                           err) < 0)
        return -1;
    if (!f && strcmp(onnx_text(proto->domain), "com.microsoft") == 0)
        f = onnx_microsoft(r->graph, proto, why);
    if (!f)
        return 0;
    const struct onnx_scope inner = {.outer = scope,
                                     .function = f,
                                     .call = proto,
                                     .opset = opset_of(f, scope->opset),
                                     .number = ++r->functions,
                                     .depth = scope->depth + 1};
    return check(f, &inner, err) < 0 ||
                   onnx_nodes(r, &inner, f->node, f->n_node, err) < 0
               ? -1
               : 1;
}
