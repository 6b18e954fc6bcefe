/* Cross entropy: known values, and the gradient by differences. */
#include "models/train/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void train_loss_of_even_logits_is_log_of_the_classes(void **state) {
    (void)state;
    const float logits[10] = {0};
    const uint16_t label = 3;
    struct loss loss = {0};
    loss_softmax(logits, &label, 1, 10, 0.2f, NULL, NULL, &loss);
    assert_float_equal((float)loss.sum, 2.3025851f, 1e-6f);
    loss_softmax(logits, &label, 1, 10, 0, NULL, NULL, &loss);
    assert_float_equal((float)loss.sum, 2 * 2.3025851f, 1e-6f); /* adds */
}

static void train_loss_counts_what_is_right(void **state) {
    (void)state;
    const float logits[3][3] = {{1, 2, 3}, {3, 2, 1}, {1, 3, 2}};
    const uint16_t labels[3] = {2, 1, 1};
    struct loss loss = {0};
    loss_softmax(logits[0], labels, 3, 3, 0, NULL, NULL, &loss);
    assert_int_equal(loss.correct, 2);
}

static void train_loss_bears_huge_logits(void **state) {
    (void)state;
    const float logits[3] = {1e30f, -1e30f, 3};
    const uint16_t label = 0;
    float gradient[3];
    struct loss loss = {0};
    loss_softmax(logits, &label, 1, 3, 0, NULL, gradient, &loss);
    assert_float_equal((float)loss.sum, 0, 1e-6f);
    for (int i = 0; i < 3; i++)
        assert_float_equal(gradient[i], 0, 1e-6f);
}

static const float weights[4] = {1, 2.5f, 1, 0.25f};

static double loss_at(float logits[2][4], const uint16_t *labels) {
    struct loss loss = {0};
    loss_softmax(logits[0], labels, 2, 4, 0.3f, weights, NULL, &loss);
    return loss.sum;
}

static void train_loss_gradient(void **state) {
    (void)state;
    float logits[2][4] = {{0.3f, -1, 2, 0.1f}, {-2, 0.7f, 0.6f, 1.5f}};
    const uint16_t labels[2] = {1, 3};
    float gradient[8];
    struct loss loss = {0};
    loss_softmax(logits[0], labels, 2, 4, 0.3f, weights, gradient, &loss);
    for (int i = 0; i < 8; i++) {
        float *at = &logits[i / 4][i % 4], held = *at;
        *at = held + 0.0078125f;
        double above = loss_at(logits, labels);
        *at = held - 0.0078125f;
        double below = loss_at(logits, labels);
        *at = held;
        assert_float_equal((float)((above - below) / 0.015625), gradient[i],
                           1e-4f);
    }
}

static void train_loss_weighs_by_the_true_class(void **state) {
    (void)state;
    const float logits[3] = {1, 2, 0};
    const uint16_t label = 2;
    const float heavy[3] = {1, 1, 4};
    struct loss plain = {0}, weighed = {0};
    loss_softmax(logits, &label, 1, 3, 0, NULL, NULL, &plain);
    loss_softmax(logits, &label, 1, 3, 0, heavy, NULL, &weighed);
    assert_float_equal((float)weighed.sum, (float)(4 * plain.sum), 1e-5f);
    assert_int_equal(weighed.correct, plain.correct);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_loss_of_even_logits_is_log_of_the_classes),
        cmocka_unit_test(train_loss_counts_what_is_right),
        cmocka_unit_test(train_loss_bears_huge_logits),
        cmocka_unit_test(train_loss_gradient),
        cmocka_unit_test(train_loss_weighs_by_the_true_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
