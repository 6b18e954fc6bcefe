/*
 * Operators of opset 18 and later, which ONNX's own tests (of an earlier
 * release) do not have. The expected numbers are those of ONNX Runtime 1.30.
 */
#include "tests/unit/op_runner.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORD(title, word)                                                      \
    { .name = title, .kind = ATTRIBUTE_STRING, .s = word }
#define NUMBER(title, n)                                                       \
    { .name = title, .kind = ATTRIBUTE_INT, .i = n }
#define FLOAT(title, n)                                                        \
    { .name = title, .kind = ATTRIBUTE_FLOAT, .f = n }
#define INTS(title, ...)                                                       \
    {                                                                          \
        .name = title, .kind = ATTRIBUTE_INTS,                                 \
        .ints = (const int64_t[]){__VA_ARGS__},                                \
        .count = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)            \
    }
#define DIMS(...)                                                              \
    (int64_t[]) {                                                              \
        __VA_ARGS__                                                            \
    }

static float numbers[48];

static struct tensor floats(int rank, const int64_t *dims, const float *data) {
    struct tensor t = {.type = NN_FLOAT32, .rank = rank, .data = (void *)data};
    for (int i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    for (int i = 0; i < 48; i++)
        numbers[i] = (float)((i * i * 5 + 3 * i + i / 3) % 13 - 6);
    return t;
}

static struct tensor ints(int count, const int64_t *data) {
    return (struct tensor){
        .type = NN_INT64, .rank = 1, .dims = {count}, .data = (void *)data};
}

static void check(struct op_call *call, const char *op_type, int opset,
                  struct attribute *attributes, int count, const float *want,
                  size_t size) {
    struct node node = {.attributes = attributes, .attribute_count = count};
    struct err err = {0};
    if (op_prepare(call, op_type, &node, opset, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(tensor_bytes(&call->outputs[0]), size);
    assert_int_equal(op_perform(call), 0);
    const float *got = call->outputs[0].data;
    for (size_t i = 0; i < size / sizeof *want; i++)
        if (!(fabsf(got[i] - want[i]) < 1e-5f))
            fail_msg("%s: %g instead of %g at %zu", op_type, (double)got[i],
                     (double)want[i], i);
    op_release(call);
}
#define CHECK(call, op_type, opset, attributes, want)                          \
    check(call, op_type, opset, attributes,                                    \
          (int)(sizeof attributes / sizeof *attributes), want, sizeof want)

static void later_averagepool_is_dilated(void **state) {
    (void)state;
    struct tensor x = floats(4, DIMS(1, 1, 6, 8), numbers);
    struct attribute a[] = {INTS("kernel_shape", 2, 2), INTS("dilations", 2, 3),
                            INTS("strides", 2, 2), INTS("pads", 1, 1, 1, 1),
                            NUMBER("count_include_pad", 0)};
    const float inside[] = {-6,    0,    2,     -2,   -2,    1.75f,
                            1.75f, 1.5f, -0.5f, 1.5f, 0.25f, 2};
    const float whole[] = {-1.5f, 0,     1,      -0.5f, -1,    1.75f,
                           1.75f, 0.75f, -0.25f, 1.5f,  0.25f, 1};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    CHECK(&call, "AveragePool", 19, a, inside);
    a[4].i = 1;
    CHECK(&call, "AveragePool", 19, a, whole);
}

static void later_lppool_is_dilated(void **state) {
    (void)state;
    struct tensor x = floats(4, DIMS(1, 1, 6, 8), numbers);
    struct attribute a[] = {INTS("kernel_shape", 2, 2), INTS("dilations", 2, 3),
                            INTS("strides", 2, 2)};
    const float want[] = {7.41619825f, 10.2956305f, 7.74596691f,
                          8.42614937f, 9.21954441f, 9.21954441f};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    CHECK(&call, "LpPool", 18, a, want);
}

static void later_pad_wraps_around(void **state) {
    (void)state;
    struct tensor x = floats(4, DIMS(1, 1, 2, 3), numbers);
    struct tensor wide = ints(8, DIMS(0, 0, 1, 2, 0, 0, 0, 4));
    struct tensor cut = ints(8, DIMS(0, 0, 0, -1, 0, 0, 0, 3));
    struct attribute a[] = {WORD("mode", "wrap")};
    const float want[] = {-4, 5, -3, -4, 5,  -3, -4, 5,  -3, 2,  -6, -6, 2, -6,
                          -6, 2, -6, -6, -4, 5,  -3, -4, 5,  -3, -4, 5,  -3};
    const float behind_cut[] = {2, -6, 2, -6, 2, -4, 5, -4, 5, -4};
    struct op_call call = {.inputs = {&x, &wide}, .input_count = 2};
    CHECK(&call, "Pad", 19, a, want);
    call.inputs[1] = &cut;
    CHECK(&call, "Pad", 19, a, behind_cut);
}

/* 2 groups of 4 channels. */
static void later_groups_are_normalised(void **state) {
    (void)state;
    struct tensor x = floats(3, DIMS(2, 4, 3), numbers);
    const float scales[] = {1.5f, -2, 0.5f, 3}, shifts[] = {.5f, .25f, 1, -1};
    struct attribute a[] = {NUMBER("num_groups", 2), FLOAT("epsilon", 0.5f)};
    const float by_group[] = {
        -0.934274316f, 1.93427432f,  -0.934274316f, 0.141431421f, -0.217137158f,
        3.0099802f,    0.368056297f, -1.75695658f,  -1.75695658f, -0.340281367f,
        3.90974426f,   1.07639396f,  0.123526484f,  -1.00589406f, 3.51178813f,
        -0.441183746f, 0.688236713f, 0.123526484f,  1.79074228f,  -0.982593894f,
        -2.36926198f,  3.1774106f,   -1.44481659f,  1.32851958f};
    const float by_channel[] = {
        -0.934274316f, 1.93427432f,   -0.934274316f, 0.728091478f,
        1.20618296f,   -3.09664011f,  0.970485926f,  1.50173914f,
        1.50173914f,   -0.114577949f, -6.48961639f,  -2.23959088f,
        0.123526484f,  -1.00589406f,  3.51178813f,   1.50491166f,
        -0.000982314f, 0.751964688f,  0.614814401f,  1.3081485f,
        1.65481544f,   -5.39111614f,  1.54222488f,   -2.61777925f};
    struct tensor s = floats(1, DIMS(2), scales),
                  b = floats(1, DIMS(2), shifts);
    struct op_call call = {.inputs = {&x, &s, &b}, .input_count = 3};
    CHECK(&call, "GroupNormalization", 18, a, by_group);
    s.dims[0] = b.dims[0] = 4;
    CHECK(&call, "GroupNormalization", 21, a, by_channel);
}

static void later_upsample_7_has_scales_as_attribute(void **state) {
    (void)state;
    struct tensor x = floats(4, DIMS(1, 1, 2, 3), numbers);
    struct attribute a[] = {WORD("mode", "linear"),
                            {.name = "scales",
                             .kind = ATTRIBUTE_FLOATS,
                             .floats = (const float[]){1, 1, 2, 1.5f},
                             .count = 4}};
    const float want[] = {-6,    -0.666666508f, -0.666666985f, -6,
                          -4.5f, -2.16666651f,  -0.833333313f, -0.5f,
                          -3,    -3.66666651f,  -0.999999583f, 5,
                          -3,    -3.66666651f,  -0.999999583f, 5};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    CHECK(&call, "Upsample", 7, a, want);
}

/* x / (1 + exp(-x)) */
static void later_swish_is_silu(void **state) {
    (void)state;
    struct tensor x = floats(1, DIMS(3), (const float[]){-2, 0.5f, 3});
    struct attribute a[] = {FLOAT("alpha", 1)};
    struct node node = {.attributes = a, .attribute_count = 1};
    const float want[] = {-0.238405844f, 0.311229666f, 2.85772238f};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    CHECK(&call, "Swish", 24, a, want);
    a[0].f = 2;
    assert_int_equal(op_prepare(&call, "Swish", &node, 24, NULL), -1);
}

static void later_defaults_may_be_written_out(void **state) {
    (void)state;
    struct tensor x = floats(2, DIMS(3, 4), numbers);
    struct tensor scale = floats(0, NULL, &(float){0.5f});
    struct attribute a[] = {NUMBER("axis", 1), NUMBER("saturate", 1),
                            NUMBER("block_size", 0), NUMBER("output_dtype", 0)};
    struct node node = {.attributes = a, .attribute_count = 4};
    struct op_call call = {.inputs = {&x, &scale}, .input_count = 2};
    struct err err = {0};
    assert_int_equal(op_prepare(&call, "QuantizeLinear", &node, 21, NULL), 0);
    assert_int_equal(call.outputs[0].type, NN_UINT8);
    a[2].i = 16;
    assert_int_equal(op_prepare(&call, "QuantizeLinear", &node, 21, &err), -1);
    assert_non_null(strstr(err.text, "blocks"));
    a[2].i = 0;
    a[3].i = NN_INT8; /* uint8 where there is no zero point */
    assert_int_equal(op_prepare(&call, "QuantizeLinear", &node, 21, &err), -1);
    assert_non_null(strstr(err.text, "output_dtype"));

    struct attribute cast[] = {NUMBER("to", NN_INT64), NUMBER("saturate", 1)};
    node = (struct node){.attributes = cast, .attribute_count = 2};
    call.input_count = 1;
    assert_int_equal(op_prepare(&call, "Cast", &node, 19, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_averagepool_is_dilated),
        cmocka_unit_test(later_lppool_is_dilated),
        cmocka_unit_test(later_pad_wraps_around),
        cmocka_unit_test(later_groups_are_normalised),
        cmocka_unit_test(later_upsample_7_has_scales_as_attribute),
        cmocka_unit_test(later_swish_is_silu),
        cmocka_unit_test(later_defaults_may_be_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
