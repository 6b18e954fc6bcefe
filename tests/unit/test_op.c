/* How operators are found, checked and refused. That they compute what ONNX
 * says is for tests/conformance. */
#include "tests/unit/op_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void op_find_takes_the_row_of_the_opset(void **state) {
    (void)state;
    assert_int_equal(op_find("Squeeze", 12, NULL)->since, 1);
    assert_int_equal(op_find("Squeeze", 13, NULL)->since, 13);
    assert_int_equal(op_find("Squeeze", 17, NULL)->since, 13);
    assert_int_equal(op_find("BatchNormalization", 13, NULL)->since, 9);
    assert_int_equal(op_find("BatchNormalization", 15, NULL)->since, 14);
    assert_int_equal(op_find("Pad", 10, NULL)->since, 2);
    assert_int_equal(op_find("Pad", 11, NULL)->since, 11);
}

static void op_find_names_what_is_not_there(void **state) {
    struct err err = {0};
    (void)state;
    assert_null(op_find("LSTM", 13, &err));
    assert_non_null(strstr(err.text, "LSTM"));
    assert_non_null(strstr(err.text, "onnxsim"));
    assert_null(op_find("HardSwish", 13, &err));
    assert_non_null(strstr(err.text, "HardSwish"));
    assert_non_null(strstr(err.text, "opset 14 or later"));
}

static void op_check_refuses_other_attributes(void **state) {
    struct attribute attribute = {.name = "beta", .kind = ATTRIBUTE_FLOAT};
    struct node node = {.attributes = &attribute, .attribute_count = 1};
    struct tensor x = {.type = NN_FLOAT32};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    struct err err = {0};
    (void)state;
    assert_int_equal(op_prepare(&call, "LeakyRelu", &node, 13, &err), -1);
    assert_non_null(strstr(err.text, "beta"));
    attribute = (struct attribute){.name = "alpha", .kind = ATTRIBUTE_INT};
    assert_int_equal(op_prepare(&call, "LeakyRelu", &node, 13, &err), -1);
    assert_non_null(strstr(err.text, "alpha"));
    attribute.kind = ATTRIBUTE_FLOAT;
    assert_int_equal(op_prepare(&call, "LeakyRelu", &node, 13, &err), 0);
}

static void op_check_counts_inputs_and_outputs(void **state) {
    struct node node = {0};
    struct tensor x = {.type = NN_FLOAT32};
    struct op_call call = {.inputs = {&x}, .input_count = 1};
    (void)state;
    assert_int_equal(op_prepare(&call, "Add", &node, 13, NULL), -1);
    assert_int_equal(op_prepare(&call, "Relu", &node, 13, NULL), 0);
    call.output_count = 2;
    assert_int_equal(op_prepare(&call, "Relu", &node, 13, NULL), -1);
}

static void op_broadcast_follows_numpy(void **state) {
    struct tensor a = {.rank = 3, .dims = {5, 1, 4}};
    struct tensor b = {.rank = 2, .dims = {3, 1}};
    int64_t dims[NN_MAX_RANK];
    int rank;
    (void)state;
    assert_int_equal(op_broadcast(&a, &b, &rank, dims, NULL), 0);
    assert_int_equal(rank, 3);
    assert_int_equal(dims[0], 5);
    assert_int_equal(dims[1], 3);
    assert_int_equal(dims[2], 4);
    b.dims[1] = 3;
    assert_int_equal(op_broadcast(&a, &b, &rank, dims, NULL), -1);
}

static void op_axes_counts_from_both_ends(void **state) {
    int axis;
    (void)state;
    assert_int_equal(op_axis(-1, 4, &axis, NULL), 0);
    assert_int_equal(axis, 3);
    assert_int_equal(op_axis(4, 4, &axis, NULL), -1);
    assert_int_equal(op_axis(-5, 4, &axis, NULL), -1);
    assert_int_equal(op_axis(INT64_MIN, 4, &axis, NULL), -1);
}

static void op_refuses_shapes_it_does_not_know(void **state) {
    struct node node = {0};
    struct tensor x = {.type = NN_FLOAT32, .rank = 2, .dims = {2, 3}};
    struct tensor shape = {.type = NN_INT64, .rank = 1, .dims = {1}};
    struct op_call call = {.inputs = {&x, &shape}, .input_count = 2};
    struct err err = {0};
    (void)state;
    assert_int_equal(op_prepare(&call, "Reshape", &node, 13, &err), -1);
    assert_non_null(strstr(err.text, "Reshape"));
    assert_non_null(strstr(err.text, "constant"));
}

/* What a hostile file may ask for: each is refused by infer(), since run() has
 * no way to. */
