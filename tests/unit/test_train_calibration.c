/* Calibration: bins by hand, and temperatures known in closed form. */
#include "models/train/calibration.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 1000 };

/* Logits (margin, 0) for everything; `right` of them are of class 0. */
static void fill(float logits[IMAGES][2], uint16_t *labels, float margin,
                 int right) {
    for (int i = 0; i < IMAGES; i++) {
        logits[i][0] = margin;
        logits[i][1] = 0;
        labels[i] = i >= right;
    }
}

static void train_calibration_error_of_two_bins(void **state) {
    struct calibration c = {0};
    (void)state;
    assert_float_equal((float)calibration_error(&c), 0, 0);
    /* 3 images at 0.9, 2 right; 1 at 0.5, right:
     * (|2 - 2.7| + |1 - 0.5|) / 4 */
    calibration_add(&c, 0.9, true);
    calibration_add(&c, 0.9, true);
    calibration_add(&c, 0.9, false);
    calibration_add(&c, 0.5, true);
    assert_float_equal((float)calibration_error(&c), 0.3f, 1e-6f);
    calibration_add(&c, 1, true); /* the last bin holds 1 itself */
    assert_int_equal(c.count[CALIBRATION_BINS - 1], 1);
}

/* Scores of sigmoid(3 / T) and 800 of 1000 right: T = 3 / log(4). */
static void train_calibration_finds_the_temperature(void **state) {
    static float logits[IMAGES][2];
    uint16_t labels[IMAGES];
    (void)state;
    fill(logits, labels, 3, 800);
    double t = calibration_temperature(logits[0], labels, IMAGES, 2);
    assert_float_equal((float)t, 3 / logf(4), 0.02f);
    struct calibration before = {0}, after = {0};
    calibration_measure(&before, logits[0], labels, IMAGES, 2, 1);
    calibration_measure(&after, logits[0], labels, IMAGES, 2, t);
    assert_float_equal((float)calibration_error(&before),
                       1 / (1 + expf(-3)) - 0.8f, 1e-4f);
    assert_true(calibration_error(&after) < 0.002);
}

/* All right: as sure as Platt's rule of succession allows, not surer. */
static void train_calibration_does_not_become_certain(void **state) {
    static float logits[IMAGES][2];
    uint16_t labels[IMAGES];
    double p[2];
    (void)state;
    fill(logits, labels, 3, IMAGES);
    double t = calibration_temperature(logits[0], labels, IMAGES, 2);
    assert_int_equal(calibration_softmax(logits[0], 2, t, p), 0);
    assert_float_equal((float)p[0], 1001 / 1002.0f, 1e-4f);
    assert_float_equal((float)(p[0] + p[1]), 1, 1e-6f);
}

static void train_calibration_of_nothing_changes_nothing(void **state) {
    (void)state;
    assert_float_equal((float)calibration_temperature(NULL, NULL, 0, 2), 1, 0);
    assert_float_equal((float)calibration_threshold(NULL, NULL, 0, 2, 1), 0, 0);
}

/* Margins 1..100: right answers above 5 of them are 95 of 100. */
static void train_calibration_threshold_leaves_95_of_100(void **state) {
    float logits[100][2];
    uint16_t labels[100] = {0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        logits[i][0] = (float)(100 - i) / 20;
        logits[i][1] = 0;
    }
    double t = calibration_threshold(logits[0], labels, 100, 2, 1);
    assert_float_equal((float)t, 1 / (1 + expf(-6 / 20.0f)), 1e-5f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_calibration_error_of_two_bins),
        cmocka_unit_test(train_calibration_finds_the_temperature),
        cmocka_unit_test(train_calibration_does_not_become_certain),
        cmocka_unit_test(train_calibration_of_nothing_changes_nothing),
        cmocka_unit_test(train_calibration_threshold_leaves_95_of_100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
