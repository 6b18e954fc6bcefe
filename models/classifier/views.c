#include "models/classifier/views.h"

#include <stddef.h>

static const struct view one[] = {{false, 0, 0, 1}};
static const struct view two[] = {{false, 0, 0, 0.5f}, {true, 0, 0, 0.5f}};
static const struct view six[] = {
    {false, 0, 0, 0.25f},   {true, 0, 0, 0.25f},   {false, -1, -1, 0.125f},
    {true, -1, -1, 0.125f}, {false, 1, 1, 0.125f}, {true, 1, 1, 0.125f},
};

const struct view *views_find(int count) {
    switch (count) {
    case 1:
        return one;
    case 2:
        return two;
    case 6:
        return six;
    default:
        return NULL;
    }
}

static int within(int i, int size) {
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

void view_write(const struct view *view, struct view_shape shape,
                const float *from, float *to) {
    int planes = shape.channels_last ? 1 : 3;
    int each = shape.channels_last ? 3 : 1; /* numbers a pixel has in a plane */
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

void views_average(const struct view *views, int count, float *scores,
                   int classes) {
    for (int k = 0; k < classes; k++) {
        float sum = 0;
        for (int v = 0; v < count; v++)
            sum += views[v].weight * scores[(ptrdiff_t)v * classes + k];
        scores[k] = sum;
    }
}
