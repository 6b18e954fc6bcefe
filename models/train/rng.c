#include "models/train/rng.h"

uint32_t rng_next(struct rng *rng) {
    uint64_t old = rng->state;
    rng->state = old * 6364136223846793005u + rng->increment;
    uint32_t xorshifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t rot = (uint32_t)(old >> 59);
    return (xorshifted >> rot) | (xorshifted << ((32 - rot) & 31));
}

void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream) {
    rng->state = 0;
    rng->increment = (stream << 1) | 1;
    rng_next(rng);
    rng->state += seed;
    rng_next(rng);
}

uint32_t rng_below(struct rng *rng, uint32_t bound) {
    uint32_t threshold = -bound % bound; /* rejects the uneven remainder */
    for (;;) {
        uint32_t value = rng_next(rng);
        if (value >= threshold)
            return value % bound;
    }
}

float rng_uniform(struct rng *rng, float low, float high) {
    float unit = (float)(rng_next(rng) >> 8) * 0x1p-24f;
    return low + (high - low) * unit;
}

void rng_shuffle(struct rng *rng, uint32_t *values, uint32_t count) {
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = rng_below(rng, i);
        uint32_t held = values[i - 1];
        values[i - 1] = values[j];
        values[j] = held;
    }
}
