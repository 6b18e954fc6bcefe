/*
 * eval: accuracy over labelled pictures. Each thread takes the next chunk of
 * them until none is left; what they count is added up at the end.
 */
#include "common/clock.h"
#include "common/file.h"
#include "models/tool/command.h"
#include "models/tool/samples.h"
#include "models/train/calibration.h"
#include "models/train/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP 5
#define BATCH_MAX 256
#define PICTURE_MAX ((size_t)1 << 30)
#define BAR_WIDTH 30

struct evaluation {
    const struct classifier *c;
    const struct samples *samples;
    int batch, views;
    atomic_int next, done, top1, top5, unread;
    atomic_int *right; /* (classes) of each class, by top 1 */
    atomic_bool failed;
    pthread_mutex_t lock; /* over what follows */
    struct err err;
    struct calibration calibration;
};

/* ---- the work ------------------------------------------------------------ */

static void count_answer(struct evaluation *e, int i,
                         struct classification *r) {
    int wanted = e->samples->classes[i];
    if (r->failed) {
        e->unread++;
        names_plain(r->err.text);
        fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "",
                r->err.text);
    }
    for (int k = 0; !r->failed && k < r->top_count; k++)
        if (r->top[k].index == wanted) {
            e->top5++;
            e->top1 += k == 0;
            e->right[wanted] += k == 0;
        }
    if (!r->failed) {
        pthread_mutex_lock(&e->lock);
        calibration_add(&e->calibration, r->top[0].score,
                        r->top[0].index == wanted);
        pthread_mutex_unlock(&e->lock);
    }
    e->done++;
}

/* A file that cannot be read is an empty one: it fails alone. */
static void read_files(const struct samples *s, int first, int count,
                       struct classifier_image *images) {
    for (int i = 0; i < count; i++) {
        size_t size = 0;
        images[i].bytes =
            file_read(s->paths[first + i], PICTURE_MAX, &size, NULL);
        images[i].size = images[i].bytes ? size : 0;
    }
}

static void evaluate_chunk(struct evaluation *e, struct classifier_run *run,
                           int first, int count, struct classification *out) {
    const struct samples *s = e->samples;
    if (s->rgb) {
        classifier_run_pixels(run, (const uint8_t *const *)s->rgb + first,
                              CIFAR_SIDE, CIFAR_SIDE, count, TOP, out);
    } else {
        struct classifier_image images[BATCH_MAX];
        read_files(s, first, count, images);
        classifier_run(run, images, count, TOP, out);
        for (int i = 0; i < count; i++) {
            if (out[i].failed)
                err_prefix(&out[i].err, "%s", s->paths[first + i]);
            free((void *)images[i].bytes);
        }
    }
    for (int i = 0; i < count; i++)
        count_answer(e, first + i, &out[i]);
}

static void *work(void *argument) {
    struct evaluation *e = argument;
    struct err err = {0};
    struct classification *out = calloc((size_t)e->batch, sizeof *out);
    struct classifier_run *run =
        classifier_run_open_views(e->c, e->batch, e->views, &err);
    if (!out || !run) {
        pthread_mutex_lock(&e->lock);
        e->err = err;
        e->failed = true;
        pthread_mutex_unlock(&e->lock);
    }
    while (!e->failed) {
        int first = atomic_fetch_add(&e->next, e->batch);
        int left = e->samples->count - first;
        if (left <= 0)
            break;
        evaluate_chunk(e, run, first, left < e->batch ? left : e->batch, out);
    }
    classifier_run_close(run);
    free(out);
    return NULL;
}

/* ---- the bar ------------------------------------------------------------- */

static void draw(const struct evaluation *e, double seconds) {
    int done = e->done, count = e->samples->count;
    char bar[BAR_WIDTH + 1] = "";
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)((double)done / count * BAR_WIDTH));
    fprintf(stderr, "\r\033[K[%s] %d of %d, %.2f %% right, %.0f images/s", bar,
            done, count, done ? 100.0 * e->top1 / done : 0, done / seconds);
    fflush(stderr);
}

static void watch(const struct evaluation *e, double start) {
    bool terminal = isatty(STDERR_FILENO) == 1;
    while (!e->failed && e->done < e->samples->count) {
        usleep(terminal ? 100000 : 2000);
        if (terminal)
            draw(e, clock_seconds() - start);
    }
    if (terminal)
        fputs("\r\033[K", stderr);
}

/* ---- the figures --------------------------------------------------------- */

/* Mean over the classes that occur of the share that was right. */
static double balanced_accuracy(const struct evaluation *e) {
    int classes = classifier_classes(e->c), present = 0;
    double sum = 0;
    int *of_class = calloc((size_t)classes, sizeof *of_class);
    for (int i = 0; of_class && i < e->samples->count; i++)
        of_class[e->samples->classes[i]]++;
    for (int k = 0; of_class && k < classes; k++)
        if (of_class[k] > 0) {
            present++;
            sum += (double)e->right[k] / of_class[k];
        }
    free(of_class);
    return present ? sum / present : 0;
}

