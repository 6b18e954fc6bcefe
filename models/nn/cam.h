/*
 * cam: what a graph ends in, and the tail from which class activation maps
 * follow: features -> global average pooling -> linear [-> softmax].
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
    int output;           /* of the graph, that the tail ends in */
};

/* What output `output` ends in, behind what keeps numbers as they are but for
 * rounding. */
enum nn_ending cam_ending(const struct graph *graph, int output);

/* Of the first output that has such a tail. */
int cam_find(struct cam *cam, const struct graph *graph, struct err *err);
void cam_free(struct cam *cam);

#endif
