#include "tests/conformance/example.h"

#include "common/file.h"
#include "models/nn/number.h"
#include "models/nn/onnx_tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)256 << 20)
#define RTOL 1e-3
#define ATOL 1e-7

static Onnx__TensorProto *read_proto(const char *folder, const char *kind,
                                     int i, struct err *err) {
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, i);
    void *bytes = file_read(path, FILE_MAX, &size, err);
    if (!bytes)
        return NULL;
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, size, bytes);
    free(bytes);
    if (!proto)
        err_set(err, "%s is no tensor", path);
    return proto;
}

/* Number i of that kind; 1 where there is none. */
static int read_tensor(const char *folder, const char *kind, int i,
                       struct tensor *t, struct err *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, i);
    if (!file_exists(path))
        return 1;
    if (i == EXAMPLE_PORTS)
        return err_set(err, "there are more than %d of %s", i, kind);
    Onnx__TensorProto *proto = read_proto(folder, kind, i, err);
    if (!proto)
        return -1;
    const int rc = onnx_tensor(proto, t, err);
    onnx__tensor_proto__free_unpacked(proto, NULL);
    return rc;
}

static int read_tensors(const char *folder, const char *kind,
                        struct tensor *tensors, int *count, struct err *err) {
    int rc = 0;
    for (*count = 0; rc == 0; *count += rc == 0)
        rc = read_tensor(folder, kind, *count,
                         &tensors[*count < EXAMPLE_PORTS ? *count : 0], err);
    return rc < 0 ? -1 : 0;
}

static bool is_initialiser(const Onnx__GraphProto *graph, const char *name) {
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name &&
            strcmp(graph->initializer[i]->name, name) == 0)
            return true;
    return false;
}

static int name_inputs(struct example *e, const Onnx__GraphProto *graph,
                       struct err *err) {
    int named = 0;
    for (size_t i = 0; i < graph->n_input && named < e->input_count; i++) {
        if (is_initialiser(graph, graph->input[i]->name))
            continue;
        e->names[named] = strdup(graph->input[i]->name);
        if (!e->names[named++])
            return err_set(err, "no memory");
    }
    return named == e->input_count
               ? 0
               : err_set(err, "the model has %d inputs, not %d", named,
                         e->input_count);
}

/* From input 1 on they go into the model. */
static int add_initialisers(struct example *e, const char *folder,
                            Onnx__GraphProto *graph, struct err *err) {
    const size_t more = (size_t)e->input_count - 1;
    Onnx__TensorProto **grown = realloc(
        graph->initializer, (graph->n_initializer + more) * sizeof *grown);
    if (!grown)
        return err_set(err, "no memory");
    graph->initializer = grown;
    for (int i = 1; i < e->input_count; i++) {
        Onnx__TensorProto *proto = read_proto(folder, "input", i, err);
        if (!proto)
            return -1;
        grown[graph->n_initializer++] = proto;
        if (proto->name != protobuf_c_empty_string)
            free(proto->name);
        proto->name = e->names[i];
        e->names[i] = NULL; /* the model's now */
        tensor_free(&e->inputs[i]);
    }
    e->input_count = 1;
    return 0;
}

static int read_model(struct example *e, const char *folder, bool constants,
                      struct err *err) {
    char path[4096];
    size_t size;
    int rc = -1;

    snprintf(path, sizeof path, "%s/model.onnx", folder);
    void *bytes = file_read(path, FILE_MAX, &size, err);
    if (!bytes)
        return -1;
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, size, bytes);
    free(bytes);
    if (!proto || !proto->graph) {
        err_set(err, "%s is no model", path);
        goto done;
    }
    if (name_inputs(e, proto->graph, err) < 0 ||
        (constants && e->input_count > 1 &&
         add_initialisers(e, folder, proto->graph, err) < 0))
        goto done;
    e->model = malloc(onnx__model_proto__get_packed_size(proto));
    if (!e->model) {
        err_set(err, "no memory");
        goto done;
    }
    e->size = onnx__model_proto__pack(proto, e->model);
    rc = 0;
done:
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    return rc;
}

int example_read(struct example *e, const char *folder, bool constants,
                 struct err *err) {
    *e = (struct example){0};
    if (read_tensors(folder, "input", e->inputs, &e->input_count, err) < 0 ||
        read_tensors(folder, "output", e->outputs, &e->output_count, err) < 0 ||
        read_model(e, folder, constants, err) < 0) {
        example_free(e);
        return -1;
    }
    if (e->output_count > 0)
        return 0;
    example_free(e);
    return err_set(err, "%s has no expected outputs", folder);
}

void example_free(struct example *e) {
    for (int i = 0; i < EXAMPLE_PORTS; i++) {
        free(e->names[i]);
        tensor_free(&e->inputs[i]);
        tensor_free(&e->outputs[i]);
    }
    free(e->model);
    *e = (struct example){0};
}

static bool agree(double got, double want) {
    if (got != got || want != want)
        return got != got && want != want;
    return got == want || fabs(got - want) <= ATOL + RTOL * fabs(want);
}

int example_compare(const struct example *e, int output,
                    const struct tensor *got, struct err *err) {
    const struct tensor *want = &e->outputs[output];
    char a[128], b[128];

    if (got->type != want->type || !tensor_same_shape(got, want))
        return err_set(err, "output %d is %s instead of %s", output,
                       tensor_text(got, a, sizeof a),
                       tensor_text(want, b, sizeof b));
    for (size_t i = 0; i < tensor_count(want); i++)
        if (!agree(number_at(got, i), number_at(want, i)))
            return err_set(err, "output %d has %.9g instead of %.9g at %zu",
                           output, number_at(got, i), number_at(want, i), i);
    return 0;
}
