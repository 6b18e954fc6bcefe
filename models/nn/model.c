#include "models/nn/model.h"

#include "common/file.h"
#include "models/nn/gemm.h"
#include "models/nn/onnx.h"
#include "models/nn/plan.h"

#include <stdlib.h>
#include <string.h>

/* Numbers in float constants that the network reads. */
static int64_t count_parameters(const struct graph *graph) {
    int64_t count = 0;
    for (int i = 0; i < graph->value_count; i++) {
        const struct value *value = graph->values[i];
        if (value->t.data && value->uses > 0 && value->t.type == NN_FLOAT32 &&
            value->t.rank > 0)
            count += (int64_t)tensor_count(&value->t);
    }
    return count;
}

static int optimise(struct graph *graph, struct err *err) {
    if (graph_fuse_quantised(graph, err) < 0 || graph_fold(graph, err) < 0)
        return -1;
    graph->parameters = count_parameters(graph);
    if (graph_guess_shapes(graph, err) < 0 || graph_simplify(graph, err) < 0 ||
        graph_fuse_shuffles(graph, err) < 0 ||
        graph_fuse_layer_norms(graph, err) < 0 ||
        graph_fuse_activations(graph, err) < 0 ||
        graph_fuse_affine(graph, err) < 0)
        return -1;
    return 0;
}

static bool leaves_size_open(const struct graph *graph) {
    for (int i = 0; i < graph->input_count; i++)
        for (int k = 1; k < graph->inputs[i].rank; k++)
            if (graph->inputs[i].dims[k] < 0)
                return true;
    return false;
}

static double plan_flops(const struct plan *plan) {
    double flops = 0;
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        flops += step->kind->flops(step, plan_tensors(plan, plan->batch_max));
    }
    return flops;
}

/* Plans for one image, which also shows what is wrong before anyone asks for a
 * session. A file that leaves the size of its images open is planned for a
 * nominal size, and what does not fit that may fit the real one. */
static int summarise(struct nn_model *model, struct err *err) {
    struct graph *graph = model->graph;
    struct nn_port ports[GRAPH_PORTS_MAX];
    for (int i = 0; i < graph->input_count; i++)
        graph_nominal_port(&graph->inputs[i], &ports[i]);
    model->summary = (struct nn_summary){
        .producer = graph->producer,
        .opset = graph->opset,
        .nodes = graph->file_nodes,
        .steps = graph->node_count,
        .parameters = graph->parameters,
    };
    struct plan *plan = plan_build(graph, ports, 1, NULL, err);
    if (!plan)
        return leaves_size_open(graph) ? 0 : -1;
    int64_t images = ports[0].rank > 0 ? ports[0].dims[0] : 1;
    model->summary.steps = plan->step_count;
    model->summary.flops = plan_flops(plan) / (double)(images > 0 ? images : 1);
    plan_free(plan);
    return 0;
}

/* Of a graph, which is the model's from now on; NULL: an error was set. */
static struct nn_model *make(struct graph *graph, struct err *err) {
    struct nn_model *model = graph ? calloc(1, sizeof *model) : NULL;
    if (!graph)
        return NULL;
    if (!model) {
        graph_free(graph);
        err_set(err, "no memory for a model");
        return NULL;
    }
    gemm_init();
    model->graph = graph;
    if (optimise(model->graph, err) < 0 ||
        cam_find(&model->cam, model->graph, err) < 0 ||
        summarise(model, err) < 0) {
        nn_free(model);
        return NULL;
    }
    return model;
}

struct nn_model *nn_load_memory(const void *onnx, size_t size,
                                struct err *err) {
    return nn_load_beside(onnx, size, NULL, err);
}

struct nn_model *nn_load_beside(const void *onnx, size_t size,
                                const char *folder, struct err *err) {
    return make(onnx_parse_beside(onnx, size, folder, err), err);
}

struct nn_model *nn_load(const char *path, struct err *err) {
    size_t size;
    void *bytes = file_map(path, ONNX_BYTES_MAX, &size, err);
    if (!bytes)
        return NULL;
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    char *folder = slash ? strndup(path, length) : strdup(".");
    struct graph *graph = onnx_parse_mapping(bytes, size, folder, err);
    free(folder);
    struct nn_model *model = make(graph, err);
    if (!model)
        err_prefix(err, "%s", path);
    return model;
}

bool nn_data(const struct nn_model *model, int i, struct nn_data *data) {
    const struct graph *graph = model->graph;
    for (int k = 0; k < graph->file_count; k++)
        if (graph->files[k].name && i-- == 0) {
            const struct graph_file *file = &graph->files[k];
            *data = (struct nn_data){file->name, file->bytes, file->size};
            return true;
        }
    return false;
}

void nn_free(struct nn_model *model) {
    if (!model)
        return;
    cam_free(&model->cam);
    graph_free(model->graph);
    free(model);
}

int nn_input_count(const struct nn_model *model) {
    return model->graph->input_count;
}

int nn_output_count(const struct nn_model *model) {
    return model->graph->output_count;
}

const struct nn_port *nn_input(const struct nn_model *model, int i) {
    return &model->graph->inputs[i];
}

const struct nn_port *nn_output(const struct nn_model *model, int i) {
    return &model->graph->outputs[i];
}

bool nn_explainable(const struct nn_model *model) {
    return model->cam.features != NULL;
}

enum nn_ending nn_output_ending(const struct nn_model *model, int output) {
    return cam_ending(model->graph, output);
}

void nn_summarise(const struct nn_model *model, struct nn_summary *summary) {
    *summary = model->summary;
}
