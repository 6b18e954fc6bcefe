/*
 * samples: labelled pictures to measure a classifier with, all of them or one
 * at a time from disk.
 *
 *     struct samples s = {0};
 *     if (samples_read_cifar10(&s, c, files, count, &err) < 0) ...
 *     if (samples_read_folder(&s, c, "DIR", &err) < 0) ...
 *     s.classes[i] is what picture i should be called
 *     samples_free(&s);
 */
#ifndef CONVOY_TOOL_SAMPLES_H
#define CONVOY_TOOL_SAMPLES_H

#include "models/classifier/classifier.h"

#define CIFAR_SIDE 32

struct samples {
    int count;
    int *classes;   /* (count) index of the classifier's label */
    uint8_t **rgb;  /* (count) 32 x 32 x 3, row by row; CIFAR-10 only */
    char **paths;   /* (count) files; folder only */
    uint8_t *block; /* rgb points into it */
};

/* 1 byte label, then 32x32 bytes of red, of green, of blue. Labels are matched
 * by CIFAR-10's class names where the classifier uses them, else by number. */
int samples_read_cifar10(struct samples *s, const struct classifier *c,
                         const char *const *files, int count, struct err *err);

/* A folder a class, named as the classifier's labels are (case, _ and - aside;
 * one of several names that a label lists is enough); by number where the
 * classifier has no names for its classes. */
int samples_read_folder(struct samples *s, const struct classifier *c,
                        const char *folder, struct err *err);
void samples_free(struct samples *s);

#endif
