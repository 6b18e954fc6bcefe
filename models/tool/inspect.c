/*
 * inspect: what a model is made of and expects; or why it is refused, which is
 * a failure unless only the graph was asked for (--layers, --graph).
 */
#include "common/document.h"
#include "models/classifier/classifier.h"
#include "models/nn/tensor.h"
#include "models/tool/command.h"
#include "models/tool/drawing.h"

#include <stdlib.h>
#include <string.h>

#define LABELS_SHOWN 12

struct inspection {
    struct nn_model *owned; /* where it is no classifier */
    const struct nn_model *network;
    struct classifier *c; /* NULL: `why` says why not */
    struct err why;
    struct nn_session *session; /* for the layers; NULL: `plan_error` */
    struct err plan_error;
    struct nn_summary summary;
};

static void port_text(const struct nn_port *port, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "%s, %s [", port->name,
                                 type_name(port->type));
    for (int i = 0; i < port->rank && at < size; i++)
        at += port->dims[i] < 0
                  ? (size_t)snprintf(text + at, size - at, "%s?", i ? ", " : "")
                  : (size_t)snprintf(text + at, size - at, "%s%lld",
                                     i ? ", " : "", (long long)port->dims[i]);
    if (at < size)
        snprintf(text + at, size - at, "]");
}

static json_t *port_json(const struct nn_port *port) {
    json_t *shape = json_array();
    for (int i = 0; i < port->rank; i++)
        json_array_append_new(shape, port->dims[i] < 0
                                         ? json_null()
                                         : json_integer(port->dims[i]));
    return json_pack("{s:s,s:s,s:o}", "name", port->name, "type",
                     type_name(port->type), "shape", shape);
}

/* A classifier where it is one, else the bare network. */
static int look(struct inspection *in, const char *path, struct err *err) {
    in->c = classifier_load(path, &in->why);
    if (in->c) {
        in->network = classifier_network(in->c);
    } else {
        char onnx[PATH_MAX];
        if (classifier_find_network(path, onnx, err) < 0)
            return -1;
        in->network = in->owned = nn_load(onnx, err);
        if (!in->owned)
            return -1;
    }
    nn_summarise(in->network, &in->summary);
    int count = nn_input_count(in->network);
    struct nn_port *shapes = calloc((size_t)count + 1, sizeof *shapes);
    if (!shapes)
        return err_set(err, "no memory");
    for (int i = 0; i < count; i++) {
        if (in->c)
            classifier_input(in->c, &shapes[i]);
        else
            shapes[i] = *nn_input(in->network, i);
        if (shapes[i].rank > 0 && shapes[i].dims[0] < 0)
            shapes[i].dims[0] = 1;
    }
    struct nn_options options = {.shapes = shapes};
    in->session = nn_session_open(in->network, &options, &in->plan_error);
    free(shapes);
    return 0;
}

static double layer_flops(const struct inspection *in) {
    struct nn_step_report step;
    double flops = 0;
    for (int i = 0; in->session && i < nn_session_step_count(in->session);
         i++) {
        nn_session_step(in->session, i, &step);
        flops += step.flops;
    }
    return flops;
}

/* ---- as text ------------------------------------------------------------- */

static void print_classifier(const struct classifier *c) {
    char *steps = classifier_describe_preprocessing(c);
    char *scores = classifier_describe_scores(c);
    int classes = classifier_classes(c);
    printf("  version     %s\n", classifier_version(c));
    if (classifier_notice(c))
        printf("  notice      %s\n", classifier_notice(c));
    printf("  scores      %s\n", scores ? scores : "");
    free(scores);
    printf("  explains    %s\n",
           classifier_explainable(c)
               ? "yes: ends in global average pooling and a linear layer"
               : "no: does not end in global average pooling and a linear "
                 "layer with a score for each class");
    printf("  labels      %d:", classes);
    for (int i = 0; i < classes && i < LABELS_SHOWN; i++)
        printf("%s %s", i ? "," : "", classifier_label(c, i));
    printf("%s\n", classes > LABELS_SHOWN ? ", ..." : "");
    printf("  an image is\n");
    for (char *line = steps ? strtok(steps, "\n") : NULL; line;
         line = strtok(NULL, "\n"))
        printf("    %s\n", line);
    free(steps);
}

static void print_layers(const struct inspection *in) {
    struct nn_step_report step;
    printf("\n  MFLOP  layer\n");
    for (int i = 0; i < nn_session_step_count(in->session); i++) {
        nn_session_step(in->session, i, &step);
        printf("%7.2f  %s %s %s  %s\n", step.flops / 1e6, step.op, step.shape,
               step.algorithm, step.name);
    }
}

