/* Rows that take any layout give the same numbers channels last as in the plain
 * one, for which tests/conformance vouches. */
#include "tests/unit/op_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N 2
#define C 4
#define H 6
#define W 5

/* A float32 tensor of those dims, with numbers that all differ. */
static struct tensor numbered(int64_t n, int64_t c, int64_t h, int64_t w) {
    struct tensor t;
    assert_int_equal(
        tensor_make(&t, NN_FLOAT32, 4, (int64_t[]){n, c, h, w}, NULL), 0);
    for (size_t i = 0; i < tensor_count(&t); i++)
        ((float *)t.data)[i] = (float)((i * 37 + 11) % 257) / 16;
    return t;
}

static void check_output(const struct tensor *plain, const struct tensor *got) {
    struct tensor want = *plain;
    if (got->layout == LAYOUT_CHANNELS_LAST)
        want = op_channels_last(plain);
    assert_memory_equal(got->data, want.data, tensor_bytes(&want));
    if (got->layout == LAYOUT_CHANNELS_LAST)
        tensor_free(&want);
}

/* Runs once plain; once with every input and output of rank 4 channels last;
 * once with the outputs alone. */
static void check_layouts(struct op_call *call, const char *op_type,
                          struct node *node) {
    assert_int_equal(op_prepare(call, op_type, node, 13, NULL), 0);
    assert_true(call->op->traits & (OP_ANY_LAYOUT | OP_ONE_LAYOUT));
    const int first = call->op->traits & OP_ONE_LAYOUT ? 1 : 0;
    for (int inputs_too = first; inputs_too < 2; inputs_too++) {
        struct op_call other = *call;
        struct tensor turned[8];
        assert_int_equal(op_perform(call), 0);
        for (int i = 0; i < call->input_count; i++) {
            turned[i] = *call->inputs[i];
            if (inputs_too && turned[i].rank == 4)
                turned[i] = op_channels_last(call->inputs[i]);
            other.inputs[i] = &turned[i];
        }
        for (int i = 0; i < call->output_count; i++)
            if (other.outputs[i].rank == 4)
                other.outputs[i].layout = LAYOUT_CHANNELS_LAST;
        assert_int_equal(op_perform(&other), 0);
        for (int i = 0; i < call->output_count; i++)
            check_output(&call->outputs[i], &other.outputs[i]);
        for (int i = 0; i < call->input_count; i++)
            if (turned[i].data != call->inputs[i]->data)
                tensor_free(&turned[i]);
        op_release(&other);
        op_release(call);
    }
}

static void layout_of_concat_and_split(void **state) {
    struct tensor a = numbered(N, C, H, W), b = numbered(N, 3, H, W);
    struct attribute axis = {.name = "axis", .kind = ATTRIBUTE_INT};
    struct node node = {.attributes = &axis, .attribute_count = 1};
    struct op_call concat = {.inputs = {&a, &b, &a}, .input_count = 3};
    struct op_call split = {
        .inputs = {&a}, .input_count = 1, .output_count = 2};
    (void)state;
    axis.i = 1;
    check_layouts(&concat, "Concat", &node);
    check_layouts(&split, "Split", &node);
    axis.i = 2;
    check_layouts(&split, "Split", &node);
    tensor_free(&a);
    tensor_free(&b);
}

static void layout_of_pad(void **state) {
    static const char *const modes[] = {"constant", "reflect", "edge"};
    int64_t pads[] = {0, 1, 2, 1, 0, 2, -1, 3};
    struct tensor x = numbered(N, C, H, W);
    struct tensor p = {NN_INT64, LAYOUT_PLAIN, 1, {8}, pads};
    struct attribute mode = {.name = "mode", .kind = ATTRIBUTE_STRING};
    struct node node = {.attributes = &mode, .attribute_count = 1};
    struct op_call call = {.inputs = {&x, &p}, .input_count = 2};
    (void)state;
    for (int i = 0; i < 3; i++) {
        mode.s = modes[i];
        check_layouts(&call, "Pad", &node);
    }
    tensor_free(&x);
}

static void layout_of_slice_expand_tile(void **state) {
    int64_t starts[] = {1, -1}, ends[] = {4, 0}, axes[] = {1, 2},
            steps[] = {2, -2}, shape[] = {N, C, H, W}, repeats[] = {1, 2, 1, 3};
    struct tensor x = numbered(N, C, H, W), thin = numbered(N, C, 1, 1);
    struct tensor s = {NN_INT64, LAYOUT_PLAIN, 1, {2}, starts},
                  e = {NN_INT64, LAYOUT_PLAIN, 1, {2}, ends},
                  a = {NN_INT64, LAYOUT_PLAIN, 1, {2}, axes},
                  p = {NN_INT64, LAYOUT_PLAIN, 1, {2}, steps},
                  to = {NN_INT64, LAYOUT_PLAIN, 1, {4}, shape},
                  times = {NN_INT64, LAYOUT_PLAIN, 1, {4}, repeats};
    struct node node = {0};
    struct op_call slice = {.inputs = {&x, &s, &e, &a, &p}, .input_count = 5};
    struct op_call expand = {.inputs = {&thin, &to}, .input_count = 2};
    struct op_call tile = {.inputs = {&x, &times}, .input_count = 2};
    (void)state;
    check_layouts(&slice, "Slice", &node);
    check_layouts(&expand, "Expand", &node);
    check_layouts(&tile, "Tile", &node);
    tensor_free(&x);
    tensor_free(&thin);
}

