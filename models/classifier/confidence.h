/*
 * confidence: how high a score has to be for the answer to be asserted.
 *
 *     float threshold;
 *     confidence_read(json, size, "config.json", &threshold, &err);
 *
 * A classifier names one of its classes whatever it is shown. config.json may
 * say below which score the best answer is a guess:
 *
 *     "confidence_threshold": 0.62
 *
 * The key is Convoy's own; `convoy-model train` writes it, from held-out
 * images.
 */
#ifndef CONVOY_CLASSIFIER_CONFIDENCE_H
#define CONVOY_CLASSIFIER_CONFIDENCE_H

#include "common/err.h"

#include <stddef.h>

/* *threshold is 0 where the file names none. */
int confidence_read(const char *json, size_t size, const char *path,
                    float *threshold, struct err *err);

#endif
