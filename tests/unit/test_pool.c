/* Pooling on every instruction set against the definition. */
#include "models/nn/pool.h"

#include "tests/unit/numbers.h"

#define TOLERANCE 1e-6 /* inputs in -1..1 */

static struct pool_shape random_shape(uint32_t *seed) {
    struct pool_shape s = {.channels = random_int(seed, 1, 80),
                           .height = random_int(seed, 1, 13),
                           .width = random_int(seed, 1, 13)};
    bool ceil_mode = random_bits(seed) % 2;
    for (int i = 0; i < 2; i++) {
        s.kernel[i] = random_int(seed, 1, 4);
        s.stride[i] = random_int(seed, 1, 3);
        s.dilation[i] = random_int(seed, 1, 2);
    }
    s.pad_top = random_int(seed, 0, s.kernel[0] - 1);
    s.pad_bottom = random_int(seed, 0, s.kernel[0] - 1);
    s.pad_left = random_int(seed, 0, s.kernel[1] - 1);
    s.pad_right = random_int(seed, 0, s.kernel[1] - 1);
    s.count_include_pad = random_bits(seed) % 2;
    s.out_height =
        pool_out_size(s.height, s.kernel[0], s.stride[0], s.dilation[0],
                      s.pad_top, s.pad_bottom, ceil_mode);
    s.out_width =
        pool_out_size(s.width, s.kernel[1], s.stride[1], s.dilation[1],
                      s.pad_left, s.pad_right, ceil_mode);
    return s;
}

struct expected {
    double most, sum;
    int inside, padded;
};

static struct expected definition(const struct pool_shape *s, const float *x,
                                  int n, int y, int column, int c) {
    struct expected e = {.most = -INFINITY};
    for (int i = 0; i < s->kernel[0]; i++)
        for (int j = 0; j < s->kernel[1]; j++) {
            int row = y * s->stride[0] - s->pad_top + i * s->dilation[0];
            int at = column * s->stride[1] - s->pad_left + j * s->dilation[1];
            if (row < s->height + s->pad_bottom && at < s->width + s->pad_right)
                e.padded++;
            if (row < 0 || row >= s->height || at < 0 || at >= s->width)
                continue;
            double v = (double)
                x[((n * s->height + row) * s->width + at) * s->channels + c];
            e.inside++;
            e.sum += v;
            e.most = v > e.most ? v : e.most;
        }
    return e;
}

static void check(const struct pool_shape *s, int batch, uint32_t *seed) {
    size_t outputs =
        (size_t)(batch * s->out_height * s->out_width * s->channels);
    float *x = random_floats(
        seed, (size_t)(batch * s->height * s->width * s->channels), 1);
    float *most = malloc(outputs * sizeof *most);
    float *mean = malloc(outputs * sizeof *mean);
    assert_non_null(most);
    assert_non_null(mean);
    pool_max(s, batch, x, most);
    pool_average(s, batch, x, mean);
    size_t at = 0;
    for (int n = 0; n < batch; n++)
        for (int i = 0; i < s->out_height; i++)
            for (int j = 0; j < s->out_width; j++)
                for (int c = 0; c < s->channels; c++, at++) {
                    struct expected e = definition(s, x, n, i, j, c);
                    int divisor = s->count_include_pad ? e.padded : e.inside;
                    assert_true((double)most[at] == e.most);
                    if (e.inside > 0)
                        assert_true(fabs((double)mean[at] - e.sum / divisor) <
                                    TOLERANCE);
                }
    free(mean);
    free(most);
    free(x);
}

