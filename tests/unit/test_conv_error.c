/*
 * How exact each convolution algorithm is where it matters: on the layers of
 * trained networks, with the activations that pictures cause, on every
 * instruction set, against sums in double precision. Printed is the largest
 * error of a layer relative to the layer's largest number. And what that does
 * to answers: the best class is the same whatever algorithm computes it.
 *
 * The networks are the bundled one and, with CONVOY_DATA, some of those there;
 * pictures are CIFAR-10's where that is, otherwise waves.
 */
#include "common/file.h"
#include "models/nn/conv_algorithm.h"
#include "models/nn/conv_layer.h"
#include "models/nn/onnx.h"
#include "models/nn/shapes.h"
#include "tests/unit/numbers.h"

/* float32 rounds at 6e-8, and sums of thousands of products add up; Winograd's
 * F(4x4, 3x3) multiplies by constants up to 8 and subtracts what is nearly
 * equal (Lavin and Gray 2016, arXiv 1509.09308, section 6). */
#define TOLERANCE 1e-5
#define TOLERANCE_WINOGRAD_2 2e-5
#define TOLERANCE_WINOGRAD_4 1e-4

#define SIDE 32 /* of CIFAR's pictures; enlarged where a network wants more */
#define FLOATS (3 * SIDE * SIDE)
#define PICTURES 6
#define SAMPLES 400 /* numbers of a layer that are computed in double */

/* ---- pictures ------------------------------------------------------------ */

static const char *data_folder(void) {
    return getenv("CONVOY_DATA");
}

static void waves(int seed, float *x) {
    for (int i = 0; i < FLOATS; i++)
        x[i] = sinf(0.1f * (float)(i % SIDE) * (float)(1 + seed % 3)) +
               cosf(0.15f * (float)(i / SIDE % SIDE) + (float)seed);
}

/* Standardised as networks are trained with, near enough. */
static void picture(int i, float *x) {
    char path[4096];
    uint8_t record[1 + FLOATS];
    snprintf(path, sizeof path, "%s/cifar10/data_batch_5.bin",
             data_folder() ? data_folder() : "");
    FILE *f = fopen(path, "rb");
    const bool read = f && fseek(f, i * (long)sizeof record, SEEK_SET) == 0 &&
                      fread(record, sizeof record, 1, f) == 1;
    if (f)
        fclose(f);
    if (!read) {
        waves(i, x);
        return;
    }
    for (int k = 0; k < FLOATS; k++)
        x[k] = ((float)record[1 + k] / 255 - 0.47f) / 0.25f;
}

static float *enlarged(const float *x, int side) {
    float *out = malloc((size_t)(3 * side * side) * sizeof *out);
    assert_non_null(out);
    for (int i = 0; i < 3 * side * side; i++) {
        const int row = i / side % side, column = i % side;
        out[i] = x[(i / (side * side) * SIDE + row * SIDE / side) * SIDE +
                   column * SIDE / side];
    }
    return out;
}

/* ---- one layer ----------------------------------------------------------- */

struct layer {
    struct conv_shape shape;
    const float *weights, *bias;
    float *x, *y; /* channels last */
    size_t count; /* of y */
};

static bool read_layer(const struct graph_node *node, const struct tensor *x,
                       struct layer *l) {
    const struct value *w = graph_input(node, 1), *b = NULL;
    if (strcmp(node->node.op_type, "Conv") != 0 || !w->t.data)
        return false;
    if (node->input_count > 2)
        b = graph_input(node, 2);
    *l = (struct layer){.weights = w->t.data, .bias = b ? b->t.data : NULL};
    return conv_layer_shape(node, x, &w->t, &l->shape);
}

/* (C, pixels) <-> (pixels, C) */
static void transpose(const float *in, size_t rows, size_t columns,
                      float *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            out[c * rows + r] = in[r * columns + c];
}