static void layout_of_depth_and_space(void **state) {
    struct tensor x = numbered(N, C, H, 4);
    struct attribute block = {
        .name = "blocksize", .kind = ATTRIBUTE_INT, .i = 2};
    struct node node = {.attributes = &block, .attribute_count = 1};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    (void)state;
    check_layouts(&call, "DepthToSpace", &node);
    check_layouts(&call, "SpaceToDepth", &node);
    tensor_free(&x);
}

static void layout_of_transpose(void **state) {
    int64_t order[] = {0, 2, 3, 1};
    struct tensor x = numbered(N, C, H, W);
    struct attribute perm = {
        .name = "perm", .kind = ATTRIBUTE_INTS, .ints = order, .count = 4};
    struct node node = {.attributes = &perm, .attribute_count = 1};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    (void)state;
    check_layouts(&call, "Transpose", &node);
    tensor_free(&x);
}

static void layout_of_resize(void **state) {
    float factors[] = {1, 1, 1.5f, 2};
    struct tensor x = numbered(N, C, H, W);
    struct tensor scales = {NN_FLOAT32, LAYOUT_PLAIN, 1, {4}, factors};
    struct attribute mode = {
        .name = "mode", .kind = ATTRIBUTE_STRING, .s = "linear"};
    struct node node = {.attributes = &mode, .attribute_count = 1};
    struct op_call call = {.inputs = {&x, NULL, &scales}, .input_count = 3};
    struct tensor none = {NN_FLOAT32, LAYOUT_PLAIN, 1, {0}, factors};
    (void)state;
    call.inputs[1] = &none;
    check_layouts(&call, "Resize", &node);
    tensor_free(&x);
}

static void layout_of_broadcasting(void **state) {
    struct tensor x = numbered(N, C, H, W), gate = numbered(N, C, 1, 1),
                  one = numbered(1, 1, 1, 1);
    bool bits[N * C * H * W] = {false, true, true};
    struct tensor condition = {NN_BOOL, LAYOUT_PLAIN, 4, {N, C, H, W}, bits};
    struct node node = {0};
    struct op_call mul = {.inputs = {&x, &gate}, .input_count = 2};
    struct op_call sum = {.inputs = {&x, &gate, &one}, .input_count = 3};
    struct op_call where = {.inputs = {&condition, &x, &gate},
                            .input_count = 3};
    (void)state;
    check_layouts(&mul, "Mul", &node);
    check_layouts(&sum, "Sum", &node);
    check_layouts(&where, "Where", &node);
    tensor_free(&x);
    tensor_free(&gate);
    tensor_free(&one);
}

static void layout_of_reductions(void **state) {
    int64_t over[] = {2, 3};
    struct tensor x = numbered(N, C, H, W);
    struct attribute attributes[] = {
        {.name = "axes", .kind = ATTRIBUTE_INTS, .ints = over, .count = 2},
        {.name = "keepdims", .kind = ATTRIBUTE_INT, .i = 1}};
    struct node node = {.attributes = attributes, .attribute_count = 2};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    (void)state;
    check_layouts(&call, "ReduceMax", &node);
    attributes[1].i = 0;
    check_layouts(&call, "ReduceMax", &node);
    over[0] = 1;
    check_layouts(&call, "ReduceMax", &node);
    tensor_free(&x);
}

static void layout_of_lrn(void **state) {
    struct tensor x = numbered(N, 300, 3, 2); /* more than a chunk */
    struct attribute attributes[] = {
        {.name = "size", .kind = ATTRIBUTE_INT},
        {.name = "beta", .kind = ATTRIBUTE_FLOAT, .f = 0.5f},
        {.name = "alpha", .kind = ATTRIBUTE_FLOAT, .f = 1}};
    struct node node = {.attributes = attributes, .attribute_count = 3};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    (void)state;
    for (attributes[0].i = 1; attributes[0].i < 8; attributes[0].i++)
        check_layouts(&call, "LRN", &node);
    attributes[0].i = 1000;
    check_layouts(&call, "LRN", &node);
    tensor_free(&x);
}

/* The output may lie over an input of the same shape. */
static void elementwise_runs_in_place(void **state) {
    struct tensor x = numbered(N, C, H, W), gate = numbered(N, C, 1, 1),
                  copy = numbered(N, C, H, W);
    struct node node = {0};
    struct op_call call = {.inputs = {&gate, &x, &x}, .input_count = 3};
    (void)state;
    assert_int_equal(op_prepare(&call, "Sum", &node, 13, NULL), 0);
    call.outputs[0].data = x.data;
    call.op->run(&call);
    for (size_t i = 0; i < tensor_count(&x); i++)
        assert_true(((float *)x.data)[i] == ((float *)gate.data)[i / (H * W)] +
                                                ((float *)copy.data)[i] +
                                                ((float *)copy.data)[i]);
    tensor_free(&x);
    tensor_free(&gate);
    tensor_free(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_of_concat_and_split),
        cmocka_unit_test(layout_of_pad),
        cmocka_unit_test(layout_of_slice_expand_tile),
        cmocka_unit_test(layout_of_depth_and_space),
        cmocka_unit_test(layout_of_transpose),
        cmocka_unit_test(layout_of_resize),
        cmocka_unit_test(layout_of_broadcasting),
        cmocka_unit_test(layout_of_reductions),
        cmocka_unit_test(layout_of_lrn),
        cmocka_unit_test(elementwise_runs_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
