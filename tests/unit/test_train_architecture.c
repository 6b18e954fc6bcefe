#include "models/train/architecture.h"

#include "models/train/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct network *open_net(const char *name, double width,
                                struct team *team, struct shape input,
                                struct err *err) {
    struct architecture a;
    if (architecture_make(&a, name, width, 10, err) < 0)
        return NULL;
    return network_open(a.table, a.rows, input, 1, team, err);
}

/* By hand, for widths 64, 256, 256: 24*12 + 24 whitening, 9 * (24*64 + 64*64 +
 * 64*256 + 3 * 256*256), batch norms' biases 2 * (64 + 256 + 256), 2560. */
static void train_architecture_has_the_parameters_of_its_shape(void **state) {
    (void)state;
    struct err err = {0};
    struct team *team = team_open(1, &err);
    struct network *net =
        open_net("airbench", 1, team, (struct shape){32, 32, 3}, &err);
    assert_non_null(net);
    assert_int_equal(network_parameters(net), 1971640);
    assert_int_equal(net->output.channels, 10);
    const struct layer *average = &net->layers[net->layers_count - 2];
    assert_ptr_equal(average->kind, &layer_global_average);
    assert_int_equal(average->in.height, 7);
    assert_int_equal(average->in.width, 7);
    network_free(net);
    team_close(team);
}

/* By hand, for widths 96, 272, 272: 24*12 + 24 whitening, 9 * (24*96 + 2 *
 * 96*96 + 96*272 + 5 * 272*272), batch norms' biases 3 * (96 + 272 + 272),
 * 2720. Less than 4 Mi numbers are a file of less than 16 MiB. */
static void train_architecture_with_shortcuts_is_below_its_limit(void **state) {
    (void)state;
    struct err err = {0};
    struct team *team = team_open(1, &err);
    struct network *net =
        open_net("airbench-residual", 1, team, (struct shape){32, 32, 3}, &err);
    assert_non_null(net);
    assert_int_equal(network_parameters(net), 3755864);
    int shortcuts = 0;
    for (int i = 0; i < net->layers_count; i++)
        shortcuts += net->layers[i].kind == &layer_residual;
    assert_int_equal(shortcuts, 3);
    network_free(net);
    team_close(team);
}

static void train_architecture_refuses_what_it_does_not_know(void **state) {
    (void)state;
    struct architecture a;
    struct err err = {0};
    assert_int_equal(architecture_make(&a, "resnet", 1, 10, &err), -1);
    assert_non_null(strstr(err.text, "\"resnet\""));
}

static void train_architecture_refuses_sizes_that_do_not_fit(void **state) {
    (void)state;
    struct err err = {0};
    struct team *team = team_open(1, &err);
    assert_null(
        open_net("airbench", 0.001, team, (struct shape){32, 32, 3}, &err));
    assert_non_null(strstr(err.text, "to 0 channels"));
    assert_null(open_net("airbench", 1, team, (struct shape){3, 3, 3}, &err));
    assert_non_null(strstr(err.text, "does not fit"));
    team_close(team);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_architecture_has_the_parameters_of_its_shape),
        cmocka_unit_test(train_architecture_with_shortcuts_is_below_its_limit),
        cmocka_unit_test(train_architecture_refuses_what_it_does_not_know),
        cmocka_unit_test(train_architecture_refuses_sizes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
