/*
 * Convolutions of bytes against the definition in int64 and double, on every
 * instruction set: not a number may differ.
 */
#include "models/nn/qconv.h"
#include "tests/unit/numbers.h"

struct problem {
    struct conv_shape shape;
    struct qconv_numbers numbers;
    int batch, x_zero;
    uint8_t *x, *weights;
    int *w_zeros;
    int32_t *bias;
    float *scales;
    size_t pixels, pitch; /* of y */
};

static int byte_of(enum nn_type type, uint8_t byte) {
    return type == NN_INT8 ? (int8_t)byte : byte;
}

static uint8_t *random_bytes(uint32_t *seed, size_t count) {
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)random_bits(seed);
    return bytes;
}

static int64_t definition(const struct problem *p, int n, int y, int x, int m) {
    const struct conv_shape *s = &p->shape;
    const int depth = s->channels_in / s->groups;
    const int first = m / (s->channels_out / s->groups) * depth;
    int64_t sum = p->bias ? p->bias[m] : 0;
    for (int i = 0; i < s->kernel[0]; i++)
        for (int j = 0; j < s->kernel[1]; j++) {
            const int row = y * s->stride[0] - s->pad_top + i * s->dilation[0];
            const int column =
                x * s->stride[1] - s->pad_left + j * s->dilation[1];
            if (row < 0 || row >= s->height || column < 0 || column >= s->width)
                continue;
            const uint8_t *at =
                p->x +
                ((n * s->height + row) * s->width + column) * s->channels_in;
            for (int c = 0; c < depth; c++)
                sum +=
                    (byte_of(p->numbers.x, at[first + c]) - p->x_zero) *
                    (byte_of(p->numbers.w,
                             p->weights[((m * depth + c) * s->kernel[0] + i) *
                                            s->kernel[1] +
                                        j]) -
                     p->w_zeros[m]);
        }
    return sum;
}

/* The types, zero points and what else there is come from the seed. */
static void pose(struct problem *p, uint32_t *seed) {
    const struct conv_shape *s = &p->shape;
    const size_t m = (size_t)s->channels_out;
    const size_t window =
        (size_t)(s->channels_in / s->groups * s->kernel[0] * s->kernel[1]);
    const bool wide = random_int(seed, 0, 2) == 0;
    p->pixels = (size_t)p->batch * (size_t)(s->out_height * s->out_width);
    p->pitch = s->out_pitch ? (size_t)s->out_pitch : m;
    p->x = random_bytes(
        seed, (size_t)(p->batch * s->height * s->width * s->channels_in));
    p->weights = random_bytes(seed, window * m);
    p->w_zeros = calloc(m, sizeof *p->w_zeros);
    p->bias = random_int(seed, 0, 1) ? calloc(m, sizeof *p->bias) : NULL;
    p->scales = random_int(seed, 0, 3) ? calloc(m, sizeof *p->scales) : NULL;
    p->numbers =
        (struct qconv_numbers){.x = random_int(seed, 0, 1) ? NN_INT8 : NN_UINT8,
                               .w = random_int(seed, 0, 1) ? NN_INT8 : NN_UINT8,
                               .w_zeros = p->w_zeros,
                               .bias = p->bias,
                               .scales = p->scales};
    const enum nn_type y = random_int(seed, 0, 1) ? NN_INT8 : NN_UINT8;
    p->numbers.y = byte_range(y, byte_of(y, (uint8_t)random_bits(seed)));
    p->x_zero = byte_of(p->numbers.x, (uint8_t)random_bits(seed));
    for (size_t i = 0; i < m; i++) {
        /* 128 of uint8 leaves what fits int8; 3 does not. */
        p->w_zeros[i] = (p->numbers.w == NN_UINT8 ? 128 : 0) + (wide ? 3 : 0);
        if (p->bias)
            p->bias[i] = random_int(seed, -100000, 100000);
        if (p->scales)
            p->scales[i] =
                (float)random_int(seed, 1, 1000) / 1e6f / sqrtf((float)window);
    }
}

static void forget(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->w_zeros);
    free(p->bias);
    free(p->scales);
}

static int expected(const struct problem *p, int64_t sum, int m) {
    if (!p->scales)
        return (int)sum;
    return byte_of(p->numbers.y.type,
                   byte_put(&p->numbers.y, (float)sum * p->scales[m]));
}