static void print_text(const struct inspection *in, const char *path,
                       int layers) {
    const struct nn_summary *s = &in->summary;
    char text[256];
    printf("%s\n", in->c ? classifier_name(in->c) : path);
    printf("  file        opset %lld, %d nodes, by %s\n", (long long)s->opset,
           s->nodes, s->producer && *s->producer ? s->producer : "unknown");
    for (int i = 0; i < nn_input_count(in->network); i++) {
        port_text(nn_input(in->network, i), text, sizeof text);
        printf("  input       %s\n", text);
    }
    for (int i = 0; i < nn_output_count(in->network); i++) {
        port_text(nn_output(in->network, i), text, sizeof text);
        printf("  output      %s\n", text);
    }
    printf("  parameters  %lld\n", (long long)s->parameters);
    if (in->session) {
        printf("  arithmetic  %.1f MFLOP an image, in %d steps\n",
               layer_flops(in) / 1e6, nn_session_step_count(in->session));
        printf("  memory      %.1f MiB a thread, one image at a time\n",
               (double)nn_session_memory(in->session) / (1 << 20));
    } else {
        printf("  no plan     %s\n", in->plan_error.text);
    }
    if (in->c)
        print_classifier(in->c);
    else
        printf("  no image classifier: %s\n", in->why.text);
    if (layers && in->session)
        print_layers(in);
}

/* ---- as JSON ------------------------------------------------------------- */

static void add_classifier(json_t *object, const struct classifier *c) {
    json_t *labels = json_array(), *lines = json_array();
    char *steps = classifier_describe_preprocessing(c);
    for (int i = 0; i < classifier_classes(c); i++)
        json_array_append_new(labels, json_string(classifier_label(c, i)));
    for (char *line = steps ? strtok(steps, "\n") : NULL; line;
         line = strtok(NULL, "\n"))
        json_array_append_new(lines, json_string(line));
    free(steps);
    json_object_set_new(object, "name", document_text(classifier_name(c)));
    json_object_set_new(object, "version", json_string(classifier_version(c)));
    json_object_set_new(object, "explainable",
                        json_boolean(classifier_explainable(c)));
    char *scores = classifier_describe_scores(c);
    json_object_set_new(object, "scores", json_string(scores ? scores : ""));
    free(scores);
    if (classifier_notice(c))
        json_object_set_new(object, "notice",
                            json_string(classifier_notice(c)));
    json_object_set_new(object, "labels", labels);
    json_object_set_new(object, "preprocessing", lines);
}

static json_t *layers_json(const struct inspection *in) {
    struct nn_step_report step;
    json_t *layers = json_array();
    for (int i = 0; in->session && i < nn_session_step_count(in->session);
         i++) {
        nn_session_step(in->session, i, &step);
        json_array_append_new(
            layers, json_pack("{s:s,s:s,s:s,s:s,s:f}", "name", step.name, "op",
                              step.op, "algorithm", step.algorithm, "shape",
                              step.shape, "flops", step.flops));
    }
    return layers;
}

static int print_json(const struct inspection *in) {
    json_t *inputs = json_array(), *outputs = json_array();
    for (int i = 0; i < nn_input_count(in->network); i++)
        json_array_append_new(inputs, port_json(nn_input(in->network, i)));
    for (int i = 0; i < nn_output_count(in->network); i++)
        json_array_append_new(outputs, port_json(nn_output(in->network, i)));
    json_t *object = json_pack(
        "{s:I,s:i,s:o,s:o,s:I,s:f,s:o}", "opset", (json_int_t)in->summary.opset,
        "nodes", in->summary.nodes, "inputs", inputs, "outputs", outputs,
        "parameters", (json_int_t)in->summary.parameters, "flops",
        layer_flops(in), "layers", layers_json(in));
    if (in->c)
        add_classifier(object, in->c);
    else
        json_object_set_new(object, "no_classifier",
                            document_text(in->why.text));
    if (!in->session)
        json_object_set_new(object, "no_plan",
                            json_string(in->plan_error.text));
    return command_json(object);
}

static int draw(const struct inspection *in, const char *path,
                const char *graph, struct err *err) {
    if (!in->session)
        return err_set(err, "there is no plan to draw: %s",
                       in->plan_error.text);
    return drawing_write(in->network, in->session,
                         in->c ? classifier_name(in->c) : path, graph, err);
}

int inspect_main(int argc, char **argv) {
    struct inspection in = {0};
    struct option_list words = {0};
    struct err err = {0};
    const char *graph = NULL;
    int json = 0, layers = 0, status;
    const struct option_row rows[] = {
        {"layers", NULL, OPTION_FLAG, &layers, 0, 0,
         "list what is computed, step by step"},
        {"graph", "FILE", OPTION_TEXT, &graph, 0, 0,
         "draw that: a FILE.svg for a browser, or a FILE.dot for Graphviz"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, "one JSON object on one line"},
    };
    const struct options options = {.program = "convoy-model inspect",
                                    .summary =
                                        "what a model is made of and expects; "
                                        "fails where it is no image "
                                        "classifier, unless --layers or "
                                        "--graph ask for the network alone",
                                    .rows = rows,
                                    .row_count = sizeof rows / sizeof *rows,
                                    .synopsis = "MODEL",
                                    .words = &words,
                                    .words_least = 1,
                                    .words_most = 1,
                                    .flags_only = true};
    if (command_options(&options, argc, argv, &status)) {
        if (look(&in, words.items[0], &err) < 0 ||
            (graph && draw(&in, words.items[0], graph, &err) < 0))
            status = command_failed(&options, &err);
        else if (json)
            status = print_json(&in);
        else
            print_text(&in, words.items[0], layers);
        if (!in.c && !layers && !graph)
            status = 1;
    }
    nn_session_close(in.session);
    nn_free(in.owned);
    classifier_free(in.c);
    option_list_free(&words);
    return status;
}
