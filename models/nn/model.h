/*
 * model: what is behind struct nn_model, for session.c.
 */
#ifndef CONVOY_NN_MODEL_H
#define CONVOY_NN_MODEL_H

#include "models/nn/cam.h"
#include "models/nn/graph.h"

struct nn_model {
    struct graph *graph;
    struct cam cam;
    struct nn_summary summary;
};

#endif
