/*
 * run: tensors in, tensors out. A long first dimension goes through in pieces
 * where the network takes any batch, so memory does not grow with it.
 */
#include "models/classifier/classifier.h"
#include "models/nn/nn.h"
#include "models/tool/command.h"
#include "models/tool/npy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct nn_model *model;
    struct nn_session *session;
    struct option_list in_files, out_files;
    struct tensor *inputs, *outputs;
    int64_t images; /* the first dimension of every input */
    int piece;      /* of it, that go through at once */
};

static int read_inputs(struct job *job, struct err *err) {
    int count = nn_input_count(job->model);
    if (job->in_files.count != count)
        return err_set(err,
                       "the network has %d input%s, --input names %d file%s",
                       count, count == 1 ? "" : "s", job->in_files.count,
                       job->in_files.count == 1 ? "" : "s");
    for (int i = 0; i < count; i++) {
        struct tensor *t = &job->inputs[i];
        const struct nn_port *port = nn_input(job->model, i);
        if (npy_read(job->in_files.items[i], t, err) < 0)
            return -1;
        if (port->type != NN_FLOAT32)
            return err_set(err, "input \"%s\" is %s; run takes float32",
                           port->name, type_name(port->type));
        if (t->rank < 1 || t->dims[0] < 1 || t->dims[0] > INT_MAX)
            return err_set(err, "%s: the first dimension must be the batch",
                           job->in_files.items[i]);
        if (i > 0 && t->dims[0] != job->images)
            return err_set(err, "%s: %lld in the batch, but %lld in %s",
                           job->in_files.items[i], (long long)t->dims[0],
                           (long long)job->images, job->in_files.items[0]);
        job->images = t->dims[0];
    }
    return 0;
}

static int open_session(struct job *job, int batch, struct err *err) {
    int count = nn_input_count(job->model);
    int64_t fixed = count > 0 ? nn_input(job->model, 0)->dims[0] : -1;
    job->piece = fixed > 0             ? (int)fixed
                 : batch < job->images ? batch
                                       : (int)job->images;
    if (job->images % (fixed > 0 ? fixed : 1) != 0)
        return err_set(err,
                       "the network takes batches of %lld; %lld is no multiple",
                       (long long)fixed, (long long)job->images);
    struct nn_port *shapes = calloc((size_t)count, sizeof *shapes);
    if (!shapes)
        return err_set(err, "no memory");
    for (int i = 0; i < count; i++) {
        const struct tensor *t = &job->inputs[i];
        shapes[i] = *nn_input(job->model, i);
        shapes[i].rank = t->rank;
        memcpy(shapes[i].dims, t->dims, sizeof t->dims);
        shapes[i].dims[0] = job->piece;
    }
    struct nn_options options = {.batch_max = job->piece, .shapes = shapes};
    job->session = nn_session_open(job->model, &options, err);
    free(shapes);
    return job->session ? 0 : -1;
}

/* Entries [first, first + count) of `whole` as bytes. */
static char *part(const struct tensor *whole, int64_t first, int64_t count,
                  size_t *bytes) {
    size_t each = tensor_bytes(whole) / (size_t)whole->dims[0];
    *bytes = each * (size_t)count;
    return (char *)whole->data + each * (size_t)first;
}

/* Those that are asked for; others may be of types that run cannot write. */
static int keep_outputs(struct job *job, int64_t first, int count,
                        struct err *err) {
    for (int i = 0; i < job->out_files.count; i++) {
        const struct nn_port *port = nn_session_output_port(job->session, i);
        struct tensor *t = &job->outputs[i];
        if (port->type != NN_FLOAT32)
            return err_set(err, "output \"%s\" is %s; run writes float32",
                           port->name, type_name(port->type));
        if (count < job->images && (port->rank < 1 || port->dims[0] != count))
            return err_set(err,
                           "output \"%s\" does not have the batch as its first "
                           "dimension; give --batch %lld",
                           port->name, (long long)job->images);
        int64_t dims[NN_MAX_RANK];
        memcpy(dims, port->dims, sizeof dims);
        if (port->rank > 0 && count < job->images)
            dims[0] = job->images;
        if (!t->data && tensor_make(t, NN_FLOAT32, port->rank, dims, err) < 0)
            return -1;
        size_t bytes = tensor_bytes(t);
        char *at = t->data;
        if (count < job->images)
            at = part(t, first, count, &bytes);
        memcpy(at, nn_session_output(job->session, i), bytes);
    }
    return 0;
}

