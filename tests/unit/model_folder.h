/*
 * model_folder: model folders for a test, in a folder of its own.
 *
 *     char root[] = MODEL_FOLDER_ROOT;
 *     model_folder_open(root);
 *     model_folder_text(root, "cats/labels.txt", "cat\ndog\n");
 *     struct network net = model_folder_scores("y", 5, logits);
 *     model_folder_network(root, "cats/model.onnx", &net);
 *     ... classifier_load(model_folder_path(root, "cats"), &err) ...
 *     model_folder_close(root);
 */
#ifndef CONVOY_TESTS_MODEL_FOLDER_H
#define CONVOY_TESTS_MODEL_FOLDER_H

#include "tests/unit/network.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL_FOLDER_ROOT "/tmp/convoy-test-XXXXXX"
enum { MODEL_FOLDER_SIDE = 8 }; /* of the pictures that its networks take */

static inline void model_folder_open(char *root) {
    if (!mkdtemp(root))
        abort();
}

static inline int model_folder_remove(const char *path, const struct stat *s,
                                      int type, struct FTW *at) {
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void model_folder_close(const char *root) {
    nftw(root, model_folder_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Valid until the next call. */
static inline const char *model_folder_path(const char *root,
                                            const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* Makes the folders on the way. */
static inline void model_folder_write(const char *root, const char *name,
                                      const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
        abort();
}

static inline void model_folder_text(const char *root, const char *name,
                                     const char *text) {
    model_folder_write(root, name, text, strlen(text));
}

static inline void model_folder_network(const char *root, const char *name,
                                        struct network *net) {
    struct wire file = network_file(net);
    model_folder_write(root, name, file.data, file.size);
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
