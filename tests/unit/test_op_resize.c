/*
 * Resize where ONNX's own tests, of an early opset, say nothing or something
 * else. The expected numbers are those of ONNX Runtime 1.30; PyTorch's are the
 * same where it has the mode.
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
#define AXES(a, b)                                                             \
    {                                                                          \
        .name = "axes", .kind = ATTRIBUTE_INTS,                                \
        .ints = (const int64_t[]){a, b}, .count = 2                            \
    }
#define LINEAR WORD("mode", "linear")
#define CUBIC WORD("mode", "cubic")
#define FLOORED                                                                \
    WORD("coordinate_transformation_mode", "asymmetric"),                      \
        WORD("nearest_mode", "floor")

static const struct sample {
    const char *name;
    int opset, in_height, in_width;
    struct attribute attributes[4];
    float scales[4]; /* or: */
    int64_t sizes[2];
    int64_t height, width;
    float want[16];
} samples[] = {
    {"align_corners counts whole numbers",
     13,
     1,
     5,
     {LINEAR, WORD("coordinate_transformation_mode", "align_corners")},
     .scales = {1, 1, 1, 1.5f},
     .height = 1,
     .width = 7,
     .want = {-6, -0.666666567f, -0.666666985f, -6, -3.99999952f, -3.33333325f,
              -4}},
    {"nearest in float32",
     13,
     1,
     15,
     {FLOORED},
     .scales = {1, 1, 1, 0.6f},
     .height = 1,
     .width = 9,
     .want = {-6, 2, -3, 5, -1, 2, -6, -2, -2}},
    {"length in float32",
     13,
     1,
     10,
     {FLOORED},
     .scales = {1, 1, 1, 0.7f},
     .height = 1,
     .width = 7,
     .want = {-6, 2, -6, -4, 5, 2, 2}},
    {"linear against aliasing",
     18,
     1,
     10,
     {LINEAR, NUMBER("antialias", 1)},
     .scales = {1, 1, 1, 0.4f},
     .height = 1,
     .width = 4,
     .want = {-3, -2.72000027f, 1.03999984f, 1.07999992f}},
    {"cubic against aliasing",
     18,
     1,
     10,
     {CUBIC, NUMBER("antialias", 1)},
     .scales = {1, 1, 1, 0.4f},
     .height = 1,
     .width = 4,
     .want = {-3.05759883f, -2.88410068f, 1.58750057f, 1.07759941f}},
    {"cubic against aliasing, nothing outside",
     18,
     1,
     10,
     {CUBIC, NUMBER("antialias", 1), NUMBER("exclude_outside", 1)},
     .scales = {1, 1, 1, 0.4f},
     .height = 1,
     .width = 4,
     .want = {-2.84967828f, -2.94189858f, 1.55805337f, 1.1537466f}},
    {"linear antialias upsampling",
     18,
     1,
     4,
     {LINEAR, NUMBER("antialias", 1)},
     .scales = {1, 1, 1, 1.5f},
     .height = 1,
     .width = 6,
     .want = {-6, -2, 0.666666985f, -4.66666603f, -4.5f, -3}},
    {"half_pixel_symmetric",
     19,
     1,
     5,
     {LINEAR, WORD("coordinate_transformation_mode", "half_pixel_symmetric")},
     .scales = {1, 1, 1, 1.3f},
     .height = 1,
     .width = 6,
     .want = {-5.38461542f, 0.769230843f, -2.92307758f, -4.84615421f,
              -3.15384626f, -3.92307711f}},
    {"axes",
     18,
     2,
     5,
     {LINEAR, AXES(3, 2)},
     .scales = {0.6f, 2, 0, 0},
     .height = 4,
     .width = 3,
     .want = {-3.33333349f, -6, -3.66666651f, -1.75f, -4, -2.58333325f,
              1.41666663f, 0, -0.416666389f, 3.00000024f, 2, 0.666666985f}},
    {"axes sizes",
     18,
     2,
     5,
     {LINEAR, AXES(2, 3)},
     .sizes = {3, 4},
     .height = 3,
     .width = 4,
     .want = {-5, -1, -4.125f, -3.875f, -0.375f, -0.4375f, -1.0625f, -1.8125f,
              4.25f, 0.125f, 2, 0.25f}},
    {"not_larger",
     18,
     4,
     6,
     {LINEAR, AXES(2, 3), WORD("keep_aspect_ratio_policy", "not_larger")},
     .sizes = {3, 3},
     .height = 2,
     .width = 3,
     .want = {-0.75f, -1.75f, -1.75f, -0.5f, 1.25f, 0.75f}},
    {"not_smaller",
     18,
     4,
     6,
     {LINEAR, AXES(2, 3), WORD("keep_aspect_ratio_policy", "not_smaller")},
     .sizes = {3, 3},
     .height = 3,
     .width = 5,
     .want = {-3.97222209f, -1.33333325f, -2.86111116f, -2.97222352f,
              3.83333302f, -0.416666657f, 2, 0.250000358f, -2.25000024f, -1,
              -1.72222185f, 4.08333302f, -3.30555439f, 2.63888979f,
              -1.66666651f}},
};

