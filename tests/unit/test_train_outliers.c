/* Pictures that show nothing: what they are made of, how many there are, and
 * what the loss asks of them. */
#include "models/train/augment.h"
#include "models/train/loss.h"
#include "models/train/outliers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, SIZE = SIDE * SIDE * 3, IMAGES = 2000 };
static const struct shape shape = {SIDE, SIDE, 3};

static int compare(const void *a, const void *b) {
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

static bool is_flat(const uint8_t *pixels) {
    for (int i = 3; i < SIZE; i++)
        if (pixels[i] != pixels[i - 3])
            return false;
    return true;
}

/* The same bytes in another order. */
static bool is_shuffled(const uint8_t *pixels, const uint8_t *image) {
    uint8_t a[SIZE], b[SIZE];
    memcpy(a, pixels, SIZE);
    memcpy(b, image, SIZE);
    qsort(a, SIZE, 1, compare);
    qsort(b, SIZE, 1, compare);
    return memcmp(a, b, SIZE) == 0 && memcmp(pixels, image, SIZE) != 0;
}

static void train_outliers_are_of_several_kinds(void **state) {
    uint8_t image[SIZE], out[SIZE], last[SIZE] = {0};
    int flat = 0, shuffled = 0, others = 0;
    (void)state;
    for (int i = 0; i < SIZE; i++)
        image[i] = (uint8_t)(i * 7 % 251);
    for (uint32_t i = 0; i < 500; i++) {
        struct rng rng;
        rng_seed(&rng, 1, i);
        outlier_write(shape, image, &rng, out);
        assert_memory_not_equal(out, last, SIZE);
        memcpy(last, out, SIZE);
        flat += is_flat(out);
        shuffled += is_shuffled(out, image);
        others += !is_flat(out) && !is_shuffled(out, image);
    }
    assert_in_range(flat, 60, 140);
    assert_in_range(shuffled, 140, 260);
    assert_in_range(others, 140, 260);
}

static void train_outliers_take_their_share(void **state) {
    static float out[2 * SIZE], again[2 * SIZE];
    struct augment policy = augment_cifar10;
    struct dataset set = {.count = IMAGES, .shape = shape};
    uint32_t order[2] = {0, 0};
    int count = 0;
    (void)state;
    policy.outliers = 0.25f;
    set.pixels = malloc((size_t)IMAGES * SIZE);
    for (int i = 0; i < IMAGES * SIZE; i++)
        set.pixels[i] = (uint8_t)(i * 31 % 253);
    for (uint32_t i = 0; i < IMAGES; i++) {
        if (!augment_is_outlier(&policy, i, 3, 7))
            continue;
        count++;
        order[count % 2] = i;
        augment_fill(&policy, &set, order, 2, 3, 7, out);
        augment_fill(&policy, &set, order, 2, 3, 7, again);
        assert_memory_equal(out, again, sizeof out);
        for (int k = 0; k < 2 * SIZE; k++)
            assert_true(fabsf(out[k]) < 3); /* bytes, normalised */
    }
    assert_in_range(count, IMAGES / 4 - 80, IMAGES / 4 + 80);
    policy.outliers = 0;
    assert_false(augment_is_outlier(&policy, order[0], 3, 7));
    free(set.pixels);
}

static void train_outliers_are_to_be_scored_evenly(void **state) {
    const float even[4] = {2, 2, 2, 2}, sure[4] = {9, 0, 0, 0};
    const uint16_t none = LOSS_NO_CLASS;
    float gradient[4];
    struct loss loss = {0};
    (void)state;
    loss_softmax(even, &none, 1, 4, 0.2f, NULL, gradient, &loss);
    for (int i = 0; i < 4; i++)
        assert_float_equal(gradient[i], 0, 1e-7f);
    loss_softmax(sure, &none, 1, 4, 0.2f, NULL, gradient, &loss);
    assert_true(gradient[0] > 0.7f && gradient[1] < -0.2f);
    assert_int_equal(loss.correct, 0);
    assert_int_equal(loss.classed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_outliers_are_of_several_kinds),
        cmocka_unit_test(train_outliers_take_their_share),
        cmocka_unit_test(train_outliers_are_to_be_scored_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
