/*
 * bench: how fast a network runs. Every thread has a session of its own and
 * runs batch after batch of noise until the time is over; the share of each
 * layer is taken in a second, shorter round, since looking costs time.
 */
#include "common/clock.h"
#include "models/classifier/classifier.h"
#include "models/nn/gemm.h"
#include "models/nn/tensor.h"
#include "models/tool/command.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WARM_UP_SECONDS 0.3
#define PROFILE_SHARE 0.25 /* of the seconds asked for */
#define LAYERS_SHOWN 12
#define OPEN_SIDE 224 /* of an input whose size the file leaves open */

struct wish {
    int batch, threads, size, json, layers;
    double seconds;
};

struct thread {
    pthread_t id;
    struct nn_session *session;
    const struct bench *bench;
    double *times; /* seconds of each batch */
    int count, capacity;
    int runs; /* of the last run_for() */
    double open_seconds;
    struct err err;
    bool failed;
};

struct bench {
    const struct wish *wish;
    double load_seconds;
    struct nn_model *model;
    pthread_barrier_t start;
    struct thread *threads;
};

/* ---- sessions ------------------------------------------------------------ */

static void fill_with_noise(void *data, size_t count) {
    uint32_t state = 1;
    float *x = data;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes, 7.1 */
        x[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
}

static struct nn_session *open_session(const struct bench *bench,
                                       struct err *err) {
    int count = nn_input_count(bench->model);
    struct nn_port *shapes = calloc((size_t)count + 1, sizeof *shapes);
    if (!shapes) {
        err_set(err, "no memory");
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        shapes[i] = *nn_input(bench->model, i);
        for (int k = 0; k < shapes[i].rank; k++)
            if (shapes[i].dims[k] < 0)
                shapes[i].dims[k] = k == 0              ? bench->wish->batch
                                    : k == 1            ? 3
                                    : bench->wish->size ? bench->wish->size
                                                        : OPEN_SIDE;
    }
    struct nn_options options = {.batch_max = bench->wish->batch,
                                 .shapes = shapes};
    struct nn_session *session = nn_session_open(bench->model, &options, err);
    for (int i = 0; session && i < count; i++) {
        size_t numbers = dims_count(shapes[i].dims, shapes[i].rank);
        if (shapes[i].type == NN_FLOAT32)
            fill_with_noise(nn_session_input(session, i), numbers);
    }
    free(shapes);
    return session;
}

/* ---- a thread ------------------------------------------------------------ */

static int keep_time(struct thread *t, double seconds) {
    if (t->count == t->capacity) {
        int capacity = t->capacity ? 2 * t->capacity : 4096;
        double *times = realloc(t->times, (size_t)capacity * sizeof *t->times);
        if (!times)
            return err_set(&t->err, "no memory");
        t->times = times;
        t->capacity = capacity;
    }
    t->times[t->count++] = seconds;
    return 0;
}

/* Runs batches for that long; keeps the time of each where `keep`. */
static int run_for(struct thread *t, double seconds, bool keep) {
    double now = clock_seconds(), end = now + seconds;
    t->runs = 0;
    do {
        t->runs++;
        double begun = now;
        if (nn_session_run(t->session, t->bench->wish->batch, &t->err) < 0)
            return -1;
        now = clock_seconds();
        if (keep && keep_time(t, now - begun) < 0)
            return -1;
    } while (now < end);
    return 0;
}

static void *work(void *argument) {
    struct thread *t = argument;
    const struct bench *bench = t->bench;
    const double begun = clock_seconds();
    t->session = open_session(bench, &t->err);
    t->open_seconds = clock_seconds() - begun;
    t->failed = !t->session || run_for(t, WARM_UP_SECONDS, false) < 0;
    pthread_barrier_wait((pthread_barrier_t *)&bench->start);
    if (!t->failed && run_for(t, bench->wish->seconds, true) < 0)
        t->failed = true;
    return NULL;
}

static int run_threads(struct bench *bench, struct err *err) {
    int threads = bench->wish->threads, rc = 0;
    pthread_barrier_init(&bench->start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        bench->threads[i].bench = bench;
        if (pthread_create(&bench->threads[i].id, NULL, work,
                           &bench->threads[i]) != 0) {
            /* Those that wait for it never go on: nothing to save here. */
            fputs("convoy-model bench: no more threads can be started\n",
                  stderr);
            exit(1);
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(bench->threads[i].id, NULL);
        if (bench->threads[i].failed) {
            *err = bench->threads[i].err;
            rc = -1;
        }
    }
    pthread_barrier_destroy(&bench->start);
    return rc;
}

/* ---- the figures --------------------------------------------------------- */

struct figures {
    double images_per_second, median_ms, p99_ms, gflops, peak_memory;
    double load_ms; /* of the file, and of a session that is ready to run */
};

static int compare_times(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int collect(const struct bench *bench, struct figures *f,
                   struct err *err) {
    const struct wish *wish = bench->wish;
    size_t count = 0, at = 0;
    for (int i = 0; i < wish->threads; i++) {
        const struct thread *t = &bench->threads[i];
        double sum = 0;
        for (int k = 0; k < t->count; k++)
            sum += t->times[k];
        f->images_per_second += wish->batch * t->count / sum;
        count += (size_t)t->count;
    }
    double *all = malloc(count * sizeof *all);
    if (!all)
        return err_set(err, "no memory");
    for (int i = 0; i < wish->threads; i++)
        for (int k = 0; k < bench->threads[i].count; k++)
            all[at++] = bench->threads[i].times[k];
    qsort(all, count, sizeof *all, compare_times);
    f->median_ms = all[count / 2] * 1000;
    f->p99_ms = all[(size_t)(0.99 * (double)(count - 1))] * 1000;
    free(all);

    struct nn_step_report step;
    const struct nn_session *session = bench->threads[0].session;
    double flops = 0;
    for (int i = 0; i < nn_session_step_count(session); i++) {
        nn_session_step(session, i, &step);
        flops += step.flops;
    }
    f->gflops = flops / wish->batch * f->images_per_second / 1e9;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    f->peak_memory = (double)usage.ru_maxrss * 1024;
    f->load_ms = 1000 * (bench->load_seconds + bench->threads[0].open_seconds);
    return 0;
}

/* ---- the layers ---------------------------------------------------------- */

static int compare_steps(const void *a, const void *b) {
    const struct nn_step_report *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* Billions of operations a second while that step ran. */
static double step_gflops(const struct nn_step_report *step) {
    return step->seconds > 0 ? step->flops / step->seconds / 1e9 : 0;
}

/* The steps of thread 0 with the seconds of one run, the longest first unless
 * all are asked for, in order; *total their seconds. */
static struct nn_step_report *profile(struct bench *bench, int *count,
                                      double *total, struct err *err) {
    struct thread *t = &bench->threads[0];
    *count = nn_session_step_count(t->session);
    struct nn_step_report *steps = calloc((size_t)*count + 1, sizeof *steps);
    if (!steps) {
        err_set(err, "no memory");
        return NULL;
    }
    nn_session_profile(t->session, true);
    if (run_for(t, bench->wish->seconds * PROFILE_SHARE, false) < 0) {
        *err = t->err;
        free(steps);
        return NULL;
    }
    nn_session_profile(t->session, false);
    *total = 0;
    for (int i = 0; i < *count; i++) {
        nn_session_step(t->session, i, &steps[i]);
        steps[i].seconds /= t->runs;
        *total += steps[i].seconds;
    }
    if (!bench->wish->layers)
        qsort(steps, (size_t)*count, sizeof *steps, compare_steps);
    return steps;
}

static void print_layers(const struct nn_step_report *steps, int count,
                         double total) {
    printf("     ms  share  GFLOP/s  algorithm     layer\n");
    for (int i = 0; i < count; i++)
        printf("%7.3f %4.1f %% %8.1f  %-12s  %s %s  %s\n",
               1000 * steps[i].seconds, 100 * steps[i].seconds / total,
               step_gflops(&steps[i]), steps[i].algorithm, steps[i].op,
               steps[i].shape, steps[i].name);
}

static void print_text(const struct bench *bench, const struct figures *f,
                       const struct nn_step_report *steps, int count,
                       double total) {
    const struct wish *wish = bench->wish;
    printf("%.1f images a second (batch %d, %d thread%s, OpenBLAS for %s)\n",
           f->images_per_second, wish->batch, wish->threads,
           wish->threads == 1 ? "" : "s", gemm_core());
    printf("  a batch       median %.3f ms, p99 %.3f ms\n", f->median_ms,
           f->p99_ms);
    printf("  arithmetic    %.1f GFLOP/s\n", f->gflops);
    printf("  loading       %.1f ms\n", f->load_ms);
    printf("  peak memory   %.1f MiB\n\n", f->peak_memory / (1 << 20));
    if (wish->layers) {
        print_layers(steps, count, total);
        return;
    }
    printf("  share  layer\n");
    for (int i = 0; i < count && i < LAYERS_SHOWN; i++)
        printf("  %4.1f %%  %s %s %s  %s\n", 100 * steps[i].seconds / total,
               steps[i].op, steps[i].algorithm, steps[i].shape, steps[i].name);
    if (count > LAYERS_SHOWN)
        printf("          and %d more (--layers lists all)\n",
               count - LAYERS_SHOWN);
}

static int print_json(const struct bench *bench, const struct figures *f,
                      const struct nn_step_report *steps, int count,
                      double total) {
    json_t *layers = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(
            layers,
            json_pack("{s:s,s:s,s:s,s:s,s:f,s:f,s:f}", "name", steps[i].name,
                      "op", steps[i].op, "algorithm", steps[i].algorithm,
                      "shape", steps[i].shape, "ms", 1000 * steps[i].seconds,
                      "share", steps[i].seconds / total, "gflops",
                      step_gflops(&steps[i])));
    return command_json(json_pack(
        "{s:f,s:i,s:i,s:f,s:f,s:f,s:f,s:f,s:s,s:o}", "images_per_second",
        f->images_per_second, "batch", bench->wish->batch, "threads",
        bench->wish->threads, "median_ms", f->median_ms, "p99_ms", f->p99_ms,
        "gflops", f->gflops, "load_ms", f->load_ms, "peak_memory_bytes",
        f->peak_memory, "openblas", gemm_core(), "layers", layers));
}

/* ---- the command --------------------------------------------------------- */

static int measure(struct bench *bench, struct err *err) {
    struct figures figures = {0};
    double total;
    int count, rc = 0;
    if (run_threads(bench, err) < 0 || collect(bench, &figures, err) < 0)
        return -1;
    struct nn_step_report *steps = profile(bench, &count, &total, err);
    if (!steps)
        return -1;
    if (bench->wish->json)
        rc = print_json(bench, &figures, steps, count, total);
    else
        print_text(bench, &figures, steps, count, total);
    free(steps);
    return rc;
}

static int bench(const char *path, const struct wish *wish, struct err *err) {
    struct bench b = {.wish = wish};
    char onnx[PATH_MAX];
    int rc = -1;
    if (classifier_find_network(path, onnx, err) < 0)
        return -1;
    const double begun = clock_seconds();
    b.model = nn_load(onnx, err);
    b.load_seconds = clock_seconds() - begun;
    if (!b.model)
        return -1;
    b.threads = calloc((size_t)wish->threads, sizeof *b.threads);
    if (b.threads)
        rc = measure(&b, err);
    else
        err_set(err, "no memory");
    for (int i = 0; b.threads && i < wish->threads; i++) {
        nn_session_close(b.threads[i].session);
        free(b.threads[i].times);
    }
    free(b.threads);
    nn_free(b.model);
    return rc;
}

int bench_main(int argc, char **argv) {
    struct wish wish = {.batch = 1, .threads = 1, .seconds = 5};
    struct option_list words = {0};
    struct err err = {0};
    int status;
    const struct option_row rows[] = {
        {"batch", "B", OPTION_INT, &wish.batch, 1, 4096, "images a batch"},
        {"threads", "T", OPTION_INT, &wish.threads, 1, 1024,
         "threads, each with batches of its own"},
        {"seconds", "S", OPTION_NUMBER, &wish.seconds, 0, 86400,
         "how long to measure"},
        {"size", "N", OPTION_INT, &wish.size, 0, 8192,
         "height and width where the file leaves them open; 0: 224"},
        {"layers", NULL, OPTION_FLAG, &wish.layers, 0, 0,
         "time, GFLOP/s and algorithm of every layer, in order"},
        {"json", NULL, OPTION_FLAG, &wish.json, 0, 0,
         "one JSON object on one line"},
    };
    const struct options options = {.program = "convoy-model bench",
                                    .summary = "how fast a network runs",
                                    .rows = rows,
                                    .row_count = sizeof rows / sizeof *rows,
                                    .synopsis = "MODEL",
                                    .words = &words,
                                    .words_least = 1,
                                    .words_most = 1,
                                    .flags_only = true};
    if (command_options(&options, argc, argv, &status) &&
        (status = bench(words.items[0], &wish, &err)) < 0)
        status = command_failed(&options, &err);
    option_list_free(&words);
    return status;
}
