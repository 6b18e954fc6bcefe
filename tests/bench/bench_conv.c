/*
 * How fast each convolution of well-known networks is, by every algorithm that
 * fits.
 *   usage: bench_conv [BATCH [NETWORK]]
 * Prints milliseconds and GFLOP/s of the definition (what an algorithm saves
 * counts for it), with a star at the one that conv_open() picks, the same for a
 * product of that size by the BLAS alone, and what a network's layers take
 * together. CONVOY_ISA picks the instruction set.
 */
#include "models/nn/conv_algorithm.h"
#include "models/nn/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OTHERS (1 << 20) /* floats: more than a second cache */

struct layer {
    const char *network;
    int times; /* in the network */
    int c, size, m, kernel, stride, pad, groups;
};

static const struct layer layers[] = {
    {"bundled", 1, 3, 32, 24, 2, 1, 0, 1},
    {"bundled", 1, 24, 31, 64, 3, 1, 1, 1},
    {"bundled", 1, 64, 31, 64, 3, 1, 1, 1},
    {"bundled", 1, 64, 15, 256, 3, 1, 1, 1},
    {"bundled", 1, 256, 15, 256, 3, 1, 1, 1},
    {"bundled", 2, 256, 7, 256, 3, 1, 1, 1},
    {"resnet20", 1, 3, 32, 16, 3, 1, 1, 1},
    {"resnet20", 6, 16, 32, 16, 3, 1, 1, 1},
    {"resnet20", 1, 16, 32, 32, 3, 2, 1, 1},
    {"resnet20", 5, 32, 16, 32, 3, 1, 1, 1},
    {"resnet20", 1, 32, 16, 64, 3, 2, 1, 1},
    {"resnet20", 5, 64, 8, 64, 3, 1, 1, 1},
    {"resnet50", 1, 3, 224, 64, 7, 2, 3, 1},
    {"resnet50", 1, 64, 56, 64, 1, 1, 0, 1},
    {"resnet50", 3, 64, 56, 64, 3, 1, 1, 1},
    {"resnet50", 4, 64, 56, 256, 1, 1, 0, 1},
    {"resnet50", 2, 256, 56, 64, 1, 1, 0, 1},
    {"resnet50", 1, 256, 56, 128, 1, 1, 0, 1},
    {"resnet50", 1, 128, 56, 128, 3, 2, 1, 1},
    {"resnet50", 1, 256, 56, 512, 1, 2, 0, 1},
    {"resnet50", 3, 128, 28, 128, 3, 1, 1, 1},
    {"resnet50", 4, 128, 28, 512, 1, 1, 0, 1},
    {"resnet50", 3, 512, 28, 128, 1, 1, 0, 1},
    {"resnet50", 1, 512, 28, 256, 1, 1, 0, 1},
    {"resnet50", 1, 256, 28, 256, 3, 2, 1, 1},
    {"resnet50", 1, 512, 28, 1024, 1, 2, 0, 1},
    {"resnet50", 5, 256, 14, 256, 3, 1, 1, 1},
    {"resnet50", 5, 1024, 14, 256, 1, 1, 0, 1},
    {"resnet50", 6, 256, 14, 1024, 1, 1, 0, 1},
    {"resnet50", 1, 1024, 14, 512, 1, 1, 0, 1},
    {"resnet50", 1, 512, 14, 512, 3, 2, 1, 1},
    {"resnet50", 1, 1024, 14, 2048, 1, 2, 0, 1},
    {"resnet50", 2, 512, 7, 512, 3, 1, 1, 1},
    {"resnet50", 2, 2048, 7, 512, 1, 1, 0, 1},
    {"resnet50", 3, 512, 7, 2048, 1, 1, 0, 1},
    {"resnet50", 1, 2048, 1, 1000, 1, 1, 0, 1},
    {"mobilenet1", 1, 3, 224, 32, 3, 2, 1, 1},
    {"mobilenet1", 1, 32, 112, 32, 3, 1, 1, 32},
    {"mobilenet1", 1, 32, 112, 64, 1, 1, 0, 1},
    {"mobilenet1", 1, 64, 112, 64, 3, 2, 1, 64},
    {"mobilenet1", 1, 64, 56, 128, 1, 1, 0, 1},
    {"mobilenet1", 1, 128, 56, 128, 3, 1, 1, 128},
    {"mobilenet1", 1, 128, 56, 128, 1, 1, 0, 1},
    {"mobilenet1", 1, 128, 56, 128, 3, 2, 1, 128},
    {"mobilenet1", 1, 128, 28, 256, 1, 1, 0, 1},
    {"mobilenet1", 1, 256, 28, 256, 3, 1, 1, 256},
    {"mobilenet1", 1, 256, 28, 256, 1, 1, 0, 1},
    {"mobilenet1", 1, 256, 28, 256, 3, 2, 1, 256},
    {"mobilenet1", 1, 256, 14, 512, 1, 1, 0, 1},
    {"mobilenet1", 5, 512, 14, 512, 3, 1, 1, 512},
    {"mobilenet1", 5, 512, 14, 512, 1, 1, 0, 1},
    {"mobilenet1", 1, 512, 14, 512, 3, 2, 1, 512},
    {"mobilenet1", 1, 512, 7, 1024, 1, 1, 0, 1},
    {"mobilenet1", 1, 1024, 7, 1024, 3, 1, 1, 1024},
    {"mobilenet1", 1, 1024, 7, 1024, 1, 1, 0, 1},
    {"mobilenet1", 1, 1024, 1, 1000, 1, 1, 0, 1},
    {"mobilenet2", 1, 3, 224, 32, 3, 2, 1, 1},
    {"mobilenet2", 1, 32, 112, 32, 3, 1, 1, 32},
    {"mobilenet2", 1, 32, 112, 16, 1, 1, 0, 1},
    {"mobilenet2", 1, 16, 112, 96, 1, 1, 0, 1},
    {"mobilenet2", 1, 96, 112, 96, 3, 2, 1, 96},
    {"mobilenet2", 1, 96, 56, 24, 1, 1, 0, 1},
    {"mobilenet2", 2, 24, 56, 144, 1, 1, 0, 1},
    {"mobilenet2", 1, 144, 56, 144, 3, 1, 1, 144},
    {"mobilenet2", 1, 144, 56, 24, 1, 1, 0, 1},
    {"mobilenet2", 1, 144, 56, 144, 3, 2, 1, 144},
    {"mobilenet2", 1, 144, 28, 32, 1, 1, 0, 1},
    {"mobilenet2", 3, 32, 28, 192, 1, 1, 0, 1},
    {"mobilenet2", 2, 192, 28, 192, 3, 1, 1, 192},
    {"mobilenet2", 2, 192, 28, 32, 1, 1, 0, 1},
    {"mobilenet2", 1, 192, 28, 192, 3, 2, 1, 192},
    {"mobilenet2", 1, 192, 14, 64, 1, 1, 0, 1},
    {"mobilenet2", 4, 64, 14, 384, 1, 1, 0, 1},
    {"mobilenet2", 4, 384, 14, 384, 3, 1, 1, 384},
    {"mobilenet2", 3, 384, 14, 64, 1, 1, 0, 1},
    {"mobilenet2", 1, 384, 14, 96, 1, 1, 0, 1},
    {"mobilenet2", 3, 96, 14, 576, 1, 1, 0, 1},
    {"mobilenet2", 2, 576, 14, 576, 3, 1, 1, 576},
    {"mobilenet2", 2, 576, 14, 96, 1, 1, 0, 1},
    {"mobilenet2", 1, 576, 14, 576, 3, 2, 1, 576},
    {"mobilenet2", 1, 576, 7, 160, 1, 1, 0, 1},
    {"mobilenet2", 3, 160, 7, 960, 1, 1, 0, 1},
    {"mobilenet2", 3, 960, 7, 960, 3, 1, 1, 960},
    {"mobilenet2", 2, 960, 7, 160, 1, 1, 0, 1},
    {"mobilenet2", 1, 960, 7, 320, 1, 1, 0, 1},
    {"mobilenet2", 1, 320, 7, 1280, 1, 1, 0, 1},
    {"mobilenet2", 1, 1280, 1, 1000, 1, 1, 0, 1},
    {"squeezenet", 1, 3, 224, 64, 3, 2, 0, 1},
    {"squeezenet", 1, 64, 55, 16, 1, 1, 0, 1},
    {"squeezenet", 2, 16, 55, 64, 3, 1, 1, 1},
    {"squeezenet", 2, 16, 55, 64, 1, 1, 0, 1},
    {"squeezenet", 1, 128, 55, 16, 1, 1, 0, 1},
    {"squeezenet", 1, 128, 27, 32, 1, 1, 0, 1},
    {"squeezenet", 2, 32, 27, 128, 3, 1, 1, 1},
    {"squeezenet", 2, 32, 27, 128, 1, 1, 0, 1},
    {"squeezenet", 1, 256, 27, 32, 1, 1, 0, 1},
    {"squeezenet", 1, 256, 13, 48, 1, 1, 0, 1},
    {"squeezenet", 2, 48, 13, 192, 3, 1, 1, 1},
    {"squeezenet", 2, 48, 13, 192, 1, 1, 0, 1},
    {"squeezenet", 1, 384, 13, 48, 1, 1, 0, 1},
    {"squeezenet", 1, 384, 13, 64, 1, 1, 0, 1},
    {"squeezenet", 2, 64, 13, 256, 3, 1, 1, 1},
    {"squeezenet", 2, 64, 13, 256, 1, 1, 0, 1},
    {"squeezenet", 1, 512, 13, 64, 1, 1, 0, 1},
    {"squeezenet", 1, 512, 13, 1000, 1, 1, 0, 1},
    {"others", 1, 128, 56, 128, 3, 1, 1, 32},
    {"others", 1, 512, 14, 512, 3, 1, 1, 32},
    {"others", 1, 58, 28, 58, 1, 1, 0, 1},
    {"others", 1, 240, 14, 240, 5, 1, 2, 240},
    {"others", 1, 48, 35, 64, 5, 1, 2, 1},
    {"others", 1, 17, 17, 192, 7, 1, 3, 1},
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *numbers(size_t count) {
    float *x = aligned_alloc(64, (count * sizeof *x + 63) / 64 * 64);
    for (size_t i = 0; x && i < count; i++)
        x[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
    return x;
}

static struct conv_shape shape_of(const struct layer *l) {
    int out = conv_out_size(l->size, l->kernel, l->stride, 1, l->pad, l->pad);
    return (struct conv_shape){.channels_in = l->c,
                               .height = l->size,
                               .width = l->size,
                               .channels_out = l->m,
                               .kernel = {l->kernel, l->kernel},
                               .stride = {l->stride, l->stride},
                               .dilation = {1, 1},
                               .pad_top = l->pad,
                               .pad_left = l->pad,
                               .pad_bottom = l->pad,
                               .pad_right = l->pad,
                               .groups = l->groups,
                               .out_height = out,
                               .out_width = out};
}

/* What the rest of a network does between two runs of a layer: its weights
 * leave the second cache, its input comes into it. */
static float between_runs(const float *others, const float *x, size_t count) {
    float sum = 0;
    for (size_t i = 0; i < OTHERS; i += 16)
        sum += others[i];
    for (size_t i = 0; i < count; i += 16)
        sum += x[i];
    return sum;
}

struct trial {
    void (*run)(const struct trial *trial);
    const struct conv *conv; /* NULL: by the BLAS */
    struct conv_shape shape;
    int batch;
    float *x, *y, *weights, *scratch;
    size_t inputs;
};

static void run_conv(const struct trial *t) {
    conv_run(t->conv, t->batch, t->x, NULL, t->y, t->scratch);
}

static int window_of(const struct conv_shape *s) {
    return s->kernel[0] * s->kernel[1] * s->channels_in / s->groups;
}

static int rows_of(const struct trial *t) {
    return t->batch * t->shape.out_height * t->shape.out_width;
}

static void run_blas(const struct trial *t) {
    int k = window_of(&t->shape), n = t->shape.channels_out / t->shape.groups;
    gemm(false, false, rows_of(t), n, k, 1, t->x, k, t->weights, n, 0, t->y, n);
}

/* Seconds of the best of many runs: other programs only ever make it slower. */
static double measure(const struct trial *t, const float *others) {
    double least = 1e9, end = now() + 0.1;
    volatile float sink = 0;
    for (int i = 0; i < 4 || now() < end; i++) {
        sink += between_runs(others, t->x, t->inputs);
        double start = now();
        t->run(t);
        double took = now() - start;
        least = took < least ? took : least;
    }
    return least;
}

static void print(const struct trial *t, const char *name, double seconds) {
    printf("  %s %.3f ms, %.0f", name, seconds * 1e3,
           t->batch * conv_flops(&t->shape) / seconds / 1e9);
}

/* Room for every algorithm, and for the matrix of windows. */
static int prepare(struct trial *t) {
    const struct conv_shape *s = &t->shape;
    size_t windows = (size_t)rows_of(t) * (size_t)window_of(s);
    t->inputs = (size_t)(t->batch * s->height * s->width * s->channels_in);
    t->x = numbers(t->inputs > windows ? t->inputs : windows);
    t->y = numbers((size_t)rows_of(t) * (size_t)s->channels_out);
    t->weights = numbers((size_t)(s->channels_out * window_of(s)));
    return t->x && t->y && t->weights ? 0 : -1;
}

/* Returns the seconds of the algorithm that is chosen. */
static double measure_all(struct trial *t, const float *others) {
    double seconds = 0;
    struct conv_post post = {.activation = {ACTIVATION_RELU, 0, 0}};
    struct conv probe = {.shape = t->shape};
    struct conv *chosen =
        conv_open(&t->shape, &post, t->weights, t->batch, NULL);

    for (int i = 0; chosen && conv_algorithms[i]; i++) {
        const struct conv_algorithm *algorithm = conv_algorithms[i];
        if (!algorithm->fits(&probe))
            continue;
        struct conv *conv = conv_open_with(algorithm, &t->shape, &post,
                                           t->weights, t->batch, NULL);
        if (!conv)
            continue;
        t->scratch = aligned_alloc(64, conv_scratch(conv) + 64);
        t->conv = conv;
        t->run = run_conv;
        double took = measure(t, others);
        print(t, algorithm->name, took);
        printf("%s (est. %.3f)", algorithm == chosen->algorithm ? "*" : "",
               algorithm->estimate(conv) * 1e3);
        if (algorithm == chosen->algorithm)
            seconds = took;
        free(t->scratch);
        conv_close(conv);
    }
    t->run = run_blas;
    t->inputs = (size_t)rows_of(t) * (size_t)window_of(&t->shape);
    if (t->shape.groups < t->shape.channels_in)
        print(t, "blas", measure(t, others) * t->shape.groups);
    conv_close(chosen);
    return seconds;
}

static double bench(const struct layer *l, int batch, const float *others) {
    struct trial t = {.shape = shape_of(l), .batch = batch};
    printf("%-10s %4d x %3d^2 -> %4d, %dx%d/%d", l->network, l->c, l->size,
           l->m, l->kernel, l->kernel, l->stride);
    if (l->groups > 1)
        printf(" in %d", l->groups);
    printf(":");
    double seconds = prepare(&t) == 0 ? measure_all(&t, others) : 0;
    printf("\n");
    fflush(stdout);
    free(t.x);
    free(t.y);
    free(t.weights);
    return seconds * l->times;
}

int main(int argc, char **argv) {
    gemm_choose_core(argv);
    gemm_init();
    int batch = argc > 1 ? atoi(argv[1]) : 1;
    float *others = numbers(OTHERS);
    if (!others)
        return 1;
    double total = 0;
    size_t count = sizeof layers / sizeof *layers;
    for (size_t i = 0; i < count; i++) {
        const char *network = layers[i].network;
        if (argc > 2 && strcmp(argv[2], network) != 0)
            continue;
        total += bench(&layers[i], batch, others);
        if (i + 1 == count || strcmp(network, layers[i + 1].network) != 0) {
            printf("%-10s together %.3f ms\n", network, total * 1e3);
            total = 0;
        }
    }
    free(others);
    return 0;
}