/* Whole numbers, as floats and as bytes. */
static void check_bytes(const struct pool_shape *s, int batch, bool is_signed,
                        uint32_t *seed) {
    size_t inputs = (size_t)(batch * s->height * s->width * s->channels);
    size_t outputs =
        (size_t)(batch * s->out_height * s->out_width * s->channels);
    uint8_t *x = malloc(inputs), *y = malloc(outputs);
    float *floats = malloc(inputs * sizeof *floats);
    float *want = malloc(outputs * sizeof *want);
    assert_true(x && y && floats && want);
    for (size_t i = 0; i < inputs; i++) {
        x[i] = (uint8_t)random_bits(seed);
        floats[i] = is_signed ? (int8_t)x[i] : x[i];
    }
    pool_max(s, batch, floats, want);
    pool_max_bytes(s, batch, is_signed, x, y);
    for (size_t i = 0; i < outputs; i++) {
        float least = is_signed ? -128 : 0;
        float most = want[i] < least ? least : want[i];
        assert_true((is_signed ? (float)(int8_t)y[i] : (float)y[i]) == most);
    }
    free(want);
    free(floats);
    free(y);
    free(x);
}

static void random_shapes(void) {
    uint32_t seed = 11;
    for (int i = 0; i < 200;) {
        struct pool_shape s = random_shape(&seed);
        if (s.out_height < 1 || s.out_width < 1)
            continue;
        check(&s, random_int(&seed, 1, 3), &seed);
        check_bytes(&s, random_int(&seed, 1, 3), i % 2 == 1, &seed);
        i++;
    }
}

static void pool_windows_equal_the_definition(void **state) {
    (void)state;
    on_every_isa(random_shapes);
}

static void global(void) {
    enum { BATCH = 3, PIXELS = 49, CHANNELS = 75 };
    uint32_t seed = 2;
    float *x = random_floats(&seed, BATCH * PIXELS * CHANNELS, 1);
    float mean[BATCH * CHANNELS], most[BATCH * CHANNELS];
    pool_global_average(BATCH, PIXELS, CHANNELS, x, mean);
    pool_global_max(BATCH, PIXELS, CHANNELS, x, most);
    for (int n = 0; n < BATCH; n++)
        for (int c = 0; c < CHANNELS; c++) {
            double sum = 0, largest = -2;
            for (int p = 0; p < PIXELS; p++) {
                double v = (double)x[(n * PIXELS + p) * CHANNELS + c];
                sum += v;
                largest = v > largest ? v : largest;
            }
            assert_true(fabs((double)mean[n * CHANNELS + c] - sum / PIXELS) <
                        TOLERANCE);
            assert_true((double)most[n * CHANNELS + c] == largest);
        }
    free(x);
}

static void pool_global_equals_the_definition(void **state) {
    (void)state;
    on_every_isa(global);
}

static void nan_wins(void) {
    struct pool_shape s = {.channels = 1,
                           .height = 1,
                           .width = 3,
                           .kernel = {1, 3},
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .out_height = 1,
                           .out_width = 1};
    for (int at = 0; at < 3; at++) {
        float x[3] = {1, 2, 3}, y;
        x[at] = NAN;
        pool_max(&s, 1, x, &y);
        assert_true(isnan(y));
    }
}

static void pool_max_keeps_nan(void **state) {
    (void)state;
    on_every_isa(nan_wins);
}

/* Sizes as PyTorch gives them. */
static void pool_out_size_counts_windows(void **state) {
    (void)state;
    assert_int_equal(pool_out_size(112, 3, 2, 1, 1, 1, false), 56);
    assert_int_equal(pool_out_size(55, 3, 2, 1, 0, 0, true), 27);
    assert_int_equal(pool_out_size(6, 3, 2, 1, 0, 0, true), 3);
    assert_int_equal(pool_out_size(6, 3, 2, 1, 0, 0, false), 2);
    assert_int_equal(pool_out_size(3, 2, 2, 1, 1, 1, true), 2);
    assert_int_equal(pool_out_size(4, 2, 3, 1, 1, 1, true), 2);
    assert_int_equal(pool_out_size(7, 2, 1, 3, 0, 0, false), 4);
    assert_int_equal(pool_out_size(2, 3, 1, 1, 0, 0, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_windows_equal_the_definition),
        cmocka_unit_test(pool_global_equals_the_definition),
        cmocka_unit_test(pool_max_keeps_nan),
        cmocka_unit_test(pool_out_size_counts_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
