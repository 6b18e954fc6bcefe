/*
 * model_folder: model folders for a test, below a folder of its own.
 *
 *     cmocka_unit_test_setup_teardown(test, model_folder_open,
 *                                     model_folder_close)
 *
 *     model_folder_text("cats/labels.txt", "cat\ndog\n");
 *     struct network net = model_folder_scores("y", 5, logits);
 *     model_folder_network("cats/model.onnx", &net);
 *     ... classifier_load(model_folder_path("cats"), &err) ...
 */
#ifndef CONVOY_TESTS_MODEL_FOLDER_H
#define CONVOY_TESTS_MODEL_FOLDER_H

#include "tests/unit/network.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODEL_FOLDER_SIDE = 8 }; /* of the pictures that its networks take */

static char model_folder_root[32];

static inline int model_folder_open(void **state) {
    (void)state;
    strcpy(model_folder_root, "/tmp/convoy-test-XXXXXX");
    return mkdtemp(model_folder_root) ? 0 : -1;
}

static inline int model_folder_remove(const char *path, const struct stat *s,
                                      int type, struct FTW *at) {
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int model_folder_close(void **state) {
    (void)state;
    return nftw(model_folder_root, model_folder_remove, 8,
                FTW_DEPTH | FTW_PHYS);
}

/* Valid until the next call. */
static inline const char *model_folder_path(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", model_folder_root, name);
    return path;
}

/* Makes the folders on the way. */
static inline void model_folder_write(const char *name, const void *data,
                                      size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", model_folder_root, name);
    for (char *at = path + strlen(model_folder_root) + 1;
         (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
        abort();
}

static inline void model_folder_text(const char *name, const char *text) {
    model_folder_write(name, text, strlen(text));
}

static inline void model_folder_network(const char *name, struct network *net) {
    struct wire file = network_file(net);
    model_folder_write(name, file.data, file.size);
    wire_free(&file);
}

/* A network whose value `out` is (N, count): `logits`, whatever the picture;
 * NULL: all 0. No output yet. */
static inline struct network model_folder_scores(const char *out, int count,
                                                 const float *logits) {
    struct network net = {.opset = 13};
    float *zeros = calloc((size_t)count * 3, sizeof *zeros);
    network_input(&net, "x", 4,
                  (int64_t[]){-1, 3, MODEL_FOLDER_SIDE, MODEL_FOLDER_SIDE});
    network_floats(&net, "w", 2, (int64_t[]){3, count}, zeros);
    network_floats(&net, "b", 1, (int64_t[]){count}, logits ? logits : zeros);
    network_node(&net, "GlobalAveragePool", "x", "pooled");
    network_node(&net, "Flatten", "pooled", "flat");
    network_node(&net, "Gemm", "flat,w,b", out);
    free(zeros);
    return net;
}

#endif
