/*
 * Three ways. A convolution of several channels is a product of matrices by
 * byte_gemm (kernels.h). Where outputs are wide, its rows are the windows as
 * they lie in a copy of some lines of the image with the padding around them;
 * otherwise they are gathered. A depthwise one goes through the kernel for
 * floats, a few rows at a time: its sums are so small (some 25 products of 17
 * bits) that floats hold them exactly.
 */
#include "models/nn/qconv.h"

#include "models/nn/conv_algorithm.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64 /* bytes in a cache line, and AVX-512's vector */

/* Bytes of gathered rows, of copied lines, and of floats for a depthwise layer,
 * that are used while they are in the second cache. */
#define BLOCK_BYTES (64 << 10)
#define LINES_BYTES (128 << 10)
#define DEPTHWISE_BYTES (256 << 10)

/* Whole numbers up to here are floats. */
#define FLOAT_EXACT (1 << 24)
#define PRODUCT_MAX (255 * 255)

struct qconv {
    struct conv_shape shape;
    int batch_max;
    enum nn_type x;
    struct byte_range y;
    const struct kernels *kernels;
    const struct byte_gemm *gemm;
    bool depthwise, lines;
    int depth, columns; /* channels of a group, in and out */
    int pieces, units;  /* of a window; units of all pieces */
    size_t pitch;       /* columns of a group in whole vectors */
    /* In a group's order, each group (pitch). */
    int32_t *bias;
    int32_t *sums; /* of a column's weights */
    float *scales; /* NULL: y is int32 */
    void *weights; /* packed panels, or floats (taps, channels) */
    size_t weight_bytes, group_bytes;
};

static size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