static void compare(const struct problem *p, const struct qconv *q,
                    const void *y) {
    const struct conv_shape *s = &p->shape;
    const size_t places = (size_t)(s->out_height * s->out_width);
    for (size_t i = 0; i < p->pixels; i++)
        for (int m = 0; m < s->channels_out; m++) {
            const size_t at = i * p->pitch + (size_t)m;
            const int64_t sum = definition(p, (int)(i / places),
                                           (int)(i % places) / s->out_width,
                                           (int)(i % places) % s->out_width, m);
            const int got =
                p->scales ? byte_of(p->numbers.y.type, ((const uint8_t *)y)[at])
                          : ((const int32_t *)y)[at];
            if (got != expected(p, sum, m))
                fail_msg("%s on %s: %dx%d/%d of %d channels on %dx%d, groups "
                         "%d: pixel %zu, channel %d of %d is %d, not %d",
                         qconv_algorithm(q), isa_name(isa_pick()), s->kernel[0],
                         s->kernel[1], s->stride[0], s->channels_in, s->height,
                         s->width, s->groups, i, m, s->channels_out, got,
                         expected(p, sum, m));
        }
}

static void check(struct problem *p, uint32_t *seed) {
    struct err err = {0};
    pose(p, seed);
    struct qconv *q =
        qconv_open(&p->shape, &p->numbers, p->weights, p->batch + 1, &err);
    if (!q)
        fail_msg("%s", err.text);
    const size_t size = p->scales ? 1 : sizeof(int32_t);
    void *y = malloc(
        ((p->pixels - 1) * p->pitch + (size_t)p->shape.channels_out) * size);
    const size_t bytes = (qconv_scratch(q) + 63) / 64 * 64;
    void *scratch = bytes ? aligned_alloc(64, bytes) : NULL;
    assert_non_null(y);
    if (scratch)
        memset(scratch, 0xff, bytes); /* NaN, where it is read as floats */
    qconv_run(q, p->batch, p->x, p->x_zero, y, scratch);
    compare(p, q, y);
    free(scratch);
    free(y);
    qconv_close(q);
    forget(p);
}

static struct conv_shape random_shape(uint32_t *seed) {
    static const int groupings[] = {1, 1, 1, 2, 3};
    struct conv_shape s = {.groups = groupings[random_int(seed, 0, 4)]};
    s.channels_in = s.groups * random_int(seed, 1, 36);
    s.channels_out = s.groups * random_int(seed, 1, 70);
    if (random_int(seed, 0, 3) == 0)
        s.groups = s.channels_out = s.channels_in;
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = random_int(seed, 1, 4);
        s.stride[i] = random_int(seed, 1, 3);
        s.dilation[i] = random_int(seed, 1, 2);
    }
    if (random_int(seed, 0, 2) == 0)
        for (int i = 0; i < 2; i++)
            s.kernel[i] = s.stride[i] = s.dilation[i] = 1;
    s.height = random_int(seed, 1, 12);
    s.width = random_int(seed, 1, 12) * random_int(seed, 1, 4);
    if (s.kernel[0] > 1 && s.kernel[1] > 1) {
        s.pad_top = random_int(seed, 0, 3);
        s.pad_left = random_int(seed, 0, 3);
        s.pad_bottom = random_int(seed, 0, 3);
        s.pad_right = random_int(seed, 0, 3);
    }
    s.out_height = conv_out_size(s.height, s.kernel[0], s.stride[0],
                                 s.dilation[0], s.pad_top, s.pad_bottom);
    s.out_width = conv_out_size(s.width, s.kernel[1], s.stride[1],
                                s.dilation[1], s.pad_left, s.pad_right);
    return s;
}

static void random_shapes(void) {
    uint32_t seed = 11;
    for (int i = 0; i < 250;) {
        struct problem p = {.shape = random_shape(&seed),
                            .batch = random_int(&seed, 1, 3)};
        if (p.shape.out_height < 1 || p.shape.out_width < 1)
            continue;
        if (random_int(&seed, 0, 3) == 0)
            p.shape.out_pitch = p.shape.channels_out + random_int(&seed, 0, 9);
        check(&p, &seed);
        i++;
    }
}

static void qconv_equals_the_definition(void **state) {
    (void)state;
    on_every_isa(random_shapes);
}

/* A layer whose rows and whose pieces are several blocks. */
static void long_layers(void) {
    uint32_t seed = 5;
    for (int i = 0; i < 12; i++) {
        struct problem p = {.shape = {.channels_in = 40,
                                      .height = 60,
                                      .width = 50,
                                      .channels_out = 40,
                                      .kernel = {3, 3},
                                      .stride = {1 + i % 2, 1 + i % 2},
                                      .dilation = {1, 1},
                                      .pad_top = 1,
                                      .pad_left = 1,
                                      .pad_bottom = 1,
                                      .pad_right = 1,
                                      .groups = i % 3 ? 40 : 1},
                            .batch = 1};
        p.shape.out_height = conv_out_size(60, 3, 1 + i % 2, 1, 1, 1);
        p.shape.out_width = conv_out_size(50, 3, 1 + i % 2, 1, 1, 1);
        check(&p, &seed);
    }
}

static void qconv_of_several_blocks_equals_the_definition(void **state) {
    (void)state;
    on_every_isa(long_layers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qconv_equals_the_definition),
        cmocka_unit_test(qconv_of_several_blocks_equals_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
