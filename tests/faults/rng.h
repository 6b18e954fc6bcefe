/* rng: random numbers from a seed, for plans that can be replayed. */
#ifndef CONVOY_TEST_RNG_H
#define CONVOY_TEST_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t rng_next(struct rng *rng) {
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* least..most, both included. */
static inline int rng_between(struct rng *rng, int least, int most) {
    return least + (int)(rng_next(rng) % (uint64_t)(most - least + 1));
}

static inline int rng_chance(struct rng *rng, int percent) {
    return rng_between(rng, 1, 100) <= percent;
}

/* The seed of the part `number` of what `seed` stands for. */
static inline uint64_t rng_derive(uint64_t seed, uint64_t number) {
    struct rng rng = {seed * 0x9e3779b97f4a7c15u + number};
    return rng_next(&rng);
}

#endif
