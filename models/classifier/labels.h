/*
 * labels: the names of the classes, in the network's order.
 *
 *     struct labels labels;
 *     labels_read_config(&labels, json, size, path, 1000, &found, &err);
 *     puts(labels.text[281]);
 *     labels_free(&labels);
 *
 * From config.json (`id2label`, as an object or a list; else timm's
 * `label_names`; else `label2id`) or labels.txt (one a line). `classes` is how
 * many there should be, and another number of labels is an error that says
 * both; 0: as many as there are.
 *
 * Bytes that are no UTF-8 become "?". A label that a worker could not advertise
 * (job.h) is an error. Where id2label and label2id disagree the former holds,
 * and `notice` says so.
 */
#ifndef CONVOY_LABELS_H
#define CONVOY_LABELS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct labels {
    int count;
    char **text;      /* (count), one block with what it points at */
    char notice[160]; /* "": there is nothing to say */
};

/* *found is false where the file names no labels at all. */
int labels_read_config(struct labels *labels, const char *json, size_t size,
                       const char *path, int classes, bool *found,
                       struct err *err);
int labels_read_text(struct labels *labels, const char *text, size_t size,
                     const char *path, int classes, struct err *err);

/* "class 0", "class 1", ... where nobody says better. */
int labels_number(struct labels *labels, int classes, struct err *err);

void labels_free(struct labels *labels);

#endif
