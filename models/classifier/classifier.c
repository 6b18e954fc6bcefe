/*
 * Loading: the folder's files are read once, each; the version is computed
 * over the very bytes that are used.
 */
#include "models/classifier/classifier.h"
#include "models/classifier/classifier_private.h"

#include "common/digest.h"
#include "common/file.h"
#include "models/classifier/confidence.h"
#include "models/nn/gemm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_MAX INT32_MAX /* protobuf's own limit */
#define JSON_MAX (16 << 20) /* 21,841 labels take 2 MB */
#define CLASSES_MAX 1000000

/* What was read of a folder; bytes is NULL for a file that is not there. */
enum { MODEL, CONFIG, PREPROCESSOR, LABELS, FILES };
struct part {
    char path[PATH_MAX];
    char *bytes;
    size_t size;
};

static int is_file(const char *folder, const char *name, char path[PATH_MAX]) {
    int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return n < PATH_MAX && file_exists(path);
}

/* *path may be a folder or the .onnx file; the others lie beside it. Hugging
 * Face's hub keeps the ONNX export of a model in a folder onnx/ below. */
static int locate(const char *path, struct part parts[FILES],
                  char folder[PATH_MAX], struct err *err) {
    if (!realpath(path, folder))
        return err_set(err,
                       "%s: there is no such model; give a folder with "
                       "model.onnx or an .onnx file",
                       path);
    if (!file_is_folder(folder)) {
        strcpy(parts[MODEL].path, folder);
        *strrchr(folder, '/') = 0;
    } else if (!is_file(folder, "model.onnx", parts[MODEL].path) &&
               !is_file(folder, "onnx/model.onnx", parts[MODEL].path)) {
        return err_set(err, "%s: has no model.onnx; is it a model folder?",
                       path);
    }
    is_file(folder, "config.json", parts[CONFIG].path);
    is_file(folder, "preprocessor_config.json", parts[PREPROCESSOR].path);
    is_file(folder, "labels.txt", parts[LABELS].path);
    return 0;
}

int classifier_find_network(const char *path, char onnx[PATH_MAX],
                            struct err *err) {
    struct part parts[FILES] = {0};
    char folder[PATH_MAX];
    if (locate(path, parts, folder, err) < 0)
        return -1;
    strcpy(onnx, parts[MODEL].path);
    return 0;
}

static int read_parts(struct part parts[FILES], struct err *err) {
    for (int i = 0; i < FILES; i++) {
        if (i != MODEL && !file_exists(parts[i].path))
            continue;
        parts[i].bytes =
            file_read(parts[i].path, i == MODEL ? MODEL_MAX : JSON_MAX,
                      &parts[i].size, err);
        if (!parts[i].bytes)
            return -1;
    }
    return 0;
}

/* The folder's name, or the file's where it says more than "model". */
static void name_it(struct classifier *c, const char *folder,
                    const char *model) {
    const char *file = strrchr(model, '/') + 1;
    const char *dot = strrchr(file, '.');
    size_t length = dot ? (size_t)(dot - file) : strlen(file);
    if (length == 5 && memcmp(file, "model", 5) == 0) {
        file = strrchr(folder, '/') + 1;
        length = strlen(file);
    }
    snprintf(c->name, sizeof c->name, "%.*s", (int)length, file);
}

static int check_input(struct classifier *c, const char *path,
                       struct err *err) {
    const struct nn_port *in = nn_input(c->network, 0);
    if (nn_input_count(c->network) != 1)
        return err_set(err, "%s: has %d inputs; a classifier has one image",
                       path, nn_input_count(c->network));
    if (in->type != NN_FLOAT32 || in->rank != 4)
        return err_set(err,
                       "%s: input \"%s\" should be float32 of rank 4 "
                       "(images, channels, height, width)",
                       path, in->name);
    bool last = in->dims[1] != 3 && in->dims[3] == 3;
    if (!last && in->dims[1] != 3 && in->dims[1] != -1)
        return err_set(err,
                       "%s: input \"%s\" has %lld channels; pictures have 3",
                       path, in->name, (long long)in->dims[1]);
    for (int i = 0; i < 4; i++)
        if (in->dims[i] > INPUT_SIDE_MAX)
            return err_set(err, "%s: input \"%s\" is too large", path,
                           in->name);
    c->channels_last = last;
    c->fixed_batch = in->dims[0] > 0 ? (int)in->dims[0] : 0;
    c->width = (int)in->dims[last ? 2 : 3];
    c->height = (int)in->dims[last ? 1 : 2];
    return 0;
}

/* How many scores an image gets. What the file leaves open, a run shows. */
static int count_classes(struct classifier *c, const char *path,
                         struct err *err) {
    const struct nn_port *out = nn_output(c->network, 0);
    if (out->type != NN_FLOAT32)
        return err_set(err, "%s: output \"%s\" should be float32", path,
                       out->name);
    struct nn_session *session = NULL;
    bool open = out->rank < 2;
    for (int i = 1; i < out->rank; i++)
        open = open || out->dims[i] < 0;
    if (open) {
        session = classifier_session_open(c, 1, err);
        if (!session ||
            nn_session_run(session, c->fixed_batch ? c->fixed_batch : 1, err) <
                0) {
            nn_session_close(session);
            return err_prefix(err, "%s", path);
        }
        out = nn_session_output_port(session, 0);
    }
    int64_t classes = out->rank < 2 ? 0 : 1;
    for (int i = 1; i < out->rank; i++)
        classes = out->dims[i] > 0 && classes <= CLASSES_MAX / out->dims[i]
                      ? classes * out->dims[i]
                      : 0;
    int status = 0;
    if (classes < 1 || classes > CLASSES_MAX)
        status = err_set(err, "%s: output \"%s\" should be (images, classes)",
                         path, out->name);
    c->classes = (int)classes;
    nn_session_close(session);
    return status;
}

