#include "models/classifier/occlusion.h"

#include <stddef.h>
#include <string.h>

#define ACROSS (OCCLUSION_SIDE - 1) /* places in a row */

/* The numbers of one channel: first, and how far apart. */
static const float *channel(struct view_shape shape, const float *tensor, int c,
                            int *step) {
    *step = shape.channels_last ? shape.channels : 1;
    return tensor + (shape.channels_last ? c : c * shape.height * shape.width);
}

static float mean(struct view_shape shape, const float *tensor, int c) {
    int step, count = shape.height * shape.width;
    const float *at = channel(shape, tensor, c, &step);
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)at[(ptrdiff_t)i * step];
    return (float)(sum / count);
}

void occlusion_cover(int place, struct view_shape shape, const float *from,
                     float *to) {
    int row = place / ACROSS, column = place % ACROSS;
    int top = row * shape.height / OCCLUSION_SIDE;
    int bottom = (row + 2) * shape.height / OCCLUSION_SIDE;
    int left = column * shape.width / OCCLUSION_SIDE;
    int right = (column + 2) * shape.width / OCCLUSION_SIDE;

    memcpy(to, from,
           (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width *
               sizeof *to);
    for (int c = 0; c < shape.channels; c++) {
        int step;
        float colour = mean(shape, from, c);
        float *at = to + (channel(shape, from, c, &step) - from);
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++)
                at[((ptrdiff_t)y * shape.width + x) * step] = colour;
    }
}

/* Places that cover a cell, along one side: the outermost have one. */
static int covers(int cell) {
    return cell == 0 || cell == OCCLUSION_SIDE - 1 ? 1 : 2;
}

void occlusion_add(int place, float fall, float cells[OCCLUSION_CELLS]) {
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int y = place / ACROSS + i, x = place % ACROSS + j;
            cells[y * OCCLUSION_SIDE + x] +=
                fall / (float)(covers(y) * covers(x));
        }
}
