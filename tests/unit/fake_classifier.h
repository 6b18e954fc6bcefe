/*
 * fake_classifier: a classifier without a network, in place of
 * models/classifier in a program that includes this: what an image does is in
 * its first word.
 *
 *     ok        is classified; the label says how large its batch was
 *     slow      the same, after 300 ms
 *     corrupt   fails for good, as a broken file does
 *     broken    fails for now, as a network that gives no numbers does
 *     crash     ends the process with SIGSEGV
 *     hang      never comes back
 *     stuck     the same, but while it is decoded
 *     toil      decodes for ever, and works at it
 *     open      is classified if opening a file is refused, else broken
 *     connect   asks for a socket, which the sandbox punishes
 *     exec      asks for memory to execute, which the sandbox punishes
 *     much      is too large if 8 GiB of memory are refused, else broken
 *
 * A folder whose name begins with "bad" cannot be loaded. The version is the
 * content of model.onnx, where there is one; it cannot be loaded either if
 * that is "bad", and ends the process if that is "deadly".
 */
#ifndef CONVOY_FAKE_CLASSIFIER_H
#define CONVOY_FAKE_CLASSIFIER_H

#include "models/classifier/classifier.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAKE_CLASSES 300

struct classifier {
    char name[128];
    char version[CLASSIFIER_VERSION_LEN + 1];
    char labels[FAKE_CLASSES][16];
};

struct classifier_run {
    const struct classifier *c;
    struct classifier_watch watch;
};

enum prediction_confidence
classifier_confidence(const struct classifier *c,
                      const struct classification *result) {
    (void)c;
    (void)result;
    return CONFIDENCE_UNKNOWN;
}

static void fake_read_version(const char *path, char version[16]) {
    char file[512];
    snprintf(file, sizeof file, "%s/model.onnx", path);
    FILE *stream = fopen(file, "r");
    if (stream && fscanf(stream, "%15s", version) != 1)
        *version = 0;
    if (stream)
        fclose(stream);
}

struct classifier *classifier_load(const char *path, struct err *err) {
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char version[16] = "";
    fake_read_version(path, version);
    if (strcmp(version, "deadly") == 0)
        raise(SIGKILL);
    if (strncmp(name, "bad", 3) == 0 || strcmp(version, "bad") == 0) {
        err_set(err, "%s/model.onnx: operator Nonsense is not supported", path);
        return NULL;
    }
    struct classifier *c = calloc(1, sizeof *c);
    snprintf(c->name, sizeof c->name, "%s", name);
    memset(c->version, '0', CLASSIFIER_VERSION_LEN);
    c->version[0] = "0123456789abcdef"[strlen(name) % 16];
    if (strlen(version) == CLASSIFIER_VERSION_LEN)
        memcpy(c->version, version, sizeof c->version);
    for (int i = 0; i < FAKE_CLASSES; i++)
        snprintf(c->labels[i], sizeof c->labels[i], "batch of %d", i);
    return c;
}

void classifier_free(struct classifier *c) {
    free(c);
}

const char *classifier_name(const struct classifier *c) {
    return c->name;
}

const char *classifier_version(const struct classifier *c) {
    return c->version;
}

int classifier_classes(const struct classifier *c) {
    (void)c;
    return FAKE_CLASSES;
}

const char *classifier_label(const struct classifier *c, int index) {
    return c->labels[index];
}

const char *classifier_notice(const struct classifier *c) {
    (void)c;
    return NULL;
}

int classifier_width(const struct classifier *c) {
    (void)c;
    return 32;
}

int classifier_height(const struct classifier *c) {
    (void)c;
    return 32;
}

bool classifier_explainable(const struct classifier *c) {
    (void)c;
    return true;
}

struct classifier_run *classifier_run_open(const struct classifier *c,
                                           int batch_max, struct err *err) {
    (void)batch_max;
    (void)err;
    struct classifier_run *run = calloc(1, sizeof *run);
    run->c = c;
    return run;
}

