/* Convolution: against the sum written out, and gradients by differences. */
#include "models/train/winograd.h"
#include "tests/unit/train_gradients.h"

/* The definition, in double precision. Weights (KH, KW, C, K). */
static double convolve_at(const struct gradient_check *c, int image, int row,
                          int column, int channel) {
    const struct layer *l = c->l;
    int size = l->spec.kernel, in = l->in.channels, out = l->out.channels;
    const struct param *bias = layer_param(c->l, "bias");
    double sum = bias ? (double)bias->value[channel] : 0;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int y = row * l->spec.stride - l->spec.padding + i;
            int x = column * l->spec.stride - l->spec.padding + j;
            if (y < 0 || y >= l->in.height || x < 0 || x >= l->in.width)
                continue;
            const float *pixel =
                c->x + ((image * l->in.height + y) * l->in.width + x) * in;
            const float *tap =
                l->params[0].value + ((i * size + j) * in) * out + channel;
            for (int k = 0; k < in; k++)
                sum += (double)pixel[k] * (double)tap[k * out];
        }
    return sum;
}

/* `tolerance` is relative to the largest number. */
static void compare_with_definition(const struct layer_spec *spec,
                                    struct shape input, int images,
                                    float tolerance) {
    struct gradient_check c;
    check_open(&c, spec, input, images);
    for (int p = 0; p < c.l->params_count; p++)
        check_fill(c.l->params[p].value, c.l->params[p].count, 9);
    check_forward(&c);
    struct shape out = c.l->out;
    float largest = 0;
    for (size_t i = 0; i < (size_t)images * shape_size(out); i++)
        largest = fmaxf(largest, fabsf(c.y[i]));
    size_t at = 0;
    for (int n = 0; n < images; n++)
        for (int y = 0; y < out.height; y++)
            for (int x = 0; x < out.width; x++)
                for (int k = 0; k < out.channels; k++, at++)
                    assert_float_equal((float)convolve_at(&c, n, y, x, k),
                                       c.y[at], tolerance * largest);
    check_close(&c);
}

/* 3x3, stride 1, sixteen channels or more: goes by Winograd. Sizes that leave
 * part tiles, channels that leave part vectors, more images than slices. */
static const struct layer_spec winograd = {
    .kind = &layer_conv, .channels = 21, .kernel = 3, .padding = 1};
static const struct shape winograd_input_shape = {7, 5, 18};

static void train_conv_winograd_equals_the_definition(void **state) {
    (void)state;
    /* A tile of 8, of 7, of 6, of 5, of 4, and several. */
    compare_with_definition(&winograd, (struct shape){8, 12, 33}, 1, 1e-4f);
    compare_with_definition(&winograd, winograd_input_shape, 19, 1e-4f);
    compare_with_definition(&winograd, (struct shape){5, 6, 17}, 2, 3e-5f);
    compare_with_definition(&winograd, (struct shape){5, 5, 16}, 3, 2e-5f);
    compare_with_definition(&winograd, (struct shape){3, 3, 16}, 2, 1e-5f);
    compare_with_definition(&winograd, (struct shape){15, 31, 16}, 1, 1e-4f);
}

static int tile_for(int height, int width) {
    struct winograd g;
    winograd_shape(&g, height, width);
    return g.tile;
}

static void train_conv_winograd_takes_the_tile_of_fewest_points(void **state) {
    (void)state;
    assert_int_equal(tile_for(3, 3), 4);
    assert_int_equal(tile_for(7, 7), 7);
    assert_int_equal(tile_for(11, 11), 6);
    assert_int_equal(tile_for(15, 15), 8);
    assert_int_equal(tile_for(31, 31), 8);
}

static void train_conv_winograd_gradients(void **state) {
    (void)state;
    check_gradients(&winograd, winograd_input_shape, 3);
    /* So many tiles that gradients are summed by slice. */
    check_gradients(&winograd, (struct shape){24, 24, 18}, 6);
}

static void train_conv_unfolded_equals_the_definition(void **state) {
    (void)state;
    struct layer_spec plain = {
        .kind = &layer_conv, .channels = 5, .kernel = 2, .bias = true};
    struct layer_spec strided = {.kind = &layer_conv,
                                 .channels = 4,
                                 .kernel = 3,
                                 .stride = 2,
                                 .padding = 1};
    compare_with_definition(&plain, (struct shape){6, 5, 3}, 18, 1e-5f);
    compare_with_definition(&strided, (struct shape){7, 6, 3}, 2, 1e-5f);
}

