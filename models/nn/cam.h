/*
 * cam: finds the tail of a graph from which class activation maps follow:
 * features -> global average pooling -> linear [-> softmax].
 *
 *     struct cam cam;
 *     if (cam_find(&cam, graph, &err) < 0) ...        no memory
 *     if (cam.features) ...                           there is such a tail
 *     cam_free(&cam);
 */
#ifndef CONVOY_NN_CAM_H
#define CONVOY_NN_CAM_H

#include "models/nn/graph.h"

struct cam {
    const struct value *features; /* (N, channels, H, W); NULL: no such tail */
    const struct value *pooled;   /* one number a channel */
    int classes, channels;
    const float *weights; /* (classes, channels) */
    float *copy;          /* of weights that lie otherwise in the graph */
    bool softmax;         /* output 0 are probabilities */
};

int cam_find(struct cam *cam, const struct graph *graph, struct err *err);
void cam_free(struct cam *cam);

#endif
