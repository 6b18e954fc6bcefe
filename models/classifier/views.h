/*
 * views: one picture seen several ways, the scores averaged, which is right
 * more often than one look (test-time augmentation; the six views are those of
 * arXiv 2404.00498, section 3.5).
 *
 *     const struct view *views = views_find(6);        NULL: no such set
 *     view_write(&views[i], shape, tensor, tensor_of_view_i);
 *     views_average(views, 6, scores, classes);        into the first row
 *
 * The first view of every set is the picture as it is.
 */
#ifndef CONVOY_CLASSIFIER_VIEWS_H
#define CONVOY_CLASSIFIER_VIEWS_H

#include <stdbool.h>

/* 1: as it is. 2: and mirrored. 6: both, and moved by a pixel up and left,
 * down and right. */
#define VIEWS_MAX 6

struct view {
    bool mirrored;
    int down, right; /* pixels; the edge is repeated */
    float weight;    /* of its scores; those of a set add up to 1 */
};

struct view_shape {
    int height, width;
    bool channels_last; /* (height, width, 3), else (3, height, width) */
};

const struct view *views_find(int count);
void view_write(const struct view *view, struct view_shape shape,
                const float *from, float *to);

/* `scores` (count, classes): row 0 becomes the weighted mean of all. */
void views_average(const struct view *views, int count, float *scores,
                   int classes);

#endif