static int report(const struct evaluation *e, double seconds, int threads,
                  int json) {
    double count = e->samples->count;
    double top1 = e->top1 / count, top5 = e->top5 / count;
    double balanced = balanced_accuracy(e);
    double error = calibration_error(&e->calibration);
    if (json)
        return command_json(json_pack(
            "{s:f,s:f,s:f,s:f,s:i,s:i,s:f,s:f,s:i,s:i,s:i,s:s,s:s}", "top1",
            top1, "top5", top5, "balanced_accuracy", balanced, "ece", error,
            "images", e->samples->count, "unreadable", (int)e->unread,
            "images_per_second", count / seconds, "seconds", seconds, "batch",
            e->batch, "views", e->views, "threads", threads, "model",
            classifier_name(e->c), "version", classifier_version(e->c)));
    printf("%s (version %s)\n", classifier_name(e->c),
           classifier_version(e->c));
    printf("  top-1              %.2f %% (%d of %d)\n", 100 * top1, e->top1,
           e->samples->count);
    printf("  top-5              %.2f %%\n", 100 * top5);
    printf("  balanced accuracy  %.2f %%\n", 100 * balanced);
    printf("  calibration error  %.4f (%d bins)\n", error, CALIBRATION_BINS);
    printf("  images a second    %.0f (%d threads, batches of %d, ",
           count / seconds, threads, e->batch);
    if (e->views == 0)
        puts("views as the folder says)");
    else
        printf("%d view%s)\n", e->views, e->views == 1 ? "" : "s");
    if (e->unread)
        printf("  unreadable         %d, counted as wrong\n", e->unread);
    return 0;
}

/* ---- the command --------------------------------------------------------- */

static int evaluate(struct evaluation *e, int threads, struct err *err) {
    pthread_t ids[1024];
    int started = 0;
    double start = clock_seconds();
    while (started < threads &&
           pthread_create(&ids[started], NULL, work, e) == 0)
        started++;
    if (started == 0)
        return err_set(err, "no thread could be started");
    watch(e, start);
    for (int i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    if (e->failed)
        *err = e->err;
    return e->failed ? -1 : 0;
}

struct wish {
    struct option_list cifar10;
    const char *folder;
    int batch, views, threads, json;
};

static int eval(const char *model, const struct wish *wish, struct err *err) {
    struct samples samples = {0};
    struct evaluation e = {.samples = &samples,
                           .batch = wish->batch,
                           .views = wish->views,
                           .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc = -1;
    struct classifier *c = classifier_load(model, err);
    if (!c)
        return -1;
    e.c = c;
    e.right = calloc((size_t)classifier_classes(c), sizeof *e.right);
    if (!e.right)
        err_set(err, "no memory");
    else if (wish->folder)
        rc = samples_read_folder(&samples, c, wish->folder, err);
    else
        rc = samples_read_cifar10(&samples, c, wish->cifar10.items,
                                  wish->cifar10.count, err);
    double start = clock_seconds();
    if (rc == 0)
        rc = evaluate(&e, wish->threads, err);
    if (rc == 0)
        rc = report(&e, clock_seconds() - start, wish->threads, wish->json);
    free(e.right);
    samples_free(&samples);
    classifier_free(c);
    return rc;
}

int eval_main(int argc, char **argv) {
    struct wish wish = {.batch = 32,
                        .threads = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    struct option_list words = {0};
    struct err err = {0};
    int status;
    const struct option_row rows[] = {
        {"cifar10", "FILE.bin...", OPTION_LIST, &wish.cifar10, 0, 0,
         "files in CIFAR-10's binary format"},
        {"folder", "DIR", OPTION_TEXT, &wish.folder, 0, 0,
         "pictures in a folder a class, named as the labels"},
        {"batch", "N", OPTION_INT, &wish.batch, 1, BATCH_MAX,
         "images that go through at once"},
        {"views", "N", OPTION_INT, &wish.views, 0, 6,
         "looks at each picture: 1; 2, also mirrored; 6, also moved by a "
         "pixel; 0: as the model's folder says"},
        {"threads", "N", OPTION_INT, &wish.threads, 1, 1024, "threads"},
        {"json", NULL, OPTION_FLAG, &wish.json, 0, 0,
         "one JSON object on one line"},
    };
    const struct options options = {
        .program = "convoy-model eval",
        .summary = "accuracy over labelled pictures",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
        .synopsis = "MODEL (--cifar10 FILE.bin... | --folder DIR)",
        .words = &words,
        .words_least = 1,
        .words_most = 1,
        .flags_only = true};
    if (command_options(&options, argc, argv, &status)) {
        if (!wish.folder == !wish.cifar10.count) {
            err_set(&err, "give either --cifar10 or --folder");
            command_failed(&options, &err);
            status = 2;
        } else if ((status = eval(words.items[0], &wish, &err)) < 0)
            status = command_failed(&options, &err);
    }
    option_list_free(&wish.cifar10);
    option_list_free(&words);
    return status;
}