static double exact(const struct layer *l, size_t at) {
    const struct conv_shape *s = &l->shape;
    const int m = (int)(at % (size_t)s->channels_out);
    const int pixel = (int)(at / (size_t)s->channels_out);
    const int depth = s->channels_in / s->groups;
    const int first = m / (s->channels_out / s->groups) * depth;
    double sum = l->bias ? (double)l->bias[m] : 0;
    for (int i = 0; i < s->kernel[0]; i++)
        for (int j = 0; j < s->kernel[1]; j++) {
            const int row = pixel / s->out_width * s->stride[0] - s->pad_top +
                            i * s->dilation[0];
            const int column = pixel % s->out_width * s->stride[1] -
                               s->pad_left + j * s->dilation[1];
            if (row < 0 || row >= s->height || column < 0 || column >= s->width)
                continue;
            for (int c = 0; c < depth; c++)
                sum += (double)l->x[(row * s->width + column) * s->channels_in +
                                    first + c] *
                       (double)l->weights[((m * depth + c) * s->kernel[0] + i) *
                                              s->kernel[1] +
                                          j];
        }
    return sum;
}

static void convolve(const struct layer *l,
                     const struct conv_algorithm *algorithm) {
    const struct conv_post post = {.bias = l->bias};
    struct conv *conv =
        conv_open_with(algorithm, &l->shape, &post, l->weights, 1, NULL);
    assert_non_null(conv);
    const size_t bytes = conv_scratch(conv);
    void *scratch = bytes ? aligned_alloc(64, bytes) : NULL;
    conv_run(conv, 1, l->x, NULL, l->y, scratch);
    free(scratch);
    conv_close(conv);
}

static bool fits(const struct layer *l, const struct conv_algorithm *a) {
    const struct conv probe = {.shape = l->shape,
                               .kernels = kernels_for(isa_pick())};
    return a->fits(&probe);
}

/* ---- a network, node by node --------------------------------------------- */

#define ALGORITHMS_MAX 16

struct walk {
    const struct graph *graph;
    struct tensor *values;
    const struct conv_algorithm *algorithm; /* for all that it fits */
    bool measure;
    double worst[ISA_AVX512 + 1][ALGORITHMS_MAX];
    bool fitted[ALGORITHMS_MAX]; /* some layer */
};

static void measure_layer(struct walk *w, struct layer *l) {
    static double want[SAMPLES];
    double largest = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        want[i] = exact(l, i * 7919 % l->count);
        largest = fmax(largest, fabs(want[i]));
    }
    for (int isa = ISA_GENERIC; isa <= ISA_AVX512; isa++) {
        setenv("CONVOY_ISA", isa_name((enum isa)isa), 1);
        for (int a = 0; isa_pick() == (enum isa)isa && conv_algorithms[a];
             a++) {
            if (!fits(l, conv_algorithms[a]))
                continue;
            w->fitted[a] = true;
            convolve(l, conv_algorithms[a]);
            for (size_t i = 0; i < SAMPLES; i++) {
                const double error =
                    fabs((double)l->y[i * 7919 % l->count] - want[i]) / largest;
                w->worst[isa][a] = fmax(w->worst[isa][a], error);
            }
        }
    }
    unsetenv("CONVOY_ISA");
}

/* The layer by the walk's algorithm, in the plain layout that rows have. */
static void run_layer(struct walk *w, struct layer *l, const struct tensor *x,
                      struct tensor *y) {
    const size_t in = (size_t)(l->shape.height * l->shape.width);
    const size_t out = (size_t)(l->shape.out_height * l->shape.out_width);
    l->count = out * (size_t)l->shape.channels_out;
    l->x = malloc(tensor_bytes(x));
    l->y = malloc(tensor_bytes(y));
    assert_true(l->x && l->y);
    transpose(x->data, (size_t)l->shape.channels_in, in, l->x);
    if (w->measure)
        measure_layer(w, l);
    if (w->algorithm && fits(l, w->algorithm)) {
        convolve(l, w->algorithm);
        transpose(l->y, out, (size_t)l->shape.channels_out, y->data);
    }
    free(l->x);
    free(l->y);
}

