/*
 * Every algorithm on every instruction set against the definition in double
 * precision. Inputs are in -1..1 and weights such that sums are about 1: then
 * rounding in float is below 1e-5, with the constants of F(4x4, 3x3) below
 * 5e-5.
 */
#include "models/nn/conv_algorithm.h"
#include "tests/unit/numbers.h"

#define TOLERANCE 1e-5
#define TOLERANCE_WINOGRAD 5e-5

struct problem {
    struct conv_shape shape;
    struct conv_post post;
    int batch;
    float *x, *weights, *bias, *residual;
    size_t pixels, pitch, floats; /* of y, from one pixel to the next, all */
    double *expected;             /* (pixels, channels_out) */
};

static struct conv_shape square(int c, int size, int m, int kernel, int stride,
                                int pad) {
    int out = conv_out_size(size, kernel, stride, 1, pad, pad);
    return (struct conv_shape){.channels_in = c,
                               .height = size,
                               .width = size,
                               .channels_out = m,
                               .kernel = {kernel, kernel},
                               .stride = {stride, stride},
                               .dilation = {1, 1},
                               .pad_top = pad,
                               .pad_left = pad,
                               .pad_bottom = pad,
                               .pad_right = pad,
                               .groups = 1,
                               .out_height = out,
                               .out_width = out};
}

static double definition(const struct problem *p, int n, int y, int x, int m) {
    const struct conv_shape *s = &p->shape;
    int depth = s->channels_in / s->groups;
    int first = m / (s->channels_out / s->groups) * depth;
    double sum = p->bias ? (double)p->bias[m] : 0;
    for (int i = 0; i < s->kernel[0]; i++)
        for (int j = 0; j < s->kernel[1]; j++) {
            int row = y * s->stride[0] - s->pad_top + i * s->dilation[0];
            int column = x * s->stride[1] - s->pad_left + j * s->dilation[1];
            if (row < 0 || row >= s->height || column < 0 || column >= s->width)
                continue;
            for (int c = 0; c < depth; c++)
                sum +=
                    (double)p->x[((n * s->height + row) * s->width + column) *
                                     s->channels_in +
                                 first + c] *
                    (double)p->weights[((m * depth + c) * s->kernel[0] + i) *
                                           s->kernel[1] +
                                       j];
        }
    return sum;
}

/* What lies between the channels of a pixel and the next pixel. */
#define FOREIGN 12345.0f

static void pose(struct problem *p, uint32_t *seed) {
    const struct conv_shape *s = &p->shape;
    size_t window =
        (size_t)(s->channels_in / s->groups * s->kernel[0] * s->kernel[1]);
    size_t m = (size_t)s->channels_out;
    p->pixels = (size_t)p->batch * (size_t)(s->out_height * s->out_width);
    p->pitch = s->out_pitch ? (size_t)s->out_pitch : m;
    p->floats = (p->pixels - 1) * p->pitch + m;
    p->x = random_floats(
        seed, (size_t)(p->batch * s->height * s->width * s->channels_in), 1);
    p->weights = random_floats(seed, window * m, 3 / sqrtf((float)window));
    p->bias = random_bits(seed) % 2 ? random_floats(seed, m, 1) : NULL;
    p->residual = p->post.residual ? random_floats(seed, p->floats, 1) : NULL;
    p->post.bias = p->bias;
    p->expected = malloc(p->pixels * m * sizeof(double));
    assert_non_null(p->expected);
    size_t at = 0;
    for (int n = 0; n < p->batch; n++)
        for (int y = 0; y < s->out_height; y++)
            for (int x = 0; x < s->out_width; x++)
                for (int k = 0; k < s->channels_out; k++, at++) {
                    double sum = definition(p, n, y, x, k);
                    if (p->residual)
                        sum += (double)p->residual[at / m * p->pitch + at % m];
                    p->expected[at] =
                        exact_activation(&p->post.activation, sum);
                }
}

static void forget(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->bias);
    free(p->residual);
    free(p->expected);
}

static void fail_at(const struct problem *p, const struct conv *conv,
                    size_t pixel, int channel, float y) {
    const struct conv_shape *s = &p->shape;
    fail_msg("%s on %s: %dx%d/%d of %d channels on %dx%d, groups %d: pixel "
             "%zu, channel %d of %d is %g, not %g",
             conv_algorithm(conv), isa_name(conv->kernels->isa), s->kernel[0],
             s->kernel[1], s->stride[0], s->channels_in, s->height, s->width,
             s->groups, pixel, channel, s->channels_out, (double)y,
             p->expected[pixel * (size_t)s->channels_out + (size_t)channel]);
}

