/*
 * prediction: an ended prediction as it is stored in Redis: written once by a
 * worker (or by a front that gives a job up), read by every front.
 *
 *     char *json = prediction_encode(&p);               the worker; free(json)
 *     struct prediction p;
 *     if (prediction_decode(json, len, &p, &err) == 0)  the front
 *         ...
 *     prediction_free(&p);
 *
 * The stored document has the API's own fields (id, status, model, image,
 * predictions, confident, timings, created_at, completed_at, or error) with all
 * scores that were kept; the front cuts to top_k and adds links. Activation
 * maps lie beside them under "maps": {width, height, region: [x, y, w, h],
 * labels: [index...], cells: base64 of labels x height x width bytes}.
 */
#ifndef CONVOY_PREDICTION_H
#define CONVOY_PREDICTION_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREDICTION_TOP_MAX 32
#define PREDICTION_MAPS_MAX 5
#define PREDICTION_MAP_CELLS 1024

/* Whether the best answer may be asserted, or is a guess. */
enum prediction_confidence {
    CONFIDENCE_UNKNOWN, /* the model names no threshold */
    CONFIDENCE_LOW,
    CONFIDENCE_HIGH
};

struct prediction {
    struct id id;
    bool succeeded;
    char model_name[128];
    struct {
        char format[8]; /* "" where it never got so far */
        int width, height;
        size_t bytes;
    } image;
    /* succeeded */
    int top_count;
    struct {
        char *label; /* owned */
        int index;
        float score;
    } top[PREDICTION_TOP_MAX];
    enum prediction_confidence confidence;
    int map_count, map_width, map_height; /* maps of top[0..map_count) */
    float map_region[4];
    uint8_t *maps; /* owned, (map_count, map_height, map_width), or NULL */
    /* failed */
    char problem[32]; /* slug: "corrupt-image", "worker-failed", ... */
    char detail[512];
    bool permanent; /* the failure lies in the image: cached like an answer */
    double queue_ms, decode_ms, infer_ms, total_ms;
    int64_t created_ms, completed_ms; /* wall clock */
    int attempts;
};

char *prediction_encode(const struct prediction *p); /* NULL: out of memory */
int prediction_decode(const char *json, size_t len, struct prediction *p,
                      struct err *err);
void prediction_free(struct prediction *p);

/* What statistics need of an encoded prediction, read without building the
 * document: this is done for every answer. False: it is no such document. */
struct prediction_outcome {
    char problem[32]; /* "" where it succeeded */
    double queue_ms, decode_ms, infer_ms, total_ms;
};
bool prediction_outcome(const char *json, size_t len,
                        struct prediction_outcome *outcome);

#endif
