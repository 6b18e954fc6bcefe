/*
 * views: one picture seen several ways, the scores averaged, which is right
 * more often than one look (test-time augmentation).
 *
 *     const struct views *views = views_find(6);       NULL: no such set
 *     view_part(&views->list[i], &image, &part);       what it shows of it
 *     preprocess_apply(..., &part, tensor, ...)
 *     view_write(&views->list[i], shape, tensor, tensor_of_view_i);
 *     views_average(views, scores, classes);           into the first row
 *
 * The first view of every set is the picture as it is. Sets of the whole
 * picture, mirrored and moved by a pixel, are those of arXiv 2404.00498,
 * section 3.5; parts of it are for photographs, whose subject is small, or
 * which are far from square (multi-crop: Krizhevsky et al. 2012, section 4.1).
 */
#ifndef CONVOY_CLASSIFIER_VIEWS_H
#define CONVOY_CLASSIFIER_VIEWS_H

#include "models/classifier/image.h"

#include <stdbool.h>

#define VIEWS_MAX 8

struct view {
    bool square;     /* only the largest square in the middle, */
    float part;      /* and of that or the whole so much of each side; 1: all */
    bool mirrored;   /* left to right */
    int down, right; /* pixels of the tensor; the edge is repeated */
};

struct views {
    int count;
    struct view list[VIEWS_MAX];
    float weights[VIEWS_MAX]; /* of the scores; they add up to 1 */
};

struct view_shape {
    int channels, height, width;
    bool channels_last; /* (height, width, channels), else channels first */
};

/* 1: as it is. 2: and mirrored. 6: both, and moved by a pixel up and left,
 * down and right. */
const struct views *views_find(int count);

/* The part of `image` that a view shows, as a picture of its own, which
 * borrows the pixels. */
void view_part(const struct view *view, const struct image *image,
               struct image *part);
bool view_is_whole(const struct view *view);

/* Mirrors and moves. */
void view_write(const struct view *view, struct view_shape shape,
                const float *from, float *to);

/* `scores` (views, classes): row 0 becomes the weighted mean of all. */
void views_average(const struct views *views, float *scores, int classes);

/* "the middle square, mirrored"; returns `text`. */
const char *view_describe(const struct view *view, char text[64]);

#endif
