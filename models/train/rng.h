/*
 * rng: random numbers that are the same everywhere.
 *
 *     struct rng rng;
 *     rng_seed(&rng, seed, stream);
 *     rng_below(&rng, 5);             0..4
 *
 * PCG32 (O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient
 * Statistically Good Algorithms for Random Number Generation", XSH-RR 64/32).
 * A stream is independent of every other stream of the same seed: each image
 * of an epoch has its own, so that who works on it does not matter. The state
 * is two plain numbers, which a checkpoint keeps.
 */
#ifndef CONVOY_TRAIN_RNG_H
#define CONVOY_TRAIN_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
    uint64_t increment; /* odd */
};

void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream);
uint32_t rng_next(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t bound); /* uniform, bound > 0 */
float rng_uniform(struct rng *rng, float low, float high); /* [low, high) */

/* Fisher and Yates. */
void rng_shuffle(struct rng *rng, uint32_t *values, uint32_t count);

#endif
