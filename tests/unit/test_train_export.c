/* The ONNX that a network is written as: its nodes, and that the engine
 * computes from it what the network does. */
#include "tests/unit/train_gradients.h"

#include "models/nn/nn.h"
#include "models/train/export.h"
#include "onnx.pb-c.h"

/* Norms behind a convolution, behind a maximum, and where neither is; a
 * shortcut from where one was folded away. */
static const struct layer_spec table[] = {
    {.kind = &layer_conv, .channels = 5, .kernel = 2, .bias = true},
    {.kind = &layer_gelu},
    {.kind = &layer_batchnorm, .momentum = 0.6f}, /* stays a node */
    {.kind = &layer_conv, .channels = 18, .kernel = 3, .padding = 1},
    {.kind = &layer_maxpool, .kernel = 2},
    {.kind = &layer_batchnorm, .momentum = 0.6f},
    {.kind = &layer_gelu},
    {.kind = &layer_conv,
     .channels = 6,
     .kernel = 3,
     .stride = 2,
     .padding = 1,
     .bias = true},
    {.kind = &layer_batchnorm, .momentum = 0.6f},
    {.kind = &layer_conv, .channels = 6, .kernel = 3, .padding = 1},
    {.kind = &layer_batchnorm, .momentum = 0.6f},
    {.kind = &layer_residual, .shortcut = 3},
    {.kind = &layer_linear, .channels = 4, .scale = 0.5f, .bias = true},
};
enum { ROWS = sizeof table / sizeof *table, BATCH = 20 };
static const struct shape input = {11, 9, 3};

struct fixture {
    struct team *team;
    struct network *net;
    void *onnx;
    size_t size;
};

static void open_net(struct fixture *f, const struct layer_spec *rows,
                     int count) {
    struct err err = {0};
    f->team = team_open(1, &err);
    f->net = network_open(rows, count, input, BATCH, f->team, &err);
    if (!f->net)
        fail_msg("%s", err.text);
    network_init(f->net, 4);
    for (int i = 0; i < count; i++)
        for (int p = 0; p < f->net->layers[i].params_count; p++) {
            struct param *param = &f->net->layers[i].params[p];
            check_fill(param->value, param->count, (uint64_t)(50 + 4 * i + p));
            for (size_t k = 0; k < param->count; k++)
                if (strcmp(param->name, "variance") == 0)
                    param->value[k] += 1.5f;
        }
}

static int open_export(void **state) {
    static struct fixture f;
    struct err err = {0};
    open_net(&f, table, ROWS);
    f.onnx = export_onnx(f.net, "test", 1, &f.size, &err);
    *state = &f;
    return f.onnx ? 0 : -1;
}

static int close_export(void **state) {
    struct fixture *f = *state;
    free(f->onnx);
    network_free(f->net);
    team_close(f->team);
    return 0;
}

static void train_export_writes_the_nodes_it_should(void **state) {
    static const char *const expected[] = {
        "Conv", "Div",     "Erf", "Add",     "Mul", "Mul", "BatchNormalization",
        "Conv", "MaxPool", "Div", "Erf",     "Add", "Mul", "Mul",
        "Conv", "Conv",    "Add", "Flatten", "Gemm"};
    struct fixture *f = *state;
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, f->size, f->onnx);
    assert_non_null(model);
    const Onnx__GraphProto *graph = model->graph;
    assert_int_equal(model->opset_import[0]->version, 17);
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(graph->n_node, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < graph->n_node; i++)
        assert_string_equal(graph->node[i]->op_type, expected[i]);
    assert_string_equal(graph->input[0]->name, "pixel_values");
    assert_string_equal(graph->output[0]->name, "logits");
    const Onnx__TensorShapeProto *shape =
        graph->input[0]->type->tensor_type->shape;
    assert_int_equal(shape->n_dim, 4);
    assert_string_equal(shape->dim[0]->dim_param, "batch");
    assert_int_equal(shape->dim[1]->dim_value, 3);
    assert_int_equal(shape->dim[2]->dim_value, 11);
    assert_int_equal(shape->dim[3]->dim_value, 9);
    onnx__model_proto__free_unpacked(model, NULL);
}

/* (N, H, W, C) -> (N, C, H, W) */
static void to_planes(const float *from, float *to) {
    int pixels = input.height * input.width;
    for (int n = 0; n < BATCH; n++)
        for (int c = 0; c < input.channels; c++)
            for (int p = 0; p < pixels; p++)
                *to++ = from[(n * pixels + p) * input.channels + c];
}

/* The file's logits are the network's, divided by the temperature. */
static void compare_logits(struct fixture *f, float temperature) {
    struct err err = {0};
    struct nn_options options = {.batch_max = BATCH};
    struct nn_model *model = nn_load_memory(f->onnx, f->size, &err);
    if (!model)
        fail_msg("%s", err.text);
    struct nn_session *session = nn_session_open(model, &options, &err);
    if (!session)
        fail_msg("%s", err.text);
    check_fill(network_input(f->net), BATCH * shape_size(input), 5);
    network_infer(f->net, BATCH);
    to_planes(network_input(f->net), nn_session_input(session, 0));
    assert_int_equal(nn_session_run(session, BATCH, &err), 0);
    const float *got = nn_session_output(session, 0);
    const float *expected = network_logits(f->net);
    float largest = 0;
    for (int i = 0; i < BATCH * 4; i++)
        largest = fmaxf(largest, fabsf(expected[i]));
    for (int i = 0; i < BATCH * 4; i++)
        assert_float_equal(got[i] * temperature, expected[i], 2e-5f * largest);
    nn_session_close(session);
    nn_free(model);
}

static void train_export_computes_what_the_network_does(void **state) {
    compare_logits(*state, 1);
}

static void train_export_folds_the_temperature_in(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    free(f->onnx);
    f->onnx = export_onnx(f->net, "test", 0.5, &f->size, &err);
    assert_non_null(f->onnx);
    compare_logits(f, 0.5f);
}

static void train_export_refuses_a_network_without_logits(void **state) {
    static const struct layer_spec rows[] = {
        {.kind = &layer_conv, .channels = 5, .kernel = 2}};
    struct fixture f;
    struct err err = {0};
    (void)state;
    open_net(&f, rows, 1);
    assert_null(export_onnx(f.net, "test", 1, &f.size, &err));
    assert_non_null(strstr(err.text, "end in a linear layer"));
    f.onnx = NULL;
    void *half = &f;
    close_export(&half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_export_writes_the_nodes_it_should),
        cmocka_unit_test(train_export_computes_what_the_network_does),
        cmocka_unit_test(train_export_folds_the_temperature_in),
        cmocka_unit_test(train_export_refuses_a_network_without_logits),
    };
    return cmocka_run_group_tests(tests, open_export, close_export);
}