static void compare(const struct problem *p, const struct conv *conv,
                    const float *y) {
    bool exact = strncmp(conv_algorithm(conv), "winograd", 8) != 0;
    double tolerance = exact ? TOLERANCE : TOLERANCE_WINOGRAD;
    int channels = p->shape.channels_out;
    for (size_t i = 0; i < p->floats; i++) {
        size_t pixel = i / p->pitch;
        int channel = (int)(i % p->pitch);
        if (channel >= channels)
            assert_true(y[i] == FOREIGN);
        else if (!(fabs((double)y[i] - p->expected[pixel * (size_t)channels +
                                                   (size_t)channel]) <
                   tolerance))
            fail_at(p, conv, pixel, channel, y[i]);
    }
}

/* The scratch is full of NaN: nothing may be taken from it that was not put
 * there. */
static float *dirty_scratch(const struct conv *conv) {
    size_t bytes = conv_scratch(conv);
    float *scratch = bytes ? aligned_alloc(64, bytes) : NULL;
    if (scratch)
        memset(scratch, 0xff, bytes);
    return scratch;
}

static void solve(const struct problem *p,
                  const struct conv_algorithm *algorithm, int batch_max) {
    struct err err = {0};
    struct conv *conv = conv_open_with(algorithm, &p->shape, &p->post,
                                       p->weights, batch_max, &err);
    assert_non_null(conv);
    float *y = malloc(p->floats * sizeof *y);
    float *scratch = dirty_scratch(conv);
    assert_non_null(y);
    for (size_t i = 0; i < p->floats; i++)
        y[i] = FOREIGN;
    conv_run(conv, p->batch, p->x, p->residual, y, scratch);
    compare(p, conv, y);
    if (p->residual) {
        for (size_t i = 0; i < p->floats; i++)
            if (i % p->pitch < (size_t)p->shape.channels_out)
                y[i] = p->residual[i];
        conv_run(conv, p->batch, p->x, y, y, scratch);
        compare(p, conv, y);
    }
    free(scratch);
    free(y);
    conv_close(conv);
}

/* By every algorithm that fits, and the one that is chosen. */
static void check(struct problem *p, uint32_t *seed) {
    pose(p, seed);
    struct conv probe = {.shape = p->shape};
    for (int i = 0; conv_algorithms[i]; i++)
        if (conv_algorithms[i]->fits(&probe))
            solve(p, conv_algorithms[i], p->batch);
    solve(p, NULL, p->batch + 2);
    forget(p);
}

static void layers(void) {
    static const struct {
        int c, size, m, kernel, stride, pad, groups;
    } table[] = {
        {3, 8, 24, 2, 1, 0, 1},    {3, 17, 32, 3, 2, 1, 1},
        {3, 20, 64, 7, 2, 3, 1},   {16, 8, 16, 3, 1, 1, 1},
        {24, 15, 64, 3, 1, 1, 1},  {64, 7, 40, 3, 1, 1, 1},
        {33, 5, 7, 3, 1, 1, 1},    {8, 1, 8, 3, 1, 1, 1},
        {20, 9, 50, 1, 1, 0, 1},   {512, 2, 100, 1, 1, 0, 1},
        {64, 1, 1000, 1, 1, 0, 1}, {16, 9, 33, 1, 2, 0, 1},
        {32, 7, 32, 3, 1, 1, 32},  {21, 9, 21, 3, 2, 1, 21},
        {48, 7, 48, 5, 1, 2, 48},  {40, 10, 40, 5, 2, 2, 40},
        {24, 6, 48, 3, 1, 1, 24},  {64, 6, 64, 3, 1, 1, 16},
        {60, 5, 30, 1, 1, 0, 3},   {5, 4, 3, 4, 1, 3, 1},
        {256, 7, 64, 3, 1, 1, 1},  {17, 23, 17, 7, 1, 3, 17},
        {48, 15, 48, 7, 1, 3, 48}, {40, 21, 40, 3, 1, 1, 40},
        {37, 29, 37, 5, 2, 2, 37}, {16, 12, 16, 7, 2, 3, 16},
    };
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct problem p = {.shape = square(table[i].c, table[i].size,
                                            table[i].m, table[i].kernel,
                                            table[i].stride, table[i].pad),
                            .post = {.residual = i % 2 == 0,
                                     .activation = {ACTIVATION_RELU, 0, 0}},
                            .batch = 2};
        p.shape.groups = table[i].groups;
        check(&p, &seed);
    }
}

static void conv_layers_equal_the_definition(void **state) {
    (void)state;
    on_every_isa(layers);
}