const char *classifier_run_single(const struct classifier_run *run) {
    (void)run;
    return NULL;
}

void classifier_run_close(struct classifier_run *run) {
    free(run);
}

void classifier_run_watch(struct classifier_run *run,
                          const struct classifier_watch *watch) {
    run->watch = *watch;
}

static void fake_sleep(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static void fake_fail(struct classification *out, const char *problem,
                      const char *text) {
    out->failed = true;
    err_problem(&out->err, problem, "%s", text);
}

static void fake_crash(struct classification *out) {
    (void)out;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would have its say first */
    raise(SIGSEGV);
}

static void fake_hang(struct classification *out) {
    (void)out;
    for (;;)
        fake_sleep(1000);
}

static void fake_slow(struct classification *out) {
    (void)out;
    fake_sleep(300);
}

static void fake_corrupt(struct classification *out) {
    fake_fail(out, "corrupt-image", "the file is cut off");
}

static void fake_broken(struct classification *out) {
    fake_fail(out, "worker-failed", "the network gave no number");
}

static void fake_open(struct classification *out) {
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
        fake_broken(out);
}

static void fake_connect(struct classification *out) {
    (void)socket(AF_INET, SOCK_STREAM, 0);
    fake_broken(out);
}

static void fake_exec(struct classification *out) {
    (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0);
    fake_broken(out);
}

static void fake_much(struct classification *out) {
    void *much = mmap(NULL, (size_t)8 << 30, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (much == MAP_FAILED)
        fake_fail(out, "image-too-large", "no memory");
    else
        fake_broken(out);
}

/* What the decoder does for all images, only that this one never ends. */
static void fake_decode(const struct classifier_run *run,
                        const struct classifier_image *image, int i) {
    run->watch.begin(run->watch.context, i);
    while (image->size >= 5 && memcmp(image->bytes, "stuck", 5) == 0)
        fake_sleep(1000);
    while (image->size >= 4 && memcmp(image->bytes, "toil", 4) == 0)
        __asm__ volatile("");
    run->watch.end(run->watch.context);
}

static void fake_act(const struct classifier_image *image,
                     struct classification *out) {
    static const struct {
        const char *word;
        void (*act)(struct classification *out);
    } rows[] = {{"slow", fake_slow},       {"corrupt", fake_corrupt},
                {"broken", fake_broken},   {"crash", fake_crash},
                {"hang", fake_hang},       {"open", fake_open},
                {"connect", fake_connect}, {"exec", fake_exec},
                {"much", fake_much}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (image->size >= strlen(rows[i].word) &&
            memcmp(image->bytes, rows[i].word, strlen(rows[i].word)) == 0)
            rows[i].act(out);
}

void classifier_run(struct classifier_run *run,
                    const struct classifier_image *images, int count, int top_k,
                    struct classification *out) {
    (void)top_k;
    for (int i = 0; i < count; i++) {
        memset(&out[i], 0, sizeof out[i]);
        fake_decode(run, &images[i], i);
        out[i].format = "png";
        out[i].width = 8;
        out[i].height = 4;
        out[i].top_count = 1;
        out[i].top[0].index = count;
        out[i].top[0].score = 1;
        out[i].decode_ms = 1;
        out[i].infer_ms = 2;
        out[i].map_count = 1;
        out[i].map_width = out[i].map_height = 2;
        memcpy(out[i].maps[0], "\0\1\2\3", 4);
        fake_act(&images[i], &out[i]);
    }
}

void classifier_run_explain(struct classifier_run *run,
                            const struct classifier_image *image, int top_k,
                            struct classification *out) {
    classifier_run(run, image, 1, top_k, out);
}

void classifier_run_pixels(struct classifier_run *run,
                           const uint8_t *const *rgb, int width, int height,
                           int count, int top_k, struct classification *out) {
    (void)run;
    (void)rgb;
    (void)width;
    (void)height;
    (void)top_k;
    memset(out, 0, (size_t)count * sizeof *out);
}

#endif
