#include "tests/unit/session_check.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define IMAGES DIMS(-1, 3, 9, 8)

static struct network begin(void) {
    struct network net = {.opset = 13, .seed = 1};
    network_input(&net, "x", 4, IMAGES);
    return net;
}

static void finish(struct network *net, const char *labels) {
    network_output(net, "y");
    check_network(net, 3, 4, IMAGES, labels);
}

/* ---- what goes into a convolution --------------------------------------- */

static void fuse_folds_batch_norm_into_conv(void **state) {
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        struct network net = begin();
        network_conv(&net, "x", "c", 3, 5, 3, bias);
        network_batch_norm(&net, "c", "n", 5);
        network_node(&net, "Relu", "n", "y");
        finish(&net, "to NHWC, Conv+Relu, to NCHW");
    }
}

static void fuse_folds_arithmetic_by_channel_into_conv(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 5, 1, false);
    network_random(&net, "m", 3, DIMS(5, 1, 1));
    network_random(&net, "a", 4, DIMS(1, 5, 1, 1));
    network_scalar(&net, "d", 3.0f);
    network_scalar(&net, "s", 0.25f);
    network_node(&net, "Mul", "c,m", "1");
    network_node(&net, "Add", "a,1", "2");
    network_node(&net, "Div", "2,d", "3");
    network_node(&net, "Sub", "s,3", "4");
    network_node(&net, "Sub", "4,a", "y");
    finish(&net, "to NHWC, Conv, to NCHW");
}

static void fuse_leaves_arithmetic_along_the_image(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 8, 1, false);
    network_random(&net, "m", 1, DIMS(8)); /* along W, which is 8 as well */
    network_node(&net, "Mul", "c,m", "y");
    finish(&net, "to NHWC, Conv, Mul, to NCHW");
}

/* Normalised along the middle axis, which is as long as the last. */
static void fuse_leaves_normalisation_along_another_axis(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 1};
    network_input(&net, "x", 3, DIMS(-1, 4, 6));
    network_random(&net, "w", 2, DIMS(6, 4));
    network_node(&net, "MatMul", "x,w", "m");
    network_batch_norm(&net, "m", "y", 4);
    network_output(&net, "y");
    check_network(&net, 3, 3, DIMS(-1, 4, 6), "MatMul, ScaleShift");
}

static void fuse_leaves_shared_results_alone(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_batch_norm(&net, "c", "n", 4);
    network_node(&net, "Relu", "n", "r");
    network_node(&net, "Mul", "r,c", "y");
    finish(&net, "to NHWC, Conv, ScaleShift+Relu, Mul, to NCHW");

    net = begin(); /* the convolution itself is an output */
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_batch_norm(&net, "c", "y", 4);
    network_output(&net, "c");
    finish(&net, "to NHWC, Conv, ScaleShift, to NCHW, to NCHW");
}

/* Two convolutions with the same weights, each with its own normalisation. */
static void fuse_copies_shared_weights(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 3, 3, false);
    network_batch_norm(&net, "a", "an", 3);
    struct wire *second = network_node(&net, "Conv", "an,a.w", "b");
    give_ints(second, "pads", 4, DIMS(1, 1, 1, 1));
    network_batch_norm(&net, "b", "y", 3);
    finish(&net, "to NHWC, Conv, Conv, to NCHW");
}

static void fuse_adds_residual_behind_conv(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct network net = begin();
        network_conv(&net, "x", "a", 3, 6, 3, true);
        network_node(&net, "Relu", "a", "r");
        network_conv(&net, "r", "b", 6, 6, 3, true);
        network_node(&net, "Add", order ? "r,b" : "b,r", "s");
        network_node(&net, "Relu", "s", "y");
        finish(&net, "to NHWC, Conv+Relu, Conv+Add+Relu, to NCHW");
    }
}

/* The first of the two that are added waits for the second. */
static void fuse_moves_conv_behind_its_residual(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 6, 3, true);
    network_conv(&net, "x", "b", 3, 6, 1, true);
    network_node(&net, "Tanh", "b", "t");
    network_node(&net, "Exp", "t", "e");
    network_node(&net, "Add", "a,e", "y");
    finish(&net, "to NHWC, Conv+Tanh, Exp, Conv+Add, to NCHW");
}

static void fuse_keeps_broadcast_additions_apart(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 6, 3, true);
    network_node(&net, "GlobalAveragePool", "a", "g");
    network_conv(&net, "g", "b", 6, 6, 1, true);
    network_node(&net, "Add", "a,b", "y");
    finish(&net, "to NHWC, Conv, GlobalAveragePool, Conv, Add, to NCHW");
}