static void *zeros(size_t bytes) {
    bytes = round_up(bytes + 1, LINE);
    void *block = aligned_alloc(LINE, bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

static int groups(const struct qconv *q) {
    return q->shape.channels_out / q->columns;
}

static int taps(const struct qconv *q) {
    return q->shape.kernel[0] * q->shape.kernel[1];
}

/* ---- opening ------------------------------------------------------------- */

static int weight_at(const struct qconv_numbers *n, const void *weights,
                     size_t i, int channel) {
    return (n->w == NN_INT8 ? ((const int8_t *)weights)[i]
                            : ((const uint8_t *)weights)[i]) -
           n->w_zeros[channel];
}

static bool fits_bytes(const struct qconv *q, const struct qconv_numbers *n,
                       const void *weights) {
    const size_t each = (size_t)(taps(q) * q->depth);
    for (size_t i = 0; i < each * (size_t)q->shape.channels_out; i++) {
        const int w = weight_at(n, weights, i, (int)(i / each));
        if (w < -128 || w > 127)
            return false;
    }
    return true;
}

static bool is_depthwise(const struct conv_shape *s) {
    return s->groups > 1 && s->groups == s->channels_in &&
           s->groups == s->channels_out &&
           s->kernel[0] * s->kernel[1] < FLOAT_EXACT / PRODUCT_MAX;
}

static void pack_depthwise(struct qconv *q, const struct qconv_numbers *n,
                           const void *weights) {
    const size_t count = (size_t)taps(q), channels = q->pitch;
    for (size_t c = 0; c < (size_t)q->shape.channels_in; c++)
        for (size_t t = 0; t < count; t++)
            ((float *)q->weights)[t * channels + c] =
                (float)weight_at(n, weights, c * count + t, (int)c);
}

/* Number k of a window's column `m` goes to where byte_gemm reads it. */
static void put_weight(struct qconv *q, int m, int k, int w) {
    const int each = q->gemm->words ? 2 : 4, column = m % q->columns;
    uint8_t *group =
        (uint8_t *)q->weights + (size_t)(m / q->columns) * q->group_bytes;
    uint8_t *unit = group + 4 * panels_at(q->kernels, q->units, q->columns,
                                          k / each, column);
    if (q->gemm->words) {
        const int16_t word = (int16_t)w;
        memcpy(unit + 2 * (k % each), &word, sizeof word);
    } else {
        unit[k % each] = (uint8_t)w;
    }
    q->sums[(size_t)(m / q->columns) * q->pitch + (size_t)column] += w;
}

/* Columns of the matrix are in the order of rows: kernel row, column, channel;
 * each piece of them begins a unit. */
static void pack_panels(struct qconv *q, const struct qconv_numbers *n,
                        const void *weights) {
    const int count = taps(q), each = q->gemm->words ? 2 : 4;
    const int piece = count * q->depth / q->pieces;
    const int whole = q->units / q->pieces * each;
    size_t i = 0;
    for (int m = 0; m < q->shape.channels_out; m++)
        for (int c = 0; c < q->depth; c++)
            for (int t = 0; t < count; t++, i++) {
                const int k = t * q->depth + c;
                put_weight(q, m, k / piece * whole + k % piece,
                           weight_at(n, weights, i, m));
            }
}

static int allocate(struct qconv *q, const struct qconv_numbers *n) {
    const size_t all = (size_t)groups(q) * q->pitch * sizeof(int32_t);
    q->group_bytes =
        q->depthwise
            ? 0
            : panels_size(q->kernels, q->units, q->columns) * sizeof(int32_t);
    q->weight_bytes = q->depthwise ? (size_t)taps(q) * q->pitch * sizeof(float)
                                   : (size_t)groups(q) * q->group_bytes;
    q->weights = zeros(q->weight_bytes);
    q->bias = zeros(all);
    q->sums = zeros(all);
    q->scales = n->scales ? zeros(all) : NULL;
    return q->weights && q->bias && q->sums && (q->scales || !n->scales) ? 0
                                                                         : -1;
}

static void pack(struct qconv *q, const struct qconv_numbers *n,
                 const void *weights) {
    for (int m = 0; m < q->shape.channels_out; m++) {
        const size_t at =
            (size_t)(m / q->columns) * q->pitch + (size_t)(m % q->columns);
        if (n->bias)
            q->bias[at] = n->bias[m];
        if (n->scales)
            q->scales[at] = n->scales[m];
    }
    (q->depthwise ? pack_depthwise : pack_panels)(q, n, weights);
}

/* Rows lie in memory as the product reads them. */
static bool reads_directly(const struct qconv *q) {
    const struct conv_shape *s = &q->shape;
    return !q->gemm->words && q->x == NN_UINT8 && taps(q) == 1 &&
           s->stride[0] == 1 && s->stride[1] == 1 &&
           s->out_height == s->height && s->out_width == s->width &&
           q->depth % 4 == 0;
}

static bool copies_lines(const struct qconv *q) {
    const struct conv_shape *s = &q->shape;
    return !q->gemm->words && s->groups == 1 && taps(q) > 1 &&
           s->dilation[1] == 1 && s->out_width >= q->gemm->tile;
}

static void choose(struct qconv *q) {
    const int each = q->gemm->words ? 2 : 4;
    q->lines = !q->depthwise && copies_lines(q);
    q->pieces = q->lines ? q->shape.kernel[0] : 1;
    q->units =
        (taps(q) * q->depth / q->pieces + 3) / 4 * (4 / each) * q->pieces;
}

struct qconv *qconv_open(const struct conv_shape *shape,
                         const struct qconv_numbers *numbers,
                         const void *weights, int batch_max, struct err *err) {
    if (conv_check(shape, batch_max, err) < 0)
        return NULL;
    struct qconv *q = calloc(1, sizeof *q);
    if (!q)
        goto fail;
    q->shape = *shape;
    if (shape->out_pitch == 0)
        q->shape.out_pitch = shape->channels_out;
    q->batch_max = batch_max;
    q->x = numbers->x;
    q->y = numbers->y;
    q->depthwise = is_depthwise(shape);
    /* One row of bias and scales for all channels of a depthwise layer. */
    q->columns = q->depthwise ? shape->channels_out
                              : shape->channels_out / shape->groups;
    q->depth = shape->channels_in / shape->groups;
    q->kernels = kernels_for(isa_pick());
    q->gemm = byte_gemm_for(q->kernels->isa, fits_bytes(q, numbers, weights));
    choose(q);
    q->pitch = round_up((size_t)q->columns, LINE / sizeof(int32_t));
    if (q->depthwise)
        q->pitch = (size_t)q->columns;
    if (allocate(q, numbers) == 0) {
        pack(q, numbers, weights);
        return q;
    }
fail:
    err_set(err, "no memory for the weights of a convolution");
    qconv_close(q);
    return NULL;
}

void qconv_close(struct qconv *q) {
    if (!q)
        return;
    free(q->weights);
    free(q->bias);
    free(q->sums);
    free(q->scales);
    free(q);
}

const char *qconv_algorithm(const struct qconv *q) {
    return q->depthwise ? "depthwise" : q->gemm->name;
}

size_t qconv_memory(const struct qconv *q) {
    return q->weight_bytes + (size_t)groups(q) * q->pitch * 3 * sizeof(int32_t);
}

/* ---- as a product of matrices -------------------------------------------- */

static size_t row_bytes(const struct qconv *q) {
    const size_t bytes = (size_t)q->units * 4;
    /* Not a multiple of many lines, which would compete for one set. */
    return round_up(bytes, LINE) + (bytes % 1024 == 0 ? LINE : 0);
}

static int block_rows(const struct qconv *q) {
    const int tile = q->gemm->tile;
    const int rows = (int)(BLOCK_BYTES / row_bytes(q)) / tile * tile;
    return rows < 4 * tile ? 4 * tile : rows;
}

/* Copied lines: their bytes, and how many of them `count` outputs need. */
static size_t line_bytes(const struct qconv *q) {
    const struct conv_shape *s = &q->shape;
    const int read = (s->out_width - 1) * s->stride[1] + s->kernel[1];
    const int there = s->pad_left + s->width;
    return (size_t)(read > there ? read : there) * (size_t)s->channels_in;
}

static int lines_of(const struct qconv *q, int count) {
    const struct conv_shape *s = &q->shape;
    return (count - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
}

/* Lines of outputs that are computed from one copy. */
static int strip(const struct qconv *q) {
    int count = 1;
    while (count < q->shape.out_height &&
           (size_t)lines_of(q, count + 1) * line_bytes(q) <= LINES_BYTES)
        count++;
    return count;
}

static size_t gemm_scratch(const struct qconv *q) {
    const size_t bias = round_up(q->pitch * sizeof(int32_t), LINE);
    if (q->lines) /* the last unit may reach beyond the last line */
        return bias + (size_t)lines_of(q, strip(q)) * line_bytes(q) + LINE;
    return bias +
           (reads_directly(q) ? 0 : (size_t)block_rows(q) * row_bytes(q));
}

/* Bytes are multiplied with their zero point in them, which comes to the same
 * for every row: zero times the sum of a column. */
static const int32_t *start_of(const struct qconv *q, int group, int x_zero,
                               int32_t *start) {
    const int32_t *bias = q->bias + (size_t)group * q->pitch;
    const int32_t *sums = q->sums + (size_t)group * q->pitch;
    const uint32_t zero = (uint32_t)(q->x == NN_INT8 ? x_zero + 128 : x_zero);
    if (q->gemm->words)
        return bias;
    for (size_t i = 0; i < q->pitch; i++)
        start[i] = (int32_t)((uint32_t)bias[i] - zero * (uint32_t)sums[i]);
    return start;
}

/* `count` lines of an image from `first`, with what is beside and between them
 * of padding; int8 as byte_gemm wants it. */
static void copy_lines(const struct qconv *q, const uint8_t *image, int first,
                       int count, int x_zero, uint8_t *to) {
    const struct conv_shape *s = &q->shape;
    const size_t size = (size_t)s->width * (size_t)s->channels_in;
    const size_t before = (size_t)s->pad_left * (size_t)s->channels_in;
    const uint8_t flip = q->x == NN_INT8 ? 0x80 : 0;
    const size_t all = line_bytes(q);
    for (int i = first; i < first + count; i++, to += all) {
        const uint8_t *from = image + (ptrdiff_t)i * (ptrdiff_t)size;
        memset(to, x_zero ^ flip, all);
        if (i < 0 || i >= s->height)
            continue;
        for (size_t k = 0; k < size; k++)
            to[before + k] = from[k] ^ flip;
    }
}

static struct byte_gemm_call product(const struct qconv *q, int group,
                                     int x_zero, uint8_t *scratch) {
    return (struct byte_gemm_call){
        .units = q->units,
        .n = q->columns,
        .pieces = q->pieces,
        .b = (uint8_t *)q->weights + (size_t)group * q->group_bytes,
        .bias = start_of(q, group, x_zero, (int32_t *)scratch),
        .scales = q->scales ? q->scales + (size_t)group * q->pitch : NULL,
        .range = q->y,
        .ldc = q->shape.out_pitch};
}

static void run_lines(const struct qconv *q, int batch, const uint8_t *x,
                      int x_zero, uint8_t *y, uint8_t *scratch) {
    const struct conv_shape *s = &q->shape;
    const size_t in =
        (size_t)s->height * (size_t)s->width * (size_t)s->channels_in;
    const size_t out = (size_t)s->out_width * (size_t)s->out_pitch *
                       (q->scales ? 1 : sizeof(int32_t));
    const ptrdiff_t line = (ptrdiff_t)line_bytes(q);
    const int most = strip(q);
    uint8_t *lines = scratch + round_up(q->pitch * sizeof(int32_t), LINE);
    struct byte_gemm_call call = product(q, 0, x_zero, scratch);

    call.rows = s->out_width;
    call.lda = (ptrdiff_t)s->stride[1] * s->channels_in;
    call.step = s->dilation[0] * line;
    for (int n = 0; n < batch; n++, x += in)
        for (int first = 0, count; first < s->out_height; first += count) {
            const int left = s->out_height - first;
            count = left < most ? left : most;
            copy_lines(q, x, first * s->stride[0] - s->pad_top,
                       lines_of(q, count), x_zero, lines);
            for (int i = 0; i < count; i++, y += out) {
                call.a = lines + i * s->stride[0] * line;
                call.c = y;
                q->gemm->run(&call);
            }
        }
}

static void run_group(const struct qconv *q, int group, int batch,
                      const uint8_t *x, int x_zero, uint8_t *y,
                      uint8_t *scratch) {
    const struct conv_shape *s = &q->shape;
    const int all = batch * s->out_height * s->out_width;
    const int block = block_rows(q);
    const size_t size = q->scales ? 1 : sizeof(int32_t);
    uint8_t *rows = scratch + round_up(q->pitch * sizeof(int32_t), LINE);
    struct byte_rows_call gather = {.shape = s,
                                    .x = x,
                                    .is_signed = q->x == NN_INT8,
                                    .zero = x_zero,
                                    .channel = group * q->depth,
                                    .depth = q->depth,
                                    .rows = rows,
                                    .ld = (ptrdiff_t)row_bytes(q)};
    struct byte_gemm_call call = product(q, group, x_zero, scratch);

    call.lda = gather.ld;
    for (int row = 0; row < all; row += block) {
        gather.first = (size_t)row;
        gather.count = call.rows = all - row < block ? all - row : block;
        call.a = rows;
        if (reads_directly(q)) {
            call.lda = s->channels_in;
            call.a = x + (size_t)row * (size_t)s->channels_in + gather.channel;
        } else {
            q->gemm->rows(&gather);
        }
        call.c = y + ((size_t)row * (size_t)s->out_pitch +
                      (size_t)(group * q->columns)) *
                         size;
        q->gemm->run(&call);
    }
}

/* ---- depthwise ----------------------------------------------------------- */

/* Rows of outputs that are computed from one piece of the input. */
static int piece_rows(const struct qconv *q) {
    const struct conv_shape *s = &q->shape;
    const int row = s->width * s->channels_in * (int)sizeof(float);
    const int room =
        DEPTHWISE_BYTES / row - ((s->kernel[0] - 1) * s->dilation[0] + 1);
    const int rows = room / s->stride[0] + 1;
    return rows < 1 ? 1 : rows > s->out_height ? s->out_height : rows;
}

static int piece_height(const struct qconv *q) {
    const struct conv_shape *s = &q->shape;
    const int height = (piece_rows(q) - 1) * s->stride[0] +
                       (s->kernel[0] - 1) * s->dilation[0] + 1;
    return height < s->height ? height : s->height;
}

struct depthwise_room {
    float *zeros, *piece, *row;
};

static size_t depthwise_room(const struct qconv *q, uint8_t *scratch,
                             struct depthwise_room *room) {
    const struct conv_shape *s = &q->shape;
    const size_t pixel = round_up((size_t)s->channels_in * sizeof(float), LINE);
    const size_t piece = pixel * (size_t)(piece_height(q) * s->width);
    *room =
        (struct depthwise_room){(float *)scratch, (float *)(scratch + pixel),
                                (float *)(scratch + pixel + piece)};
    return pixel + piece + pixel * (size_t)s->out_width;
}

/* The sums of one row of outputs, scaled to bytes or as they are. */
static void finish_row(const struct qconv *q, const float *sums, uint8_t *y) {
    const size_t channels = (size_t)q->shape.channels_out;
    for (int i = 0; i < q->shape.out_width; i++, sums += channels) {
        const size_t at = (size_t)i * (size_t)q->shape.out_pitch;
        if (q->scales)
            q->kernels->requantise(sums, q->bias, q->scales, &q->y, y + at,
                                   channels);
        else
            for (size_t c = 0; c < channels; c++)
                ((int32_t *)y)[at + c] = (int32_t)sums[c] + q->bias[c];
    }
}

/* Rows first..last-1 of the outputs of one image. */
static void run_piece(const struct qconv *q, const uint8_t *x, int x_zero,
                      int first, int last, uint8_t *y,
                      const struct depthwise_room *room) {
    const struct conv_shape *s = &q->shape;
    const size_t row = (size_t)s->width * (size_t)s->channels_in;
    const size_t out = (size_t)s->out_width * (size_t)s->out_pitch *
                       (q->scales ? 1 : sizeof(int32_t));
    const struct byte_range range = byte_range(q->x, x_zero);
    const int above = first * s->stride[0] - s->pad_top;
    const int below = above + (last - 1 - first) * s->stride[0] +
                      (s->kernel[0] - 1) * s->dilation[0] + 1;
    const int top = above < 0 ? 0 : above > s->height ? s->height : above;
    const int bottom = below < top         ? top
                       : below > s->height ? s->height
                                           : below;
    struct conv_shape piece = *s;

    piece.height = bottom - top;
    piece.out_pitch = s->channels_out;
    q->kernels->dequantise(x + (size_t)top * row, &range, 1.0f, room->piece,
                           (size_t)piece.height * row);
    for (int i = first; i < last; i++) {
        piece.pad_top = top - (i * s->stride[0] - s->pad_top);
        const struct depthwise_call call = {.shape = &piece,
                                            .x = room->piece,
                                            .weights = q->weights,
                                            .zeros = room->zeros,
                                            .y = room->row,
                                            .low = -INFINITY,
                                            .high = INFINITY};
        q->kernels->depthwise(&call);
        finish_row(q, room->row, y + (size_t)i * out);
    }
}

static void run_depthwise(const struct qconv *q, int batch, const uint8_t *x,
                          int x_zero, uint8_t *y, uint8_t *scratch) {
    const struct conv_shape *s = &q->shape;
    const size_t in =
        (size_t)s->height * (size_t)s->width * (size_t)s->channels_in;
    const size_t out = (size_t)s->out_height * (size_t)s->out_width *
                       (size_t)s->out_pitch * (q->scales ? 1 : sizeof(int32_t));
    const int rows = piece_rows(q);
    struct depthwise_room room;

    depthwise_room(q, scratch, &room);
    memset(room.zeros, 0, (size_t)s->channels_in * sizeof(float));
    for (int n = 0; n < batch; n++)
        for (int first = 0; first < s->out_height; first += rows) {
            const int last =
                first + rows < s->out_height ? first + rows : s->out_height;
            run_piece(q, x + (size_t)n * in, x_zero, first, last,
                      y + (size_t)n * out, &room);
        }
}

size_t qconv_scratch(const struct qconv *q) {
    struct depthwise_room room;
    return q->depthwise ? depthwise_room(q, NULL, &room) : gemm_scratch(q);
}

void qconv_run(const struct qconv *q, int batch, const void *x, int x_zero,
               void *y, void *scratch) {
    if (q->depthwise) {
        run_depthwise(q, batch, x, x_zero, y, scratch);
        return;
    }
    if (q->lines) {
        run_lines(q, batch, x, x_zero, y, scratch);
        return;
    }
    for (int group = 0; group < groups(q); group++)
        run_group(q, group, batch, x, x_zero, y, scratch);
}
