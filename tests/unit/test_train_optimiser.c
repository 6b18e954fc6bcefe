/* The optimiser: its formula by hand, the schedule's corners, lookahead. */
#include "tests/unit/train_gradients.h"

#include "models/train/optimiser.h"

static const struct layer_spec table[] = {
    {.kind = &layer_batchnorm, .lr_scale = 4, .momentum = 0.6f},
    {.kind = &layer_linear, .channels = 2},
};

struct fixture {
    struct team *team;
    struct network *net;
};

static int open_net(void **state) {
    static struct fixture f;
    struct err err = {0};
    f.team = team_open(1, &err);
    f.net = network_open(table, 2, (struct shape){1, 1, 3}, 4, f.team, &err);
    if (!f.net)
        return -1;
    network_init(f.net, 1);
    *state = &f;
    return 0;
}

static int close_net(void **state) {
    struct fixture *f = *state;
    network_free(f->net);
    team_close(f->team);
    return 0;
}

static void fill_param(struct param *param, float value, float grad) {
    for (size_t i = 0; i < param->count; i++) {
        param->value[i] = value;
        param->grad[i] = grad;
        param->momentum[i] = 0;
    }
}

/* Two steps written out: momentum 0.5, so lr = rate / (1024 * 3). The middle
 * of the triangle's fall is taken at both, for a rate that is not 1. */
static void train_optimiser_steps_as_its_formula_says(void **state) {
    struct network *net = ((struct fixture *)*state)->net;
    const struct optimiser_options o = {
        .rate = 3072, .momentum = 0.5, .weight_decay = 30.72};
    struct param *weight = &net->layers[1].params[0];
    struct param *bias = layer_param(&net->layers[0], "bias");
    double schedule = optimiser_schedule(615, 1000);
    double w = 2, v = 0, b = -1, u = 0;
    const double decay = 30.72 * 10 / 3072; /* a batch of 10; lr is 1 */

    fill_param(weight, 2, 0.25f);
    fill_param(bias, -1, 0.125f);
    for (int step = 0; step < 2; step++) {
        double g = 0.25 + decay * w;
        v = 0.5 * v + g;
        w -= schedule * (g + 0.5 * v);
        g = 0.125 + decay / 4 * b; /* the decay does not scale with the rate */
        u = 0.5 * u + g;
        b -= 4 * schedule * (g + 0.5 * u);
        optimiser_step(net, &o, 10, 615, 1000);
    }
    for (size_t i = 0; i < weight->count; i++)
        assert_float_equal(weight->value[i], (float)w, 1e-5f);
    for (size_t i = 0; i < bias->count; i++)
        assert_float_equal(bias->value[i], (float)b, 1e-5f);
}

static void train_optimiser_leaves_statistics_and_frozen_alone(void **state) {
    struct network *net = ((struct fixture *)*state)->net;
    struct param *weight = &net->layers[1].params[0];
    fill_param(weight, 2, 1);
    weight->frozen = true;
    optimiser_step(net, &optimiser_defaults, 8, 5, 10);
    assert_float_equal(weight->value[0], 2, 0);
    assert_float_equal(layer_param(&net->layers[0], "mean")->value[0], 0, 0);
    assert_float_equal(layer_param(&net->layers[0], "variance")->value[0], 1,
                       0);
    weight->frozen = false;
    optimiser_step(net, &optimiser_defaults, 8, 5, 10);
    assert_true(weight->value[0] < 2);
}

static void train_optimiser_schedule_is_a_triangle(void **state) {
    (void)state;
    assert_float_equal((float)optimiser_schedule(0, 1000), 0.2f, 1e-6f);
    assert_float_equal((float)optimiser_schedule(115, 1000), 0.6f, 1e-6f);
    assert_float_equal((float)optimiser_schedule(230, 1000), 1, 1e-6f);
    assert_float_equal((float)optimiser_schedule(615, 1000), 0.535f, 1e-6f);
    assert_float_equal((float)optimiser_schedule(1000, 1000), 0.07f, 1e-6f);
}

static void train_optimiser_lookahead_mixes_and_copies_back(void **state) {
    struct network *net = ((struct fixture *)*state)->net;
    float *slow = calloc(net->count, sizeof *slow);
    assert_non_null(slow);
    for (size_t i = 0; i < net->count; i++) {
        slow[i] = 1;
        net->values[i] = 5;
    }
    optimiser_lookahead(net, slow, 0.75);
    for (size_t i = 0; i < net->count; i++) {
        assert_float_equal(slow[i], 2, 1e-6f);
        assert_float_equal(net->values[i], 2, 1e-6f);
    }
    free(slow);
    assert_float_equal((float)optimiser_lookahead_decay(0, 10), 0, 0);
    assert_float_equal((float)optimiser_lookahead_decay(10, 10), 0.7737809f,
                       1e-6f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            train_optimiser_steps_as_its_formula_says, open_net, close_net),
        cmocka_unit_test_setup_teardown(
            train_optimiser_leaves_statistics_and_frozen_alone, open_net,
            close_net),
        cmocka_unit_test(train_optimiser_schedule_is_a_triangle),
        cmocka_unit_test_setup_teardown(
            train_optimiser_lookahead_mixes_and_copies_back, open_net,
            close_net),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