static void train_conv_unfolded_gradients(void **state) {
    (void)state;
    struct layer_spec plain = {
        .kind = &layer_conv, .channels = 5, .kernel = 2, .bias = true};
    struct layer_spec strided = {.kind = &layer_conv,
                                 .channels = 4,
                                 .kernel = 3,
                                 .stride = 2,
                                 .padding = 1,
                                 .bias = true};
    check_gradients(&plain, (struct shape){6, 5, 3}, 18);
    check_gradients(&strided, (struct shape){7, 6, 3}, 2);
}

/* Adds the gradient of the weights over all images, or over each half. */
static void run_halves(struct gradient_check *c, int halves, float *y,
                       float *dx, float *dw) {
    struct param *weight = &c->l->params[0];
    size_t in = shape_size(c->l->in), out = shape_size(c->l->out);
    struct gradient_check part = *c;
    part.images = c->images / halves;
    for (int h = 0; h < halves; h++) {
        size_t first = (size_t)(h * part.images);
        part.x = c->x + first * in;
        part.r = c->r + first * out;
        part.y = y + first * out;
        part.dx = dx + first * in;
        check_forward(&part);
        check_backward(&part);
        for (size_t i = 0; i < weight->count; i++)
            dw[i] += weight->grad[i];
    }
}

/* A slice of five images takes more than one product; the halves' do not. */
static void check_parts(const struct layer_spec *spec, struct shape input) {
    struct gradient_check c;
    check_open(&c, spec, input, 80);
    size_t in = 80 * shape_size(c.l->in), out = 80 * shape_size(c.l->out);
    size_t weights = c.l->params[0].count, size = in + out + weights;
    float *whole = calloc(size, sizeof *whole);
    float *halves = calloc(size, sizeof *halves);
    assert_true(whole && halves);
    run_halves(&c, 1, whole, whole + out, whole + out + in);
    run_halves(&c, 2, halves, halves + out, halves + out + in);
    /* Sums of numbers that cancel: rounding goes by the largest of them. */
    float largest = 0;
    for (size_t i = 0; i < size; i++)
        largest = fmaxf(largest, fabsf(halves[i]));
    for (size_t i = 0; i < size; i++)
        assert_float_equal(whole[i], halves[i], 1e-4f * largest);
    free(whole);
    free(halves);
    check_close(&c);
}

static void train_conv_does_large_slices_in_parts(void **state) {
    (void)state;
    const struct layer_spec unfolded = {
        .kind = &layer_conv, .channels = 4, .kernel = 2};
    check_parts(&winograd, (struct shape){24, 24, 18});
    check_parts(&unfolded, (struct shape){20, 20, 3});
}

static void train_conv_starts_as_the_identity(void **state) {
    (void)state;
    struct gradient_check c;
    check_open(&c, &winograd, winograd_input_shape, 2);
    check_forward(&c);
    size_t pixels = (size_t)(2 * c.l->in.height * c.l->in.width);
    for (size_t p = 0; p < pixels; p++)
        for (int k = 0; k < c.l->in.channels; k++)
            assert_float_equal(c.x[p * 18 + (size_t)k], c.y[p * 21 + (size_t)k],
                               1e-5f);
    check_close(&c);
}

static void train_conv_refuses_a_kernel_larger_than_its_input(void **state) {
    (void)state;
    struct err err = {0};
    struct layer_spec spec = {.kind = &layer_conv, .channels = 4, .kernel = 5};
    struct team *team = team_open(1, &err);
    assert_null(network_open(&spec, 1, (struct shape){4, 4, 3}, 2, team, &err));
    assert_non_null(strstr(err.text, "5x5"));
    team_close(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_conv_winograd_equals_the_definition),
        cmocka_unit_test(train_conv_winograd_takes_the_tile_of_fewest_points),
        cmocka_unit_test(train_conv_winograd_gradients),
        cmocka_unit_test(train_conv_unfolded_equals_the_definition),
        cmocka_unit_test(train_conv_unfolded_gradients),
        cmocka_unit_test(train_conv_does_large_slices_in_parts),
        cmocka_unit_test(train_conv_starts_as_the_identity),
        cmocka_unit_test(train_conv_refuses_a_kernel_larger_than_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
