/* Augmentation, on images whose pixels say where they are: red is the row,
 * green the column, blue the image. */
#include "models/train/augment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 400, SIDE = 8, SIZE = SIDE * SIDE * 3 };

static const struct augment bare = {
    .mean = {0, 0, 0}, .deviation = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f}};

struct fixture {
    struct dataset set;
    uint32_t order[IMAGES];
    float out[IMAGES * SIZE], again[IMAGES * SIZE];
};

static int open_set(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->set = (struct dataset){.count = IMAGES,
                              .shape = {SIDE, SIDE, 3},
                              .pixels = malloc(IMAGES * SIZE)};
    for (uint32_t i = 0; i < IMAGES; i++)
        f->order[i] = i;
    for (int i = 0; i < IMAGES * SIZE; i++) {
        int image = i / SIZE, p = i % SIZE / 3;
        f->set.pixels[i] = (uint8_t)(i % 3 == 0   ? p / SIDE
                                     : i % 3 == 1 ? p % SIDE
                                                  : image % 200);
    }
    *state = f;
    return 0;
}

static int close_set(void **state) {
    struct fixture *f = *state;
    free(f->set.pixels);
    free(f);
    return 0;
}

static const float *pixel(const float *images, int image, int row, int column) {
    return images + image * SIZE + (row * SIDE + column) * 3;
}

static void train_augment_plain_normalises(void **state) {
    struct fixture *f = *state;
    f->set.pixels[0] = 255;
    f->set.pixels[1] = 0;
    f->set.pixels[2] = 51;
    augment_plain(&augment_cifar10, &f->set, 0, 1, f->out);
    assert_float_equal(f->out[0], (1 - 0.4914f) / 0.2470f, 1e-6f);
    assert_float_equal(f->out[1], (0 - 0.4822f) / 0.2435f, 1e-6f);
    assert_float_equal(f->out[2], (0.2f - 0.4465f) / 0.2616f, 1e-6f);
}

/* The change that was made is read off the middle; every other pixel has to
 * agree, reflected where the image ends. */
static void train_augment_moves_and_reflects(void **state) {
    struct fixture *f = *state;
    struct augment policy = bare;
    int seen[5][5] = {{0}};
    policy.translate = 2;
    augment_fill(&policy, &f->set, f->order, IMAGES, 0, 1, f->out);
    for (int i = 0; i < IMAGES; i++) {
        const float *middle = pixel(f->out, i, 4, 4);
        int down = (int)(middle[0] + 0.5f) - 4;
        int right = (int)(middle[1] + 0.5f) - 4;
        assert_in_range(down + 2, 0, 4);
        assert_in_range(right + 2, 0, 4);
        seen[down + 2][right + 2]++;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int row = abs(y + down), column = abs(x + right);
                row = row < SIDE ? row : 14 - row;
                column = column < SIDE ? column : 14 - column;
                const float *got = pixel(f->out, i, y, x);
                assert_float_equal(got[0], (float)row, 1e-4f);
                assert_float_equal(got[1], (float)column, 1e-4f);
                assert_float_equal(got[2], (float)(i % 200), 1e-3f);
            }
    }
    for (int i = 0; i < 25; i++) /* 16 of each, more or less */
        assert_in_range(seen[i / 5][i % 5], 2, 40);
}

static bool flipped(const float *images, int image) {
    return pixel(images, image, 0, 0)[1] > 3.5f;
}

static void train_augment_flips_turn_over_every_epoch(void **state) {
    struct fixture *f = *state;
    struct augment policy = bare;
    int first = 0;
    policy.flip = true;
    augment_fill(&policy, &f->set, f->order, IMAGES, 0, 1, f->out);
    augment_fill(&policy, &f->set, f->order, IMAGES, 1, 1, f->again);
    for (int i = 0; i < IMAGES; i++) {
        first += flipped(f->out, i);
        assert_true(flipped(f->out, i) != flipped(f->again, i));
        for (int x = 0; x < SIDE; x++)
            assert_float_equal(pixel(f->out, i, 2, x)[1],
                               pixel(f->again, i, 2, SIDE - 1 - x)[1], 1e-4f);
    }
    assert_in_range(first, 140, 260); /* 200 +- 6 standard deviations */
}

/* Blank is 0, the mean; no pixel of these images is 0 once shifted by it. */
static void train_augment_cuts_out_one_square(void **state) {
    struct fixture *f = *state;
    struct augment policy = bare;
    int places = 0;
    policy.cutout = 3;
    policy.mean[0] = policy.mean[1] = policy.mean[2] = 1;
    augment_fill(&policy, &f->set, f->order, IMAGES, 2, 1, f->out);
    for (int i = 0; i < IMAGES; i++) {
        int first = -1, blank = 0;
        for (int p = 0; p < SIDE * SIDE; p++)
            if (pixel(f->out, i, p / SIDE, p % SIDE)[0] == 0) {
                first = first < 0 ? p : first;
                assert_in_range(p / SIDE - first / SIDE, 0, 2);
                assert_in_range(p % SIDE - first % SIDE, 0, 2);
                blank++;
            }
        assert_int_equal(blank, 9);
        places |= 1 << (first / SIDE) | 0x100 << (first % SIDE);
    }
    assert_int_equal(places, 0x3f3f); /* corners 0 to 5, both ways */
}

static void train_augment_depends_on_seed_epoch_and_image_alone(void **state) {
    struct fixture *f = *state;
    struct augment policy = bare;
    policy.translate = 2;
    policy.flip = true;
    augment_fill(&policy, &f->set, f->order, IMAGES, 3, 7, f->out);
    for (int i = 0; i < IMAGES; i += 50) /* in parts, from the end */
        augment_fill(&policy, &f->set, f->order + IMAGES - 50 - i, 50, 3, 7,
                     f->again + (IMAGES - 50 - i) * SIZE);
    assert_memory_equal(f->out, f->again, sizeof f->out);
    augment_fill(&policy, &f->set, f->order, IMAGES, 3, 8, f->again);
    assert_memory_not_equal(f->out, f->again, sizeof f->out);
    augment_fill(&policy, &f->set, f->order, IMAGES, 5, 7, f->again);
    assert_memory_not_equal(f->out, f->again, sizeof f->out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(train_augment_plain_normalises,
                                        open_set, close_set),
        cmocka_unit_test_setup_teardown(train_augment_moves_and_reflects,
                                        open_set, close_set),
        cmocka_unit_test_setup_teardown(
            train_augment_flips_turn_over_every_epoch, open_set, close_set),
        cmocka_unit_test_setup_teardown(train_augment_cuts_out_one_square,
                                        open_set, close_set),
        cmocka_unit_test_setup_teardown(
            train_augment_depends_on_seed_epoch_and_image_alone, open_set,
            close_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
