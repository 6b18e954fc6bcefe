/*
 * architecture: networks as tables of layers.
 *
 *     struct architecture a;
 *     architecture_make(&a, "airbench", 1.0, 10, &err);
 *     network_open(a.table, a.rows, ...);
 *
 * airbench: the shape of airbench94 (Jordan 2024, arXiv 2404.00498): a frozen
 * whitening convolution of 2x2, then three blocks of
 * [conv 3x3, maximum of 2x2, batch norm, GELU, conv 3x3, batch norm, GELU].
 * Two changes, so that the network shows where it looks: it ends in a global
 * average and a linear layer, which makes class activation maps exact, and the
 * last block does not pool, so that a map has 7x7 cells, not 3x3.
 *
 * airbench-residual: the same with the blocks of airbench96: a third
 * convolution, and a shortcut around the last two. Its channels are fewer than
 * there, so that the file stays below 16 MiB.
 */
#ifndef CONVOY_TRAIN_ARCHITECTURE_H
#define CONVOY_TRAIN_ARCHITECTURE_H

#include "models/train/layer.h"

#define ARCHITECTURE_ROWS_MAX 64

struct architecture {
    int rows;
    struct layer_spec table[ARCHITECTURE_ROWS_MAX];
};

/* `width` multiplies the channels of the blocks. */
int architecture_make(struct architecture *a, const char *name, double width,
                      int classes, struct err *err);

/* What people are told of it. */
struct architecture_about {
    const char *class_name; /* as Hugging Face names classes */
    const char *published;  /* the network of the paper that it is nearest to */
    const char *blocks;     /* a point of a list in Markdown */
};

/* NULL for a name that architecture_make() refuses. */
const struct architecture_about *architecture_about(const char *name);

#endif
