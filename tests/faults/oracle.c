#include "tests/faults/oracle.h"

#include "models/classifier/classifier.h"
#include "tests/faults/json.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-4

struct oracle {
    struct classifier *classifier;
    struct classifier_run *run;
    pthread_mutex_t mutex;
    struct classification out; /* under the mutex */
};

struct oracle *oracle_open(const char *model, struct err *err) {
    struct oracle *oracle = calloc(1, sizeof *oracle);
    if (!oracle) {
        err_set(err, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&oracle->mutex, NULL);
    oracle->classifier = classifier_load(model, err);
    if (oracle->classifier)
        oracle->run = classifier_run_open(oracle->classifier, 1, err);
    if (oracle->run)
        return oracle;
    oracle_close(oracle);
    return NULL;
}

void oracle_close(struct oracle *oracle) {
    if (!oracle)
        return;
    classifier_run_close(oracle->run);
    classifier_free(oracle->classifier);
    pthread_mutex_destroy(&oracle->mutex);
    free(oracle);
}

static bool same_failure(const struct classification *out,
                         const json_t *prediction, char why[ORACLE_WHY]) {
    char expected[64];
    const char *type = text_of(json_object_get(prediction, "error"), "type");
    snprintf(expected, sizeof expected, "/problems/%s", out->err.problem);
    if (strcmp(text_of(prediction, "status"), "failed") == 0 &&
        strcmp(type, expected) == 0)
        return true;
    snprintf(why, ORACLE_WHY, "it is %.32s (%.64s), and should be %s",
             text_of(prediction, "status"), type, expected);
    return false;
}

static double score_of(const struct classification *out, int index) {
    for (int i = 0; i < out->top_count; i++)
        if (out->top[i].index == index)
            return (double)out->top[i].score;
    return NAN;
}

static bool same_scores(const struct oracle *oracle,
                        const struct classification *out,
                        const json_t *prediction, char why[ORACLE_WHY]) {
    const json_t *top = json_object_get(prediction, "predictions");
    size_t count = json_array_size(top);
    if (count == 0) {
        snprintf(why, ORACLE_WHY, "it is %.32s, without predictions",
                 text_of(prediction, "status"));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(top, i);
        int index = (int)json_integer_value(json_object_get(entry, "index"));
        double score = json_real_value(json_object_get(entry, "score"));
        const char *label = text_of(entry, "label");
        bool same = fabs(score - score_of(out, index)) <= TOLERANCE &&
                    fabs(score - (double)out->top[i].score) <= TOLERANCE;
        if (same &&
            strcmp(label, classifier_label(oracle->classifier, index)) == 0)
            continue;
        snprintf(why, ORACLE_WHY,
                 "answer %zu is %.32s (%d, %.6f), and should be %d, %.6f", i,
                 label, index, score, out->top[i].index,
                 (double)out->top[i].score);
        return false;
    }
    return true;
}

bool oracle_agrees(struct oracle *oracle, const void *bytes, size_t size,
                   const json_t *prediction, char why[ORACLE_WHY]) {
    const struct classifier_image image = {bytes, size};
    pthread_mutex_lock(&oracle->mutex);
    classifier_run(oracle->run, &image, 1, CLASSIFIER_TOP_MAX, &oracle->out);
    bool agrees = oracle->out.failed
                      ? same_failure(&oracle->out, prediction, why)
                      : same_scores(oracle, &oracle->out, prediction, why);
    pthread_mutex_unlock(&oracle->mutex);
    return agrees;
}