/* conv(x) + x: the residual is the input. By depth, so that a kernel which
 * writes while it reads would show. */
static void fuse_never_writes_over_its_input(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 32, 3, true);
    give_integer(network_conv(&net, "a", "b", 1, 32, 3, true), "group", 32);
    network_node(&net, "Add", "a,b", "c");
    network_conv(&net, "c", "d", 32, 32, 1, true);
    network_node(&net, "Add", "d,c", "y");
    finish(&net, "to NHWC, Conv, Conv+Add, Conv+Add, to NCHW");
}

static void fuse_merges_pad_into_conv(void **state) {
    (void)state;
    struct network net = begin();
    network_integers(&net, "p", 8, DIMS(0, 0, 1, 0, 0, 0, 2, 1));
    network_node(&net, "Pad", "x,p", "q");
    network_conv(&net, "q", "y", 3, 4, 3, true);
    finish(&net, "to NHWC, Conv, to NCHW");

    net = begin(); /* padding with ones is something else */
    network_integers(&net, "p", 8, DIMS(0, 0, 1, 0, 0, 0, 2, 1));
    network_scalar(&net, "one", 1.0f);
    network_node(&net, "Pad", "x,p,one", "q");
    network_conv(&net, "q", "y", 3, 4, 3, true);
    finish(&net, "Pad, to NHWC, Conv, to NCHW");
}

/* ---- Gemm and MatMul ---------------------------------------------------- */

static void fuse_folds_into_gemm(void **state) {
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        struct network net = {.opset = 13, .seed = 2};
        network_input(&net, "x", 2, DIMS(-1, 6));
        network_random(&net, "w", 2, transposed ? DIMS(4, 6) : DIMS(6, 4));
        network_random(&net, "b", 1, DIMS(4));
        struct wire *gemm = network_node(&net, "Gemm", "x,w,b", "g");
        give_integer(gemm, "transB", transposed);
        network_batch_norm(&net, "g", "n", 4);
        network_node(&net, "Sigmoid", "n", "y");
        network_output(&net, "y");
        check_network(&net, 3, 2, DIMS(-1, 6), "Gemm+Sigmoid");
    }
}

static void fuse_gives_matmul_its_bias(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 2, DIMS(-1, 6));
    network_random(&net, "w", 2, DIMS(6, 4));
    network_random(&net, "b", 1, DIMS(4));
    network_node(&net, "MatMul", "x,w", "m");
    network_node(&net, "Add", "b,m", "y");
    network_output(&net, "y");
    check_network(&net, 3, 2, DIMS(-1, 6), "MatMul");

    /* Of any rank; the channels are last. */
    net = (struct network){.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 4, 5, 6));
    network_random(&net, "w", 2, DIMS(6, 4));
    network_random(&net, "b", 1, DIMS(4));
    network_random(&net, "g", 1, DIMS(4));
    network_node(&net, "MatMul", "x,w", "m");
    network_node(&net, "Add", "b,m", "a");
    network_node(&net, "Mul", "a,g", "s");
    network_node(&net, "Relu", "s", "y");
    network_output(&net, "y");
    check_network(&net, 3, 4, DIMS(-1, 4, 5, 6), "MatMul+Relu");

    net = (struct network){.opset = 13, .seed = 3}; /* along axis 1 */
    network_input(&net, "x", 4, DIMS(-1, 4, 5, 6));
    network_random(&net, "w", 2, DIMS(6, 4));
    network_random(&net, "b", 3, DIMS(4, 1, 1));
    network_node(&net, "MatMul", "x,w", "m");
    network_node(&net, "Add", "m,b", "y");
    network_output(&net, "y");
    check_network(&net, 3, 4, DIMS(-1, 4, 5, 6), "MatMul, Add");
}

/* ---- activations -------------------------------------------------------- */

/* x -> Conv -> c -> (the nodes) -> y is one step named `label`. */
static struct network begin_activation(void) {
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 4, 1, true);
    network_scalar(&net, "half", 0.5f);
    network_scalar(&net, "one", 1.0f);
    network_scalar(&net, "three", 3.0f);
    network_scalar(&net, "six", 6.0f);
    network_scalar(&net, "zero", 0.0f);
    network_scalar(&net, "sixth", 1.0f / 6.0f);
    network_scalar(&net, "root2", 1.41421354f);
    network_scalar(&net, "root.5", 0.70710677f);
    return net;
}