/* config.json, and labels.txt where that names no labels. */
static int read_labels(struct classifier *c, const struct part parts[FILES],
                       struct digest *digest, struct err *err) {
    const struct part *config = &parts[CONFIG], *text = &parts[LABELS];
    bool found = false;
    if (config->bytes && confidence_read(config->bytes, config->size,
                                         config->path, &c->threshold, err) < 0)
        return -1;
    if (config->bytes &&
        labels_read_config(&c->labels, config->bytes, config->size,
                           config->path, c->classes, &found, err) < 0)
        return -1;
    if (found)
        return 0;
    if (text->bytes) {
        digest_add(digest, text->bytes, text->size);
        return labels_read_text(&c->labels, text->bytes, text->size, text->path,
                                c->classes, err);
    }
    return labels_number(&c->labels, c->classes, err);
}

static int read_preprocess(struct classifier *c, const struct part parts[FILES],
                           struct err *err) {
    const struct part *file = &parts[PREPROCESSOR];
    c->imagenet_defaults = !file->bytes;
    if (!file->bytes)
        preprocess_imagenet(&c->preprocess, c->width, c->height);
    else if (preprocess_read(&c->preprocess, file->bytes, file->size,
                             file->path, c->width, c->height, err) < 0)
        return -1;
    c->preprocess.channels_last = c->channels_last;
    c->width = c->preprocess.width;
    c->height = c->preprocess.height;
    return 0;
}

static int load(struct classifier *c, const char *path,
                struct part parts[FILES], struct digest *digest,
                struct err *err) {
    char folder[PATH_MAX];
    if (locate(path, parts, folder, err) < 0 || read_parts(parts, err) < 0)
        return -1;
    name_it(c, folder, parts[MODEL].path);
    digest_add(digest, parts[MODEL].bytes, parts[MODEL].size);
    digest_add(digest, parts[CONFIG].bytes, parts[CONFIG].size);
    digest_add(digest, parts[PREPROCESSOR].bytes, parts[PREPROCESSOR].size);
    c->network = nn_load_memory(parts[MODEL].bytes, parts[MODEL].size, err);
    if (!c->network)
        return err_prefix(err, "%s", parts[MODEL].path);
    free(parts[MODEL].bytes);
    parts[MODEL].bytes = NULL;
    if (check_input(c, parts[MODEL].path, err) < 0 ||
        read_preprocess(c, parts, err) < 0 ||
        count_classes(c, parts[MODEL].path, err) < 0 ||
        read_labels(c, parts, digest, err) < 0)
        return -1;
    c->softmax = !nn_ends_in_softmax(c->network);
    c->explainable = nn_explainable(c->network);
    return 0;
}

void classifier_choose_kernels(char **argv) {
    gemm_choose_core(argv);
}

struct classifier *classifier_load(const char *path, struct err *err) {
    struct classifier *c = calloc(1, sizeof *c);
    struct part *parts = calloc(FILES, sizeof *parts);
    struct digest *digest = digest_open();
    char hex[DIGEST_HEX];
    int status = -1;
    if (c && parts)
        status = load(c, path, parts, digest, err);
    else
        err_set(err, "not enough memory to load %s", path);
    for (int i = 0; parts && i < FILES; i++)
        free(parts[i].bytes);
    free(parts);
    digest_close(digest, hex);
    if (status < 0) {
        classifier_free(c);
        return NULL;
    }
    memcpy(c->version, hex, CLASSIFIER_VERSION_LEN);
    return c;
}

void classifier_free(struct classifier *c) {
    if (c) {
        nn_free(c->network);
        labels_free(&c->labels);
        free(c);
    }
}

const char *classifier_name(const struct classifier *c) {
    return c->name;
}

const char *classifier_version(const struct classifier *c) {
    return c->version;
}

int classifier_classes(const struct classifier *c) {
    return c->classes;
}

const char *classifier_label(const struct classifier *c, int index) {
    return index >= 0 && index < c->labels.count ? c->labels.text[index] : NULL;
}

int classifier_width(const struct classifier *c) {
    return c->width;
}

int classifier_height(const struct classifier *c) {
    return c->height;
}

float classifier_threshold(const struct classifier *c) {
    return c->threshold;
}

enum prediction_confidence
classifier_confidence(const struct classifier *c,
                      const struct classification *result) {
    if (!(c->threshold > 0))
        return CONFIDENCE_UNKNOWN;
    return result->top[0].score < c->threshold ? CONFIDENCE_LOW
                                               : CONFIDENCE_HIGH;
}

bool classifier_explainable(const struct classifier *c) {
    return c->explainable;
}

const struct nn_model *classifier_network(const struct classifier *c) {
    return c->network;
}

char *classifier_describe_preprocessing(const struct classifier *c) {
    char *steps = preprocess_describe(&c->preprocess);
    char *text = NULL;
    if (!c->imagenet_defaults || !steps)
        return steps;
    if (asprintf(&text,
                 "defaults of ImageNet, as there is no "
                 "preprocessor_config.json:\n%s",
                 steps) < 0)
        text = NULL;
    free(steps);
    return text;
}