static struct conv_shape random_shape(uint32_t *seed) {
    struct conv_shape s = {.groups = 1};
    static const int groupings[] = {1, 1, 1, 2, 3, 4};
    s.groups = groupings[random_int(seed, 0, 5)];
    s.channels_in = s.groups * random_int(seed, 1, 20);
    s.channels_out = s.groups * random_int(seed, 1, 40);
    if (random_int(seed, 0, 3) == 0)
        s.groups = s.channels_out = s.channels_in;
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = random_int(seed, 1, 5);
        s.stride[i] = random_int(seed, 1, 3);
        s.dilation[i] = random_int(seed, 1, 2);
    }
    s.height = random_int(seed, 1, 14);
    s.width = random_int(seed, 1, 14);
    s.pad_top = random_int(seed, 0, 3);
    s.pad_left = random_int(seed, 0, 3);
    s.pad_bottom = random_int(seed, 0, 3);
    s.pad_right = random_int(seed, 0, 3);
    if (random_int(seed, 0, 2) == 0)
        for (int i = 0; i < 2; i++) {
            s.kernel[i] = 3;
            s.stride[i] = s.dilation[i] = 1;
        }
    s.out_height = conv_out_size(s.height, s.kernel[0], s.stride[0],
                                 s.dilation[0], s.pad_top, s.pad_bottom);
    s.out_width = conv_out_size(s.width, s.kernel[1], s.stride[1],
                                s.dilation[1], s.pad_left, s.pad_right);
    return s;
}

static void random_shapes(void) {
    uint32_t seed = 7;
    for (int i = 0; i < 150;) {
        struct problem p = {.shape = random_shape(&seed),
                            .batch = random_int(&seed, 1, 3)};
        if (p.shape.out_height < 1 || p.shape.out_width < 1)
            continue;
        p.post.residual = random_bits(&seed) % 2;
        if (random_bits(&seed) % 3 == 0)
            p.post.activation.kind = ACTIVATION_SILU;
        if (random_bits(&seed) % 3 == 0)
            p.shape.out_pitch = p.shape.channels_out + random_int(&seed, 0, 40);
        check(&p, &seed);
        i++;
    }
}

static void conv_random_shapes_equal_the_definition(void **state) {
    (void)state;
    on_every_isa(random_shapes);
}

static void activations(void) {
    uint32_t seed = 3;
    for (int kind = 0; kind < ACTIVATION_KINDS; kind++)
        for (int kernel = 1; kernel <= 3; kernel += 2)
            for (int groups = 1; groups <= 19; groups += 18) {
                struct problem p = {
                    .shape = square(19, 6, 19, kernel, 1, kernel / 2),
                    .post = {.residual = kind % 2,
                             .activation = {(enum activation_kind)kind, 0.25f,
                                            0.5f}},
                    .batch = 2};
                p.shape.groups = groups;
                check(&p, &seed);
            }
}

static void conv_applies_every_activation(void **state) {
    (void)state;
    on_every_isa(activations);
}

static void conv_nan_stays_nan(void **state) {
    (void)state;
    struct conv_shape shape = square(16, 8, 16, 1, 1, 0);
    struct conv_post post = {.activation = {ACTIVATION_RELU, 0, 0}};
    uint32_t seed = 5;
    float *x = random_floats(&seed, 16 * 64, 1), y[16 * 64];
    float *weights = random_floats(&seed, 16 * 16, 1);
    x[0] = NAN;
    struct conv *conv = conv_open(&shape, &post, weights, 1, NULL);
    assert_non_null(conv);
    conv_run(conv, 1, x, NULL, y, NULL);
    for (int i = 0; i < 16; i++)
        assert_true(isnan(y[i]));
    assert_false(isnan(y[16]));
    conv_close(conv);
    free(weights);
    free(x);
}

static void refuse(struct conv_shape shape, const char *word) {
    struct err err = {0};
    struct conv_post post = {0};
    float weights[1] = {0};
    assert_null(conv_open(&shape, &post, weights, 1, &err));
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say %s", err.text, word);
}

static void conv_refuses_shapes_that_contradict_themselves(void **state) {
    (void)state;
    struct conv_shape shape = square(6, 8, 6, 3, 1, 1);
    shape.groups = 4;
    refuse(shape, "4 groups");
    shape = square(6, 8, 6, 3, 1, 1);
    shape.out_width = 9;
    refuse(shape, "8x8");
    shape = square(6, 2, 6, 5, 1, 1);
    refuse(shape, "larger");
    shape = square(6, 8, 6, 3, 1, 1);
    shape.stride[1] = 0;
    refuse(shape, "stride");
    shape = square(6, 8, 6, 3, 1, 1);
    shape.out_pitch = 5;
    refuse(shape, "pixels of 5");
    shape = square(1 << 20, 64, 1, 1, 1, 0);
    refuse(shape, "too large");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_layers_equal_the_definition),
        cmocka_unit_test(conv_random_shapes_equal_the_definition),
        cmocka_unit_test(conv_applies_every_activation),
        cmocka_unit_test(conv_nan_stays_nan),
        cmocka_unit_test(conv_refuses_shapes_that_contradict_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