static void finish_activation(struct network *net, const char *name) {
    char labels[128];
    snprintf(labels, sizeof labels, "to NHWC, Conv+%s, to NCHW", name);
    finish(net, labels);
}

static void fuse_finds_silu(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct network net = begin_activation();
        network_node(&net, "Sigmoid", "c", "s");
        network_node(&net, "Mul", order ? "s,c" : "c,s", "y");
        finish_activation(&net, "Silu");
    }
}

static void fuse_finds_gelu(void **state) {
    (void)state;
    static const struct {
        const char *op_type, *inputs;
    } last[][2] = {
        {{"Mul", "c,e1"}, {"Mul", "p,half"}},
        {{"Mul", "c,half"}, {"Mul", "p,e1"}},
        {{"Mul", "e1,half"}, {"Mul", "c,p"}},
    };
    for (int i = 0; i < 6; i++) {
        struct network net = begin_activation();
        if (i < 3)
            network_node(&net, "Div", "c,root2", "d");
        else
            network_node(&net, "Mul", "root.5,c", "d");
        network_node(&net, "Erf", "d", "e");
        network_node(&net, "Add", "e,one", "e1");
        network_node(&net, last[i % 3][0].op_type, last[i % 3][0].inputs, "p");
        network_node(&net, last[i % 3][1].op_type, last[i % 3][1].inputs, "y");
        finish_activation(&net, "Gelu");
    }
}

static void fuse_finds_hard_swish(void **state) {
    (void)state;
    struct network net = begin_activation();
    network_node(&net, "Add", "c,three", "a");
    network_node(&net, "Clip", "a,zero,six", "k");
    network_node(&net, "Mul", "c,k", "m");
    network_node(&net, "Div", "m,six", "y");
    finish_activation(&net, "HardSwish");

    net = begin_activation();
    network_node(&net, "Add", "c,three", "a");
    network_node(&net, "Clip", "a,zero,six", "k");
    network_node(&net, "Mul", "k,sixth", "m");
    network_node(&net, "Mul", "m,c", "y");
    finish_activation(&net, "HardSwish");

    net = begin_activation();
    struct wire *gate = network_node(&net, "HardSigmoid", "c", "h");
    give_number(gate, "alpha", 1.0f / 6.0f);
    network_node(&net, "Mul", "h,c", "y");
    finish_activation(&net, "HardSwish");
}

static void fuse_finds_hard_sigmoid(void **state) {
    (void)state;
    struct network net = begin_activation();
    network_node(&net, "Add", "c,three", "a");
    network_node(&net, "Clip", "a,zero,six", "k");
    network_node(&net, "Div", "k,six", "y");
    finish_activation(&net, "HardSigmoid");
}

static void fuse_finds_mish(void **state) {
    (void)state;
    struct network net = begin_activation();
    network_node(&net, "Softplus", "c", "p");
    network_node(&net, "Tanh", "p", "t");
    network_node(&net, "Mul", "c,t", "y");
    finish_activation(&net, "Mish");
}

/* Nearly a composite: other constants, another x. */
static void fuse_leaves_what_is_no_activation(void **state) {
    (void)state;
    struct network net = begin_activation();
    network_node(&net, "Sigmoid", "c", "s");
    network_node(&net, "Mul", "s,s", "y");
    finish(&net, "to NHWC, Conv+Sigmoid, Mul, to NCHW");

    net = begin_activation();
    network_node(&net, "Add", "c,three", "a");
    network_node(&net, "Clip", "a,zero,three", "k");
    network_node(&net, "Mul", "c,k", "m");
    network_node(&net, "Div", "m,six", "y");
    finish(&net, "to NHWC, Conv, Add, Clip, Mul, Div, to NCHW");
}

static void fuse_takes_clip_bounds(void **state) {
    (void)state;
    struct network net = begin_activation();
    network_node(&net, "Clip", "c,zero,six", "y");
    finish_activation(&net, "Clip");

    net = begin_activation(); /* no minimum */
    network_node(&net, "Clip", "c,,one", "y");
    finish_activation(&net, "Clip");
}

/* ---- layer normalisation ------------------------------------------------ */

