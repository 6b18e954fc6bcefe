/*
 * Loading: the folder's files are read once, each; the version is computed
 * over the very bytes that are used. What the network gives is found out by
 * running it.
 */
#include "models/classifier/classifier.h"
#include "models/classifier/classifier_private.h"

#include "common/digest.h"
#include "models/classifier/confidence.h"
#include "models/classifier/files.h"
#include "models/classifier/json_file.h"
#include "models/nn/gemm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int classifier_find_network(const char *path, char onnx[PATH_MAX],
                            struct err *err) {
    struct files *files = files_locate(path, err);
    if (!files)
        return -1;
    strcpy(onnx, files->part[FILES_MODEL].path);
    files_free(files);
    return 0;
}

/* ---- the image ----------------------------------------------------------- */

static bool may_be_channels(int64_t dim) {
    return dim == 3 || dim == 1;
}

static int check_input(struct classifier *c, struct err *err) {
    const struct nn_port *in = nn_input(c->network, 0);
    if (nn_input_count(c->network) != 1)
        return err_set(err, "has %d inputs; a classifier has one image",
                       nn_input_count(c->network));
    if (in->type != NN_FLOAT32 || in->rank != 4)
        return err_set(err,
                       "input \"%s\" should be float32 of rank 4 "
                       "(images, channels, height, width)",
                       in->name);
    bool last = !may_be_channels(in->dims[1]) && may_be_channels(in->dims[3]);
    int64_t channels = in->dims[last ? 3 : 1];
    if (!may_be_channels(channels) && channels != -1)
        return err_set(err,
                       "input \"%s\" has %lld channels; pictures have 3, or "
                       "1 where they are grey",
                       in->name, (long long)channels);
    for (int i = 0; i < 4; i++)
        if (in->dims[i] > INPUT_SIDE_MAX)
            return err_set(err, "input \"%s\" is too large", in->name);
    c->shape.channels = channels == 1 ? 1 : 3;
    c->shape.channels_last = last;
    c->shape.width = (int)in->dims[last ? 2 : 3];
    c->shape.height = (int)in->dims[last ? 1 : 2];
    c->fixed_batch = in->dims[0] > 0 ? (int)in->dims[0] : 0;
    return 0;
}

static void use_defaults(struct classifier *c) {
    if (c->shape.channels == 1) {
        c->defaults = "a guess for grey pictures";
        preprocess_grey(&c->preprocess, c->shape.width, c->shape.height);
    } else {
        c->defaults = "defaults of ImageNet";
        preprocess_imagenet(&c->preprocess, c->shape.width, c->shape.height);
    }
}

/* preprocessor_config.json, else what timm writes into config.json. */
static int read_preprocess(struct classifier *c, const struct files *files,
                           struct err *err) {
    const struct file_part *own = &files->part[FILES_PREPROCESSOR];
    const struct file_part *config = &files->part[FILES_CONFIG];
    struct preprocess *p = &c->preprocess;
    struct view_shape *shape = &c->shape;
    bool found = own->bytes != NULL;
    if (own->bytes && preprocess_read(p, own->bytes, own->size, own->path,
                                      shape->width, shape->height, err) < 0)
        return -1;
    if (!found && config->bytes &&
        preprocess_read_timm(p, config->bytes, config->size, config->path,
                             shape->width, shape->height, &found, err) < 0)
        return -1;
    if (!found)
        use_defaults(c);
    else if (shape->channels == 1 && preprocess_see_grey(p, err) < 0)
        return err_prefix(err, "%s", own->bytes ? own->path : config->path);
    p->channels_last = shape->channels_last;
    shape->width = p->width;
    shape->height = p->height;
    return 0;
}

size_t classifier_tensor_size(const struct classifier *c) {
    return (size_t)c->shape.channels * (size_t)c->shape.width *
           (size_t)c->shape.height;
}

/* ---- labels and scores --------------------------------------------------- */

/* config.json, and labels.txt where that names none. `which` is the file. */
static int read_labels(struct classifier *c, const struct files *files,
                       const char **which, struct digest *digest,
                       struct err *err) {
    const struct file_part *config = &files->part[FILES_CONFIG];
    const struct file_part *text = &files->part[FILES_LABELS];
    bool found = false;
    *which = config->path;
    if (config->bytes &&
        (confidence_read(config->bytes, config->size, config->path,
                         &c->threshold, err) < 0 ||
         labels_read_config(&c->labels, config->bytes, config->size,
                            config->path, 0, &found, err) < 0))
        return -1;
    if (found || !text->bytes)
        return 0;
    *which = text->path;
    digest_add(digest, text->bytes, text->size);
    return labels_read_text(&c->labels, text->bytes, text->size, text->path, 0,
                            err);
}

/* Whether several classes may be true of a picture. */
static bool is_multi_label(const struct file_part *config) {
    json_t *root = config->bytes ? json_file_parse(config->bytes, config->size,
                                                   config->path, NULL)
                                 : NULL;
    const char *type = json_string_value(json_object_get(root, "problem_type"));
    bool multi = type && strcmp(type, "multi_label_classification") == 0;
    json_decref(root);
    return multi;
}

