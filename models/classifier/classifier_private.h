/*
 * What classifier.c (loading) and classifier_run.c (running) share.
 */
#ifndef CONVOY_CLASSIFIER_PRIVATE_H
#define CONVOY_CLASSIFIER_PRIVATE_H

#include "models/classifier/classifier.h"
#include "models/classifier/labels.h"
#include "models/classifier/preprocess.h"
#include "models/classifier/scores.h"
#include "models/classifier/views.h"

#define INPUT_SIDE_MAX 8192

struct classifier {
    char name[256];
    char version[CLASSIFIER_VERSION_LEN + 1];
    struct nn_model *network;
    struct preprocess preprocess;
    struct labels labels;
    struct scores scores;
    float threshold;         /* see classifier_threshold() */
    struct view_shape shape; /* of the network's input */
    int fixed_batch;         /* the file allows only this batch; 0: any */
    bool explainable;
    const char *defaults; /* of what kind the preprocessing is; NULL: none */
};

size_t classifier_tensor_size(const struct classifier *c); /* of a picture */

struct nn_session *classifier_session_open(const struct classifier *c,
                                           int batch_max, struct err *err);

#endif