/* x normalised over `axis`, as PyTorch writes it; `exponent` should be 2. */
static struct network written_out(int64_t axis, float exponent) {
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 3, DIMS(-1, 5, 6));
    network_scalar(&net, "two", exponent);
    network_scalar(&net, "epsilon", 1e-6f);
    network_random(&net, "g", 1, DIMS(6));
    network_random(&net, "b", 1, DIMS(6));
    give_ints(network_node(&net, "ReduceMean", "x", "m"), "axes", 1,
              DIMS(axis));
    network_node(&net, "Sub", "x,m", "c");
    network_node(&net, "Pow", "c,two", "p");
    give_ints(network_node(&net, "ReduceMean", "p", "v"), "axes", 1,
              DIMS(axis));
    network_node(&net, "Add", "v,epsilon", "e");
    network_node(&net, "Sqrt", "e", "s");
    network_node(&net, "Div", "c,s", "d");
    network_node(&net, "Mul", "d,g", "t");
    network_node(&net, "Add", "t,b", "y");
    network_output(&net, "y");
    return net;
}

static void fuse_finds_layer_norm(void **state) {
    (void)state;
    struct network net = written_out(-1, 2);
    check_network(&net, 3, 3, DIMS(-1, 5, 6), "LayerNormalization");
    net = written_out(2, 2);
    check_network(&net, 3, 3, DIMS(-1, 5, 6), "LayerNormalization");
    const char *chain = "ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, "
                        "Mul, Add";
    net = written_out(1, 2);
    check_network(&net, 3, 3, DIMS(-1, 5, 6), chain);
    net = written_out(-1, 4);
    check_network(&net, 3, 3, DIMS(-1, 5, 6), chain);
}

/* ---- what goes altogether ----------------------------------------------- */

static void fuse_drops_what_does_nothing(void **state) {
    (void)state;
    struct network net = begin();
    network_integers(&net, "p", 8, DIMS(0, 0, 0, 0, 0, 0, 0, 0));
    network_node(&net, "Identity", "x", "1");
    network_node(&net, "Dropout", "1", "2");
    network_node(&net, "Pad", "2,p", "3");
    give_integer(network_node(&net, "Cast", "3", "4"), "to", 1);
    network_conv(&net, "4", "5", 3, 4, 3, true);
    network_node(&net, "Identity", "5", "y");
    finish(&net, "to NHWC, Conv, to NCHW");
}

static void fuse_cancels_transposes(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "1", 3, 4, 3, true);
    struct wire *there = network_node(&net, "Transpose", "1", "2");
    give_ints(there, "perm", 4, DIMS(0, 2, 3, 1));
    struct wire *back = network_node(&net, "Transpose", "2", "3");
    give_ints(back, "perm", 4, DIMS(0, 3, 1, 2));
    network_node(&net, "Relu", "3", "y");
    finish(&net, "to NHWC, Conv+Relu, to NCHW");

    net = begin(); /* two make one */
    there = network_node(&net, "Transpose", "x", "1");
    give_ints(there, "perm", 4, DIMS(1, 0, 3, 2));
    back = network_node(&net, "Transpose", "1", "y");
    give_ints(back, "perm", 4, DIMS(3, 2, 1, 0));
    finish(&net, "Transpose");
}

/* As ConvNeXt has it: there and back, with MatMul by pixel between. */
static void fuse_takes_transposes_for_layouts(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 4, 3, true);
    struct wire *there = network_node(&net, "Transpose", "c", "t");
    give_ints(there, "perm", 4, DIMS(0, 2, 3, 1));
    network_random(&net, "w", 2, DIMS(4, 4));
    network_random(&net, "b", 1, DIMS(4));
    network_node(&net, "MatMul", "t,w", "m");
    network_node(&net, "Add", "m,b", "a");
    struct wire *back = network_node(&net, "Transpose", "a", "u");
    give_ints(back, "perm", 4, DIMS(0, 3, 1, 2));
    network_node(&net, "Add", "u,c", "s");
    network_conv(&net, "s", "y", 4, 5, 1, true);
    finish(&net, "to NHWC, Conv, MatMul, Add, Conv, to NCHW");

    net = (struct network){.opset = 13, .seed = 3}; /* the input is NHWC */
    network_input(&net, "x", 4, DIMS(-1, 9, 8, 3));
    struct wire *first = network_node(&net, "Transpose", "x", "t");
    give_ints(first, "perm", 4, DIMS(0, 3, 1, 2));
    network_conv(&net, "t", "c", 3, 5, 3, true);
    struct wire *last = network_node(&net, "Transpose", "c", "y");
    give_ints(last, "perm", 4, DIMS(0, 2, 3, 1));
    network_output(&net, "y");
    check_network(&net, 3, 4, DIMS(-1, 9, 8, 3), "Conv");
}