/* What a run shows of the output. */
static int find_scores(struct classifier *c, bool independent,
                       struct err *err) {
    int batch = c->fixed_batch ? c->fixed_batch : 1;
    struct nn_session *session = classifier_session_open(c, batch, err);
    if (!session)
        return -1;
    const struct scores_question question = {
        .network = c->network,
        .session = session,
        .batch = batch,
        .numbers = (size_t)batch * classifier_tensor_size(c),
        .labels = c->labels.count,
        .independent = independent,
    };
    int status = scores_find(&c->scores, &question, err);
    struct nn_cam cam;
    c->explainable = status == 0 && nn_session_cam(session, &cam) &&
                     cam.output == c->scores.output &&
                     cam.classes == c->scores.classes;
    nn_session_close(session);
    return status;
}

static int match_labels(struct classifier *c, const char *path,
                        struct err *err) {
    const struct scores *s = &c->scores;
    const char *output = nn_output(c->network, s->output)->name;
    if (c->labels.count == 0)
        return labels_number(&c->labels, s->classes, err);
    if (c->labels.count == s->classes)
        return 0;
    if (s->numbers == 1)
        return err_set(err,
                       "%s: has %d labels, but output \"%s\" gives one score, "
                       "which stands for two classes",
                       path, c->labels.count, output);
    return err_set(err,
                   "%s: has %d labels, but the network gives %d scores (output "
                   "\"%s\")",
                   path, c->labels.count, s->classes, output);
}

/* ---- loading ------------------------------------------------------------- */

/* What the network keeps in files beside it counts for the version, too. */
static int load_network(struct classifier *c, struct file_part *model,
                        struct digest *digest, struct err *err) {
    char folder[PATH_MAX];
    struct nn_data data;
    snprintf(folder, sizeof folder, "%s", model->path);
    *(strrchr(folder, '/') + 1) = 0; /* files.h: the path is a whole one */
    c->network = nn_load_beside(model->bytes, model->size, folder, err);
    free(model->bytes);
    model->bytes = NULL;
    if (!c->network)
        return -1;
    for (int i = 0; nn_data(c->network, i, &data); i++)
        digest_add(digest, data.bytes, data.size);
    return check_input(c, err);
}

static int load(struct classifier *c, struct files *files,
                struct digest *digest, struct err *err) {
    struct file_part *model = &files->part[FILES_MODEL];
    const char *labels;
    if (files_read(files, err) < 0)
        return -1;
    snprintf(c->name, sizeof c->name, "%s", files->name);
    for (int i = FILES_MODEL; i <= FILES_PREPROCESSOR; i++)
        digest_add(digest, files->part[i].bytes, files->part[i].size);
    if (load_network(c, model, digest, err) < 0)
        return err_prefix(err, "%s", model->path);
    if (read_preprocess(c, files, err) < 0 ||
        read_labels(c, files, &labels, digest, err) < 0)
        return -1;
    if (find_scores(c, is_multi_label(&files->part[FILES_CONFIG]), err) < 0)
        return err_prefix(err, "%s", model->path);
    return match_labels(c, labels, err);
}

void classifier_choose_kernels(char **argv) {
    gemm_choose_core(argv);
}

struct classifier *classifier_load(const char *path, struct err *err) {
    struct files *files = files_locate(path, err);
    if (!files)
        return NULL;
    struct classifier *c = calloc(1, sizeof *c);
    struct digest *digest = digest_open();
    char hex[DIGEST_HEX];
    int status = -1;
    if (c)
        status = load(c, files, digest, err);
    else
        err_set(err, "not enough memory to load %s", path);
    files_free(files);
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
    return c->scores.classes;
}

const char *classifier_label(const struct classifier *c, int index) {
    return index >= 0 && index < c->labels.count ? c->labels.text[index] : NULL;
}

int classifier_width(const struct classifier *c) {
    return c->shape.width;
}

int classifier_height(const struct classifier *c) {
    return c->shape.height;
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

void classifier_input(const struct classifier *c, struct nn_port *port) {
    bool last = c->shape.channels_last;
    *port = *nn_input(c->network, 0);
    port->dims[last ? 3 : 1] = c->shape.channels;
    port->dims[last ? 1 : 2] = c->shape.height;
    port->dims[last ? 2 : 3] = c->shape.width;
}

const char *classifier_notice(const struct classifier *c) {
    return *c->labels.notice ? c->labels.notice : NULL;
}

char *classifier_describe_preprocessing(const struct classifier *c) {
    char *steps = preprocess_describe(&c->preprocess);
    char *text = NULL;
    if (!c->defaults || !steps)
        return steps;
    if (asprintf(&text, "%s, as there is no preprocessor_config.json:\n%s",
                 c->defaults, steps) < 0)
        text = NULL;
    free(steps);
    return text;
}

char *classifier_describe_scores(const struct classifier *c) {
    char *text = NULL;
    const struct scores *s = &c->scores;
    if (asprintf(&text, "output \"%s\": %s",
                 nn_output(c->network, s->output)->name, s->why) < 0)
        return NULL;
    return text;
}