static int run_all(struct job *job, struct err *err) {
    for (int64_t first = 0; first < job->images; first += job->piece) {
        int64_t left = job->images - first;
        int count = left < job->piece ? (int)left : job->piece;
        for (int i = 0; i < nn_input_count(job->model); i++) {
            size_t bytes;
            char *at = part(&job->inputs[i], first, count, &bytes);
            memcpy(nn_session_input(job->session, i), at, bytes);
        }
        if (nn_session_run(job->session, count, err) < 0 ||
            keep_outputs(job, first, count, err) < 0)
            return -1;
    }
    return 0;
}

static int write_outputs(const struct job *job, struct err *err) {
    for (int i = 0; i < job->out_files.count; i++)
        if (npy_write(job->out_files.items[i], &job->outputs[i], err) < 0)
            return -1;
    return 0;
}

static int report(const struct job *job, int json) {
    json_t *outputs = json_array();
    for (int i = 0; i < job->out_files.count; i++) {
        const struct tensor *t = &job->outputs[i];
        char text[128];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            json_array_append_new(shape, json_integer(t->dims[k]));
        json_array_append_new(
            outputs,
            json_pack("{s:s,s:s,s:o}", "file", job->out_files.items[i], "name",
                      nn_output(job->model, i)->name, "shape", shape));
        if (!json)
            printf("%s: %s, %s\n", job->out_files.items[i],
                   nn_output(job->model, i)->name,
                   tensor_text(t, text, sizeof text));
    }
    if (json)
        return command_json(json_pack("{s:o}", "outputs", outputs));
    json_decref(outputs);
    return 0;
}

static int run(struct job *job, const char *path, int batch, struct err *err) {
    char onnx[PATH_MAX];
    if (classifier_find_network(path, onnx, err) < 0)
        return -1;
    job->model = nn_load(onnx, err);
    if (!job->model)
        return -1;
    if (job->out_files.count > nn_output_count(job->model))
        return err_set(err, "the network has %d outputs, --output names %d",
                       nn_output_count(job->model), job->out_files.count);
    job->inputs =
        calloc((size_t)nn_input_count(job->model) + 1, sizeof *job->inputs);
    job->outputs =
        calloc((size_t)nn_output_count(job->model) + 1, sizeof *job->outputs);
    if (!job->inputs || !job->outputs)
        return err_set(err, "no memory");
    if (read_inputs(job, err) < 0 || open_session(job, batch, err) < 0)
        return -1;
    return run_all(job, err) < 0 ? -1 : write_outputs(job, err);
}

static void free_job(struct job *job) {
    for (int i = 0; job->inputs && i < nn_input_count(job->model); i++)
        tensor_free(&job->inputs[i]);
    for (int i = 0; job->outputs && i < nn_output_count(job->model); i++)
        tensor_free(&job->outputs[i]);
    free(job->inputs);
    free(job->outputs);
    nn_session_close(job->session);
    nn_free(job->model);
    option_list_free(&job->in_files);
    option_list_free(&job->out_files);
}

int run_main(int argc, char **argv) {
    struct job job = {0};
    struct option_list words = {0};
    struct err err = {0};
    int json = 0, batch = 32, status;
    const struct option_row rows[] = {
        {"input", "FILE.npy...", OPTION_LIST, &job.in_files, 0, 0,
         "a float32 tensor for each input, in order"},
        {"output", "FILE.npy...", OPTION_LIST, &job.out_files, 0, 0,
         "where the outputs go, in order"},
        {"batch", "N", OPTION_INT, &batch, 1, 4096,
         "entries that go through at once"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, "one JSON object on one line"},
    };
    const struct options options = {.program = "convoy-model run",
                                    .summary = "tensors through a network",
                                    .rows = rows,
                                    .row_count = sizeof rows / sizeof *rows,
                                    .synopsis = "MODEL",
                                    .words = &words,
                                    .words_least = 1,
                                    .words_most = 1,
                                    .flags_only = true};
    if (command_options(&options, argc, argv, &status))
        status = run(&job, words.items[0], batch, &err) < 0
                     ? command_failed(&options, &err)
                     : report(&job, json);
    option_list_free(&words);
    free_job(&job);
    return status;
}
