/*
 * What classifier.c (loading) and classifier_run.c (running) share.
 */
#ifndef CONVOY_CLASSIFIER_PRIVATE_H
#define CONVOY_CLASSIFIER_PRIVATE_H

#include "models/classifier/classifier.h"
#include "models/classifier/labels.h"
#include "models/classifier/preprocess.h"

#define INPUT_SIDE_MAX 8192

struct classifier {
    char name[256];
    char version[CLASSIFIER_VERSION_LEN + 1];
    struct nn_model *network;
    struct preprocess preprocess;
    struct labels labels;
    int classes;
    float threshold; /* see classifier_threshold() */
    int width, height;
    int fixed_batch; /* the file allows only this batch; 0: any */
    bool channels_last;
    bool softmax; /* the network gives logits */
    bool explainable;
    bool imagenet_defaults;
};

struct nn_session *classifier_session_open(const struct classifier *c,
                                           int batch_max, struct err *err);

#endif
