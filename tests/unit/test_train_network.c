/* A whole network: its gradients by differences, and that the number of
 * threads changes nothing. */
#include "tests/unit/train_gradients.h"

#include "models/train/architecture.h"

/* Every kind of layer, a convolution by each way, two batch norms and a
 * shortcut around one of them. */
static const struct layer_spec table[] = {
    {.kind = &layer_conv, .channels = 16, .kernel = 2, .bias = true},
    {.kind = &layer_gelu},
    {.kind = &layer_conv, .channels = 18, .kernel = 3, .padding = 1},
    {.kind = &layer_maxpool, .kernel = 2},
    {.kind = &layer_batchnorm, .momentum = 0.6f},
    {.kind = &layer_gelu},
    {.kind = &layer_conv, .channels = 18, .kernel = 3, .padding = 1},
    {.kind = &layer_batchnorm, .momentum = 0.6f},
    {.kind = &layer_residual, .shortcut = 3},
    {.kind = &layer_gelu},
    {.kind = &layer_global_average},
    {.kind = &layer_linear, .channels = 4, .scale = 0.5f, .bias = true},
};
enum { ROWS = sizeof table / sizeof *table, BATCH = 20 };
static const struct shape input = {9, 7, 3};

struct fixture {
    struct team *team;
    struct network *net;
    uint16_t labels[BATCH];
};

static void open_net(struct fixture *f, int threads) {
    struct err err = {0};
    f->team = team_open(threads, &err);
    f->net = network_open(table, ROWS, input, BATCH, f->team, &err);
    if (!f->net)
        fail_msg("%s", err.text);
    network_init(f->net, 4);
    for (int i = 0; i < f->net->layers_count; i++) {
        struct layer *l = &f->net->layers[i];
        for (int p = 0; p < l->params_count; p++) /* no dirac, no zero bias */
            if (!l->params[p].statistic)
                check_fill(l->params[p].value, l->params[p].count,
                           (uint64_t)(100 + i));
    }
    check_fill(network_input(f->net), BATCH * shape_size(input), 5);
    for (int i = 0; i < BATCH; i++)
        f->labels[i] = (uint16_t)(i * 7 % 4);
}

static void close_net(struct fixture *f) {
    network_free(f->net);
    team_close(f->team);
}

static double step(struct fixture *f, int n) {
    struct loss loss = {0};
    network_step(f->net, n, f->labels, 0.1f, &loss);
    return loss.sum;
}

/* At places spread over a parameter. Pooling's maxima change hands here and
 * there, which the differences see; hence a tolerance of 3 % of the largest. */
static void check_param(struct fixture *f, int layer, struct param *param) {
    float *gradient = malloc(param->count * sizeof *gradient);
    assert_non_null(gradient);
    step(f, BATCH);
    memcpy(gradient, param->grad, param->count * sizeof *gradient);
    double largest = 0;
    for (size_t i = 0; i < param->count; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 1e-3);
    for (size_t place = 0; place < 13; place++) {
        size_t at = place * (param->count - 1) / 12;
        float held = param->value[at];
        param->value[at] = held + 0.00390625f;
        double above = step(f, BATCH);
        param->value[at] = held - 0.00390625f;
        double below = step(f, BATCH);
        param->value[at] = held;
        double expected = (above - below) / 0.0078125;
        if (!(fabs(expected - (double)gradient[at]) <= 0.03 * largest))
            fail_msg("layer %d, %s[%zu]: %g by differences, %g by the network",
                     layer, param->name, at, expected, (double)gradient[at]);
    }
    free(gradient);
}

static void train_network_gradients(void **state) {
    (void)state;
    struct fixture f;
    open_net(&f, 2);
    for (int i = 0; i < f.net->layers_count; i++)
        for (int p = 0; p < f.net->layers[i].params_count; p++)
            if (!f.net->layers[i].params[p].statistic)
                check_param(&f, i, &f.net->layers[i].params[p]);
    close_net(&f);
}

static void train_network_is_the_same_on_any_number_of_threads(void **state) {
    (void)state;
    struct fixture one, five;
    open_net(&one, 1);
    open_net(&five, 5);
    for (int n = BATCH; n > 0; n -= 9) { /* the last leaves slices empty */
        assert_true(step(&one, n) == step(&five, n));
        assert_memory_equal(one.net->grads, five.net->grads,
                            one.net->count * sizeof(float));
        assert_memory_equal(one.net->values, five.net->values,
                            one.net->count * sizeof(float));
        network_infer(one.net, n);
        network_infer(five.net, n);
        assert_memory_equal(network_logits(one.net), network_logits(five.net),
                            (size_t)n * 4 * sizeof(float));
    }
    close_net(&one);
    close_net(&five);
}

/* With running statistics an image's logits do not depend on its company. */
static void train_network_infers_each_image_by_itself(void **state) {
    (void)state;
    struct fixture f;
    float together[4];
    open_net(&f, 2);
    step(&f, BATCH);
    network_infer(f.net, BATCH);
    memcpy(together, network_logits(f.net), sizeof together);
    network_infer(f.net, 1);
    for (int i = 0; i < 4; i++)
        assert_float_equal(network_logits(f.net)[i], together[i], 1e-4f);
    close_net(&f);
}

static void train_network_freezes_biases_by_epoch(void **state) {
    (void)state;
    struct architecture a;
    struct err err = {0};
    assert_int_equal(architecture_make(&a, "airbench", 0.1, 10, &err), 0);
    struct team *team = team_open(1, &err);
    struct network *net =
        network_open(a.table, a.rows, (struct shape){32, 32, 3}, 2, team, &err);
    assert_non_null(net);
    network_set_epoch(net, 2);
    assert_false(layer_param(&net->layers[0], "bias")->frozen);
    assert_true(net->layers[2].needs_dx);
    network_set_epoch(net, 3);
    assert_true(layer_param(&net->layers[0], "bias")->frozen);
    assert_false(net->layers[2].needs_dx);
    network_free(net);
    team_close(team);
}

/* Of the first normalisation, whose input no other one changes. */
static void train_network_averages_statistics(void **state) {
    (void)state;
    struct fixture f;
    open_net(&f, 2);
    struct layer *norm = &f.net->layers[4];
    float first[2][18], second[2][18];
    const char *const names[] = {"mean", "variance"};
    for (uint64_t batch = 0; batch < 2; batch++) {
        check_fill(network_input(f.net), BATCH * shape_size(input), 30 + batch);
        network_average_statistics(f.net, BATCH, 0);
        for (int p = 0; p < 2; p++)
            memcpy(batch ? second[p] : first[p],
                   layer_param(norm, names[p])->value, sizeof first[p]);
    }
    check_fill(network_input(f.net), BATCH * shape_size(input), 30);
    network_average_statistics(f.net, BATCH, 1); /* the second is in there */
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 18; i++)
            assert_float_equal(layer_param(norm, names[p])->value[i],
                               (first[p][i] + second[p][i]) / 2, 1e-5f);
    assert_float_equal(norm->spec.momentum, 0.6f, 0);
    close_net(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_network_gradients),
        cmocka_unit_test(train_network_is_the_same_on_any_number_of_threads),
        cmocka_unit_test(train_network_infers_each_image_by_itself),
        cmocka_unit_test(train_network_freezes_biases_by_epoch),
        cmocka_unit_test(train_network_averages_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
