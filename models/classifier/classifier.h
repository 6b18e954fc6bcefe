/*
 * classifier: a model folder as a classifier; image bytes in, labels out.
 *
 *     struct classifier *c = classifier_load("models/zoo/cifar10-...", &err);
 *     struct classifier_run *run = classifier_run_open(c, 8, &err);
 *     struct classifier_image images[2] = {{bytes, size}, ...};
 *     struct classification out[2];
 *     classifier_run(run, images, 2, 5, out);
 *     if (out[0].failed) puts(out[0].err.text);
 *     else puts(classifier_label(c, out[0].top[0].index));
 *
 * A classifier is read-only after loading (threads and forked processes share
 * it); a run holds the buffers of one thread. A folder has model.onnx and,
 * Hugging Face style, config.json (id2label) and preprocessor_config.json; or
 * model.onnx and labels.txt with ImageNet defaults.
 */
#ifndef CONVOY_CLASSIFIER_H
#define CONVOY_CLASSIFIER_H

#include "common/err.h"
#include "common/prediction.h"
#include "models/nn/nn.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLASSIFIER_TOP_MAX 32     /* scores kept with a result */
#define CLASSIFIER_MAPS_MAX 5     /* activation maps kept with a result */
#define CLASSIFIER_MAP_CELLS 1024 /* 32x32; a finer map is averaged down */
#define CLASSIFIER_VERSION_LEN 12

/* To be called first in main(): sees to it that BLAS uses the kernels that fit
 * the processor, for which it may execute the program anew; see
 * gemm_choose_core(). */
void classifier_choose_kernels(char **argv);

/* `path` is a folder with model.onnx (or onnx/model.onnx), or an .onnx file;
 * the other files are looked for beside it (files.h). Where no file names the
 * labels they are "class 0", "class 1", ... What of the network's output is
 * taken for scores, and how, is in scores.h.
 *
 * The version is the first 12 hex digits of the SHA-256 over the bytes of
 * model.onnx, config.json and preprocessor_config.json, one behind the other:
 *     cat model.onnx config.json preprocessor_config.json | sha256sum
 * A file that is missing adds nothing; the network's external data follow, in
 * the order in which it names them, and labels.txt comes last, where the labels
 * are taken from it. */
struct classifier *classifier_load(const char *path, struct err *err);
void classifier_free(struct classifier *c);

/* The .onnx file that classifier_load() would read. */
int classifier_find_network(const char *path, char onnx[PATH_MAX],
                            struct err *err);

const char *classifier_name(const struct classifier *c);    /* folder's name */
const char *classifier_version(const struct classifier *c); /* see above */
int classifier_classes(const struct classifier *c);
const char *classifier_label(const struct classifier *c, int index);
/* What is wrong with the folder without being an error; NULL: nothing. */
const char *classifier_notice(const struct classifier *c);
int classifier_width(const struct classifier *c); /* of the network's input */
int classifier_height(const struct classifier *c);
/* Below this score the best answer is a guess; 0: the folder does not say. */
float classifier_threshold(const struct classifier *c);
bool classifier_explainable(const struct classifier *c);
const struct nn_model *classifier_network(const struct classifier *c);
/* Its input, with nothing left open but the batch. */
void classifier_input(const struct classifier *c, struct nn_port *port);

struct classifier_image {
    const void *bytes; /* an encoded image: PNG, JPEG, WebP, BMP, GIF */
    size_t size;
};

struct classification {
    bool failed;
    struct err err;     /* problem: "corrupt-image", "image-too-large",
                           "unsupported-image" */
    const char *format; /* "png", "jpeg", "webp", "bmp", "gif" */
    int width, height;  /* as a viewer shows it: after EXIF orientation */
    int top_count;
    struct {
        int index;
        float score;           /* 0..1 */
    } top[CLASSIFIER_TOP_MAX]; /* best first */
    double decode_ms; /* this image: decode, orient, resize, normalise */
    double infer_ms;  /* the batch it was in */
    /* Activation maps of the first `map_count` of `top`; 0: none. Each is
     * scaled on its own so that 0 is its least and 255 its greatest value. */
    int map_count, map_width, map_height;
    float map_region[4]; /* x, y, width, height of what the network saw, as
                            fractions of the shown image (centre crop) */
    uint8_t maps[CLASSIFIER_MAPS_MAX][CLASSIFIER_MAP_CELLS];
};

/* Whether the best answer of `result` may be asserted. */
enum prediction_confidence
classifier_confidence(const struct classifier *c,
                      const struct classification *result);

struct classifier_run *classifier_run_open(const struct classifier *c,
                                           int batch_max, struct err *err);

/* The same, but the scores of a picture are the mean of those of 1, 2 (and
 * mirrored) or 6 views (and moved by a pixel), at as many times the cost,
 * whatever the folder says; 0: as it says. Activation maps are those of the
 * picture as it is. */
struct classifier_run *classifier_run_open_views(const struct classifier *c,
                                                 int batch_max, int views,
                                                 struct err *err);

/* Some networks take one picture at a time, though their file leaves the batch
 * open; then batch_max is 1. This says why; NULL: it is as was asked for. */
const char *classifier_run_single(const struct classifier_run *run);
void classifier_run_close(struct classifier_run *run);

/* Classifies `count` images, in chunks of batch_max. A bad image fails alone.
 * `top_k` 1..CLASSIFIER_TOP_MAX (fewer where there are fewer classes). */
void classifier_run(struct classifier_run *run,
                    const struct classifier_image *images, int count, int top_k,
                    struct classification *out);

/* One picture. A network without activation maps gets maps by occlusion
 * (occlusion.h), which costs some fifty runs more. */
void classifier_run_explain(struct classifier_run *run,
                            const struct classifier_image *image, int top_k,
                            struct classification *out);

/* The same for pixels already at hand (evaluation on CIFAR-10 files): RGB
 * bytes, row by row, width x height; goes through resize and normalisation. */
void classifier_run_pixels(struct classifier_run *run,
                           const uint8_t *const *rgb, int width, int height,
                           int count, int top_k, struct classification *out);

/* Who is told when the decoding of images[i] begins and ends, to limit the time
 * that it takes. Copied; NULL: nobody. */
struct classifier_watch {
    void (*begin)(void *context, int i);
    void (*end)(void *context);
    void *context;
};
void classifier_run_watch(struct classifier_run *run,
                          const struct classifier_watch *watch);

/* What is done to an image, one sentence a line, for `inspect`. Caller frees.
 */
char *classifier_describe_preprocessing(const struct classifier *c);
/* Which output of the network, and what becomes of its numbers. */
char *classifier_describe_scores(const struct classifier *c);

#endif
