/*
 * explain: where a network that is being trained looks.
 *
 *     struct explanation e;
 *     if (explain_image(net, &policy, set, i, class, &e)) ... e.cells
 *
 * Class activation map (Zhou et al. 2016, arXiv 1512.04150): exact where a
 * global average and a linear layer end the network, as they do here.
 */
#ifndef CONVOY_TRAIN_EXPLAIN_H
#define CONVOY_TRAIN_EXPLAIN_H

#include "models/train/augment.h"
#include "models/train/network.h"

#define EXPLAIN_CELLS 4096 /* 64 x 64 */

struct explanation {
    int width, height;
    uint8_t cells[EXPLAIN_CELLS]; /* 0 the least, 255 the greatest */
};

/* Runs image i of `set` through the network, by itself. False where there is
 * no such tail or the map is larger than EXPLAIN_CELLS. */
bool explain_image(struct network *net, const struct augment *policy,
                   const struct dataset *set, int i, int class,
                   struct explanation *e);

#endif