static int count_attributes(const struct sample *s) {
    int count = 0;
    while (count < 4 && s->attributes[count].name)
        count++;
    return count;
}

static void check(const struct sample *s) {
    float in[24];
    for (int i = 0; i < 24; i++)
        in[i] = (float)((i * i * 5 + 3 * i + i / 3) % 13 - 6);
    struct tensor x = {.type = NN_FLOAT32,
                       .rank = 4,
                       .dims = {1, 1, s->in_height, s->in_width},
                       .data = in};
    const int numbers = s->scales[2] > 0 ? 4 : 2;
    struct tensor scales = {.type = NN_FLOAT32,
                            .rank = 1,
                            .dims = {numbers},
                            .data = (void *)s->scales};
    struct tensor sizes = {
        .type = NN_INT64, .rank = 1, .dims = {2}, .data = (void *)s->sizes};
    struct node node = {.attributes = (struct attribute *)s->attributes,
                        .attribute_count = count_attributes(s)};
    const bool sized = s->sizes[0] > 0;
    struct op_call call = {
        .inputs = {&x, NULL, sized ? NULL : &scales, sized ? &sizes : NULL},
        .input_count = sized ? 4 : 3};
    struct err err = {0};

    if (op_prepare(&call, "Resize", &node, s->opset, &err) < 0)
        fail_msg("%s: %s", s->name, err.text);
    assert_int_equal(call.outputs[0].dims[2], s->height);
    assert_int_equal(call.outputs[0].dims[3], s->width);
    assert_int_equal(op_perform(&call), 0);
    const float *got = call.outputs[0].data;
    for (int64_t i = 0; i < s->height * s->width; i++)
        if (!(fabsf(got[i] - s->want[i]) < 1e-5f))
            fail_msg("%s: %g instead of %g at %d", s->name, (double)got[i],
                     (double)s->want[i], (int)i);
    op_release(&call);
}

static void resize_is_that_of_onnx_runtime(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        check(&samples[i]);
}

static void resize_refuses_a_filter_without_end(void **state) {
    (void)state;
    struct tensor x = {
        .type = NN_FLOAT32, .rank = 4, .dims = {1, 1, 1, INT32_MAX}};
    float factors[] = {1, 1, 1, 1e-8f};
    struct tensor scales = {
        .type = NN_FLOAT32, .rank = 1, .dims = {4}, .data = factors};
    struct attribute attributes[] = {LINEAR, NUMBER("antialias", 1)};
    struct node node = {.attributes = attributes, .attribute_count = 2};
    struct op_call call = {.inputs = {&x, NULL, &scales}, .input_count = 3};
    struct err err = {0};
    assert_int_equal(op_prepare(&call, "Resize", &node, 18, &err), -1);
    assert_non_null(strstr(err.text, "out of range"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_is_that_of_onnx_runtime),
        cmocka_unit_test(resize_refuses_a_filter_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
