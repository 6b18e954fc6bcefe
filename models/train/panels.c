#include "models/train/panels.h"

#include "models/nn/kernels/kernels.h"

#include <math.h>
#include <string.h>

struct panels panels_plan(int k, int n) {
    const struct kernels *kernels = kernels_for(isa_pick());
    return (struct panels){kernels, k, n, panels_size(kernels, k, n)};
}

/* Floats in a row of the panel that starts at `column`: whole vectors. */
static int panel_width(const struct panels *p, int column) {
    int lanes = p->kernels->lanes;
    int width = (p->n - column + lanes - 1) / lanes * lanes;
    return width < p->kernels->panel ? width : p->kernels->panel;
}

void panels_pack(const struct panels *p, const float *b, int from, int to,
                 float *packed) {
    for (int column = 0; column < p->n; column += p->kernels->panel) {
        int width = panel_width(p, column), left = p->n - column;
        size_t filled = (size_t)(left < width ? left : width);
        const float *in = b + (size_t)from * (size_t)p->n + column;
        float *out = packed + panels_at(p->kernels, p->k, p->n, from, column);
        for (int row = from; row < to; row++, in += p->n, out += width) {
            memcpy(out, in, filled * sizeof *out);
            memset(out + filled, 0, ((size_t)width - filled) * sizeof *out);
        }
    }
}

void panels_pack_transposed(const struct panels *p, const float *b, int from,
                            int to, float *packed) {
    int panel = p->kernels->panel, end;
    for (int column = from; column < to; column = end) {
        int start = column / panel * panel, width = panel_width(p, start);
        int last = to == p->n ? start + width : to; /* with what is surplus */
        end = start + panel < to ? start + panel : to;
        if (last > start + width)
            last = start + width;
        float *out = packed + panels_at(p->kernels, p->k, p->n, 0, start);
        for (int row = 0; row < p->k; row++, out += width) {
            for (int j = column; j < end; j++)
                out[j - start] = b[(size_t)j * (size_t)p->k + (size_t)row];
            for (int j = end; j < last; j++)
                out[j - start] = 0;
        }
    }
}

void panels_multiply(const struct panels *p, const float *a, int rows,
                     const float *packed, float *c) {
    struct gemm_call call = {
        .rows = rows,
        .k = p->k,
        .n = p->n,
        .a = a,
        .lda = p->k,
        .piece = p->k,
        .pieces = {1, 1},
        .b = packed,
        .c = c,
        .ldc = p->n,
        .low = -INFINITY,
        .high = INFINITY,
    };
    p->kernels->gemm(&call);
}
