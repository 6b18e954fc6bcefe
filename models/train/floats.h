/*
 * floats: memory for tensors, on huge pages where the system has them. What the
 * trainer goes through in a step is some hundred megabytes, and Winograd's
 * transforms write to a hundred places at once: small pages cost their lookup.
 */
#ifndef CONVOY_TRAIN_FLOATS_H
#define CONVOY_TRAIN_FLOATS_H

#include <stddef.h>

/* For free(); not set to anything. NULL: there is no memory. */
float *floats_new(size_t count);

#endif
