/*
 * oracle: what is on an image, by the model run right here, one image at a
 * time: what `convoy-model classify` prints, and what the service must answer.
 *
 *     struct oracle *oracle = oracle_open("models/zoo/...", &err);
 *     char why[256];
 *     if (!oracle_agrees(oracle, bytes, size, answer, why)) ...
 *
 * Safe from any thread.
 */
#ifndef CONVOY_TEST_ORACLE_H
#define CONVOY_TEST_ORACLE_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ORACLE_WHY 256

struct oracle *oracle_open(const char *model, struct err *err);
void oracle_close(struct oracle *oracle);

/* Does this ended prediction, as the API gives it, say of the bytes what the
 * model says? Classes that score alike, to 1e-4, may change places: a batch is
 * added up in another order. */
bool oracle_agrees(struct oracle *oracle, const void *bytes, size_t size,
                   const json_t *prediction, char why[ORACLE_WHY]);

#endif