static void run_node(struct walk *w, const struct graph_node *node) {
    struct op_call call;
    struct layer l;
    graph_call(w->graph, node, w->values, &call);
    assert_int_equal(node->op->infer(&call, NULL), 0);
    for (int i = 0; i < call.output_count; i++) {
        const struct tensor t = call.outputs[i];
        assert_int_equal(
            tensor_make(&call.outputs[i], t.type, t.rank, t.dims, NULL), 0);
        w->values[node->outputs[i]->index] = call.outputs[i];
    }
    const size_t scratch = node->op->scratch ? node->op->scratch(&call) : 0;
    call.scratch = aligned_alloc(64, (scratch + 127) / 64 * 64);
    node->op->run(&call);
    free(call.scratch);
    const struct tensor *x = call.inputs[0];
    if (x && x->rank == 4 && read_layer(node, x, &l))
        run_layer(w, &l, x, &call.outputs[0]);
}

/* The index of the largest number of the first output. */
static int classify(struct walk *w, const float *picture) {
    const struct graph *graph = w->graph;
    const int64_t wanted = graph->inputs[0].dims[2];
    const int side = wanted > 0 ? (int)wanted : SIDE;
    float *x = enlarged(picture, side);
    w->values = calloc((size_t)graph->value_count, sizeof *w->values);
    for (int i = 0; i < graph->value_count; i++)
        w->values[i] = graph->values[i]->t;
    w->values[graph->input_values[0]->index] = (struct tensor){
        .type = NN_FLOAT32, .rank = 4, .dims = {1, 3, side, side}, .data = x};
    for (int i = 0; i < graph->node_count; i++)
        run_node(w, graph->nodes[i]);
    const struct tensor *y = &w->values[graph->output_values[0]->index];
    int best = 0;
    for (size_t i = 0; i < tensor_count(y); i++)
        if (((float *)y->data)[i] > ((float *)y->data)[best])
            best = (int)i;
    for (int i = 0; i < graph->value_count; i++)
        if (graph->values[i]->producer)
            free(w->values[i].data);
    free(w->values);
    free(x);
    return best;
}

/* ---- the tests ----------------------------------------------------------- */

static double tolerance(const struct conv_algorithm *a) {
    if (a == &conv_winograd_4)
        return TOLERANCE_WINOGRAD_4;
    return a == &conv_winograd_2 ? TOLERANCE_WINOGRAD_2 : TOLERANCE;
}

static struct graph *load(const char *path) {
    struct err err = {0};
    size_t size;
    void *bytes = file_read(path, 1 << 28, &size, &err);
    struct graph *graph = bytes ? onnx_parse(bytes, size, &err) : NULL;
    free(bytes);
    if (!graph || graph_fold(graph, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    return graph;
}

static void check_errors(const char *name, const struct walk *w) {
    for (int isa = ISA_GENERIC; isa <= ISA_AVX512; isa++)
        for (int a = 0; conv_algorithms[a]; a++) {
            if (w->worst[isa][a] == 0)
                continue;
            print_message("%-18s %-8s %-14s %.1e\n", name,
                          isa_name((enum isa)isa), conv_algorithms[a]->name,
                          w->worst[isa][a]);
            assert_true(w->worst[isa][a] < tolerance(conv_algorithms[a]));
        }
}

static void check_network(const char *name, const char *path) {
    struct graph *graph = load(path);
    struct walk measured = {.graph = graph, .measure = true};
    float x[FLOATS];
    for (int i = 0; i < PICTURES; i++) {
        picture(i, x);
        measured.measure = i == 0;
        const int best = classify(&measured, x);
        for (int a = 0; conv_algorithms[a]; a++) {
            if (!measured.fitted[a])
                continue;
            struct walk forced = {.graph = graph,
                                  .algorithm = conv_algorithms[a]};
            assert_int_equal(classify(&forced, x), best);
        }
    }
    check_errors(name, &measured);
    graph_free(graph);
}

static void conv_is_exact_on_the_bundled_network(void **state) {
    (void)state;
    check_network("cifar10-airbench", "models/zoo/cifar10-airbench/model.onnx");
}

static void conv_is_exact_on_other_networks(void **state) {
    (void)state;
    static const char *const names[] = {"cifar10-resnet20", "cifar10-resnet56",
                                        "mobilenet-v1-0.25-224"};
    if (!data_folder()) {
        print_message("CONVOY_DATA is not set\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/models/%s/model.onnx", data_folder(),
                 names[i]);
        check_network(names[i], path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_is_exact_on_the_bundled_network),
        cmocka_unit_test(conv_is_exact_on_other_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
