/*
 * dataset: labelled images in memory, bytes as they come.
 *
 *     struct dataset all, train, validation;
 *     dataset_read_cifar10(&all, files, 5, &err);
 *     dataset_split(&all, 5000, &train, &validation, &err);
 *     ...
 *     dataset_free(&all);                 the parts only borrow
 */
#ifndef CONVOY_TRAIN_DATASET_H
#define CONVOY_TRAIN_DATASET_H

#include "common/err.h"
#include "models/train/layer.h"

#include <stdint.h>

#define CIFAR10_CLASSES 10

struct dataset {
    int count;
    struct shape shape;
    int classes;
    const char *const *names; /* (classes), or NULL */
    uint8_t *pixels;          /* (count, height, width, channels) */
    uint16_t *labels;         /* (count) */
};

/* The binary version of CIFAR-10 (Krizhevsky 2009): records of one label byte
 * and 3072 bytes, planes of 32x32 for red, green and blue. */
int dataset_read_cifar10(struct dataset *set, const char *const *files,
                         int files_count, struct err *err);
void dataset_free(struct dataset *set);

/* The last `held_out` images are for validation, the others for training. */
int dataset_split(const struct dataset *all, int held_out,
                  struct dataset *train, struct dataset *validation,
                  struct err *err);

/* Identifies the images, their order, labels and classes: a checkpoint must not
 * be resumed on others. FNV-1a, 64 bits. */
uint64_t dataset_fingerprint(const struct dataset *set);

#endif