static int refused(const char *op_type, int64_t opset, struct tensor *x,
                   const int64_t *numbers, int count) {
    struct node node = {0};
    struct tensor second = {
        .type = NN_INT64, .rank = 1, .dims = {count}, .data = (void *)numbers};
    struct op_call call = {.inputs = {x, &second}, .input_count = 2};
    return op_prepare(&call, op_type, &node, opset, NULL) < 0;
}

static void op_refuses_hostile_numbers(void **state) {
    struct tensor x = {.type = NN_FLOAT32, .rank = 2, .dims = {2, 3}};
    (void)state;
    assert_true(refused("Reshape", 13, &x, (int64_t[]){-1, -1}, 2));
    assert_true(refused("Reshape", 13, &x, (int64_t[]){-2, -3}, 2));
    assert_true(refused("Reshape", 13, &x, (int64_t[]){INT64_MAX, 3}, 2));
    assert_true(refused("Reshape", 13, &x, (int64_t[]){2, 3, 0}, 3));
    assert_true(refused("Tile", 13, &x, (int64_t[]){INT64_MAX, 2}, 2));
    assert_true(refused("Tile", 13, &x, (int64_t[]){1 << 30, 1 << 30}, 2));
    assert_true(refused("Tile", 13, &x, (int64_t[]){-1, 1}, 2));
    assert_true(refused("Expand", 13, &x, (int64_t[]){INT64_MAX, 2, 3}, 3));
    assert_true(refused("Pad", 13, &x, (int64_t[]){INT64_MAX, 0, 0, 0}, 4));
    assert_true(refused("Pad", 13, &x, (int64_t[]){-1, 0, -2, 0}, 4));
    assert_true(refused("Gather", 13, &x, (int64_t[]){0, 2}, 2));
    assert_true(refused("Gather", 13, &x, (int64_t[]){-3}, 1));
    assert_true(refused("Squeeze", 13, &x, (int64_t[]){0}, 1));
    assert_true(refused("Unsqueeze", 13, &x, (int64_t[]){0, 0}, 2));
    assert_true(refused("ReduceSum", 13, &x, (int64_t[]){0, -2}, 2));
}

static void op_slices_hostile_bounds(void **state) {
    float numbers[] = {0, 1, 2, 3, 4, 5};
    int64_t starts[] = {INT64_MAX}, ends[] = {INT64_MIN}, axes[] = {0},
            steps[] = {INT64_MIN};
    struct tensor in[5] = {{NN_FLOAT32, 0, 1, {6}, numbers},
                           {NN_INT64, 0, 1, {1}, starts},
                           {NN_INT64, 0, 1, {1}, ends},
                           {NN_INT64, 0, 1, {1}, axes},
                           {NN_INT64, 0, 1, {1}, steps}};
    struct node node = {0};
    struct op_call call = {.inputs = {&in[0], &in[1], &in[2], &in[3], &in[4]},
                           .input_count = 5};
    (void)state;
    assert_int_equal(op_prepare(&call, "Slice", &node, 13, NULL), 0);
    assert_int_equal(call.outputs[0].dims[0], 1); /* numbers[::-huge] */
    assert_int_equal(op_perform(&call), 0);
    assert_true(*(float *)call.outputs[0].data == 5);
    op_release(&call);
    steps[0] = 0;
    assert_int_equal(op_prepare(&call, "Slice", &node, 13, NULL), -1);
}

/* Integer arithmetic that C leaves undefined must not end the process. */
static void op_divides_hostile_integers(void **state) {
    int64_t x[] = {1, INT64_MIN, INT64_MIN}, y[] = {0, -1, 2};
    struct tensor a = {NN_INT64, 0, 1, {3}, x}, b = {NN_INT64, 0, 1, {3}, y};
    static const char *const names[] = {"Div", "Mod", "Mul", "Sub", "Add"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct node node = {0};
        struct op_call call = {.inputs = {&a, &b}, .input_count = 2};
        assert_int_equal(op_prepare(&call, names[i], &node, 13, NULL), 0);
        assert_int_equal(op_perform(&call), 0);
        if (i == 0)
            assert_int_equal(((int64_t *)call.outputs[0].data)[2],
                             INT64_MIN / 2);
        op_release(&call);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_find_takes_the_row_of_the_opset),
        cmocka_unit_test(op_find_names_what_is_not_there),
        cmocka_unit_test(op_check_refuses_other_attributes),
        cmocka_unit_test(op_check_counts_inputs_and_outputs),
        cmocka_unit_test(op_broadcast_follows_numpy),
        cmocka_unit_test(op_axes_counts_from_both_ends),
        cmocka_unit_test(op_refuses_shapes_it_does_not_know),
        cmocka_unit_test(op_refuses_hostile_numbers),
        cmocka_unit_test(op_slices_hostile_bounds),
        cmocka_unit_test(op_divides_hostile_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