static void fuse_finds_channel_shuffles(void **state) {
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        struct network net = begin();
        network_integers(&net, "5", 5, DIMS(-1, 3, 4, 9, 8));
        network_integers(&net, "4", 4, DIMS(-1, 12, 9, 8));
        network_conv(&net, "x", "c", 3, 12, 3, true);
        if (plain) { /* a node that no layout but the plain one suits */
            network_integers(&net, "same", 4, DIMS(-1, 12, 8, 9));
            network_node(&net, "Reshape", "c,same", "q");
            network_node(&net, "Reshape", "q,4", "r");
        } else {
            network_node(&net, "Relu", "c", "r");
        }
        network_node(&net, "Reshape", "r,5", "a");
        struct wire *turn = network_node(&net, "Transpose", "a", "b");
        give_ints(turn, "perm", 5, DIMS(0, 2, 1, 3, 4));
        network_node(&net, "Reshape", "b,4", "y");
        finish(&net, plain ? "to NHWC, Conv, to NCHW, ChannelShuffle"
                           : "to NHWC, Conv+Relu, ChannelShuffle, to NCHW");
    }
}

/* Exporters compute the shape that Reshape wants out of the input's. */
static void fuse_plans_shape_arithmetic(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_integers(&net, "zero", 1, DIMS(0));
    network_integers(&net, "rest", 1, DIMS(-1));
    network_node(&net, "Shape", "c", "s");
    network_node(&net, "Gather", "s,zero", "n");
    give_integer(network_node(&net, "Concat", "n,rest", "r"), "axis", 0);
    network_node(&net, "Reshape", "c,r", "f");
    network_random(&net, "w", 2, DIMS(4 * 9 * 8, 5));
    network_node(&net, "Gemm", "f,w", "y");
    finish(&net, "to NHWC, Conv, to NCHW, Gemm");
}

static void fuse_folds_quantised_weights(void **state) {
    (void)state;
    struct network net = begin();
    uint8_t numbers[4 * 3];
    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = (uint8_t)(i * 20);
    struct wire weights = network_tensor("q", 2, 4, DIMS(4, 3, 1, 1));
    wire_bytes(&weights, 9, numbers, sizeof numbers);
    wire_message(&net.rest, 5, &weights);
    struct wire zero = network_tensor("z", 2, 0, NULL);
    wire_bytes(&zero, 9, &(uint8_t){128}, 1);
    wire_message(&net.rest, 5, &zero);
    network_scalar(&net, "s", 0.01f);
    network_node(&net, "DequantizeLinear", "q,s,z", "w");
    network_node(&net, "Conv", "x,w", "y");
    finish(&net, "to NHWC, Conv, to NCHW");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse_folds_batch_norm_into_conv),
        cmocka_unit_test(fuse_folds_arithmetic_by_channel_into_conv),
        cmocka_unit_test(fuse_leaves_arithmetic_along_the_image),
        cmocka_unit_test(fuse_leaves_normalisation_along_another_axis),
        cmocka_unit_test(fuse_leaves_shared_results_alone),
        cmocka_unit_test(fuse_copies_shared_weights),
        cmocka_unit_test(fuse_adds_residual_behind_conv),
        cmocka_unit_test(fuse_moves_conv_behind_its_residual),
        cmocka_unit_test(fuse_keeps_broadcast_additions_apart),
        cmocka_unit_test(fuse_never_writes_over_its_input),
        cmocka_unit_test(fuse_merges_pad_into_conv),
        cmocka_unit_test(fuse_folds_into_gemm),
        cmocka_unit_test(fuse_gives_matmul_its_bias),
        cmocka_unit_test(fuse_finds_silu),
        cmocka_unit_test(fuse_finds_gelu),
        cmocka_unit_test(fuse_finds_hard_swish),
        cmocka_unit_test(fuse_finds_hard_sigmoid),
        cmocka_unit_test(fuse_finds_mish),
        cmocka_unit_test(fuse_leaves_what_is_no_activation),
        cmocka_unit_test(fuse_takes_clip_bounds),
        cmocka_unit_test(fuse_finds_layer_norm),
        cmocka_unit_test(fuse_drops_what_does_nothing),
        cmocka_unit_test(fuse_cancels_transposes),
        cmocka_unit_test(fuse_takes_transposes_for_layouts),
        cmocka_unit_test(fuse_finds_channel_shuffles),
        cmocka_unit_test(fuse_plans_shape_arithmetic),
        cmocka_unit_test(fuse_folds_quantised_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
