#include "models/classifier/views.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

static const struct views one = {1, {{.part = 1}}, {1}};
static const struct views two = {
    2, {{.part = 1}, {.part = 1, .mirrored = true}}, {0.5f, 0.5f}};
static const struct views six = {
    6,
    {
        {false, 1, false, 0, 0},
        {false, 1, true, 0, 0},
        {false, 1, false, -1, -1},
        {false, 1, true, -1, -1},
        {false, 1, false, 1, 1},
        {false, 1, true, 1, 1},
    },
    {0.25f, 0.25f, 0.125f, 0.125f, 0.125f, 0.125f}};

const struct views *views_find(int count) {
    switch (count) {
    case 1:
        return &one;
    case 2:
        return &two;
    case 6:
        return &six;
    default:
        return NULL;
    }
}

/* ---- what it shows ------------------------------------------------------- */

bool view_is_whole(const struct view *view) {
    return !view->square && !(view->part < 1);
}

void view_part(const struct view *view, const struct image *image,
               struct image *part) {
    double width = image->shown_width, height = image->shown_height;
    double side = fmin(width, height);
    double wanted_width = (view->square ? side : width) * (double)view->part;
    double wanted_height = (view->square ? side : height) * (double)view->part;
    *part = *image;
    part->pixels = part->spare = (struct image_buffer){0};
    part->shown_width = (int)fmax(1, round(wanted_width));
    part->shown_height = (int)fmax(1, round(wanted_height));
    /* The middle. Pixels in memory may be fewer than those of the file. */
    double share_x = part->shown_width / width;
    double share_y = part->shown_height / height;
    part->box.x += part->box.width * (1 - share_x) / 2;
    part->box.y += part->box.height * (1 - share_y) / 2;
    part->box.width *= share_x;
    part->box.height *= share_y;
}

static int within(int i, int size) {
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

void view_write(const struct view *view, struct view_shape shape,
                const float *from, float *to) {
    int planes = shape.channels_last ? 1 : shape.channels;
    int each = shape.channels_last ? shape.channels
                                   : 1; /* numbers a pixel has in a plane */
    for (int plane = 0; plane < planes; plane++)
        for (int y = 0; y < shape.height; y++) {
            int row =
                plane * shape.height + within(y - view->down, shape.height);
            for (int x = 0; x < shape.width; x++) {
                int column = view->mirrored ? shape.width - 1 - x : x;
                column = within(column - view->right, shape.width);
                const float *pixel =
                    from + ((ptrdiff_t)row * shape.width + column) * each;
                for (int c = 0; c < each; c++)
                    *to++ = pixel[c];
            }
        }
}

/* ---- what comes of it ---------------------------------------------------- */

void views_average(const struct views *views, float *scores, int classes) {
    for (int k = 0; k < classes; k++) {
        float sum = 0;
        for (int v = 0; v < views->count; v++)
            sum += views->weights[v] * scores[(ptrdiff_t)v * classes + k];
        scores[k] = sum;
    }
}

const char *view_describe(const struct view *view, char text[64]) {
    char part[24] = "";
    if (view->part < 1)
        snprintf(part, sizeof part, "%.3g of ", (double)view->part);
    snprintf(text, 64, "%s%s%s", part,
             view->square ? "the middle square" : "the whole",
             view->mirrored ? ", mirrored" : "");
    return text;
}
