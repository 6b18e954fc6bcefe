/* Light, sharpness and compression: what each step does, and whose images it
 * reaches. */
#include "models/train/augment.h"
#include "models/train/photometric.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, SIZE = SIDE * SIDE * 3, IMAGES = 400 };

static const struct shape square = {SIDE, SIDE, 3};

static float *at(float *pixels, int y, int x) {
    return pixels + (y * SIDE + x) * 3;
}

static void photometric_sharpen_blurs_and_sharpens(void **state) {
    float pixels[SIZE] = {0}, blurred[SIZE], sharp[SIZE];
    (void)state;
    at(pixels, 5, 6)[1] = 160; /* one green dot */
    memcpy(blurred, pixels, sizeof pixels);
    memcpy(sharp, pixels, sizeof pixels);
    photometric_sharpen(square, -1, blurred);
    photometric_sharpen(square, 1, sharp);
    static const float kernel[3] = {0.25f, 0.5f, 0.25f};
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                bool near = c == 1 && abs(y - 5) < 2 && abs(x - 6) < 2;
                float wanted =
                    near ? 160 * kernel[y - 5 + 1] * kernel[x - 6 + 1] : 0;
                assert_float_equal(at(blurred, y, x)[c], wanted, 1e-4);
                assert_float_equal(at(sharp, y, x)[c],
                                   2 * at(pixels, y, x)[c] - wanted, 1e-4);
            }
}

static void photometric_sharpen_leaves_what_is_even(void **state) {
    float pixels[SIZE];
    (void)state;
    for (int i = 0; i < SIZE; i++)
        pixels[i] = (float)(40 * (i % 3) + 7);
    photometric_sharpen(square, 0.7f, pixels);
    for (int i = 0; i < SIZE; i++)
        assert_float_equal(pixels[i], 40 * (i % 3) + 7, 1e-4);
}

/* Mean error of a picture that went through JPEG. */
static float jpeg_error(int quality) {
    float pixels[SIZE], before[SIZE], sum = 0;
    for (int i = 0; i < SIZE; i++) {
        int y = i / 3 / SIDE, x = i / 3 % SIDE;
        before[i] = pixels[i] = (float)((x / 3 + y / 5) % 2 * 120 + 8 * y);
    }
    assert_true(photometric_jpeg(square, quality, pixels));
    for (int i = 0; i < SIZE; i++) {
        assert_true(pixels[i] >= 0 && pixels[i] <= 255);
        sum += fabsf(pixels[i] - before[i]) / SIZE;
    }
    return sum;
}

static void photometric_jpeg_loses_by_quality(void **state) {
    (void)state;
    float fine = jpeg_error(95), coarse = jpeg_error(30);
    assert_true(fine > 0 && fine < 3);
    assert_true(coarse > 2 * fine && coarse < 40);
}

static void photometric_change_gives_bytes(void **state) {
    float pixels[SIZE], again[SIZE];
    struct rng rng;
    int changed = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        for (int i = 0; i < SIZE; i++)
            again[i] = pixels[i] = (float)(i * 5 % 256);
        rng_seed(&rng, 1, seed);
        photometric_change(square, &rng, pixels);
        rng_seed(&rng, 1, seed);
        photometric_change(square, &rng, again);
        assert_memory_equal(pixels, again, sizeof pixels);
        for (int i = 0; i < SIZE; i++) {
            assert_true(pixels[i] >= 0 && pixels[i] <= 255);
            assert_true(pixels[i] == floorf(pixels[i]));
            changed += pixels[i] != (float)(i * 5 % 256);
        }
    }
    assert_true(changed > 50 * SIZE / 2);
}

static void photometric_reaches_its_share_of_the_images(void **state) {
    struct dataset set = {.count = IMAGES,
                          .shape = square,
                          .pixels = malloc((size_t)IMAGES * SIZE)};
    float *plain = malloc(sizeof(float) * IMAGES * SIZE);
    float *some = malloc(sizeof(float) * IMAGES * SIZE);
    uint32_t order[IMAGES];
    struct augment policy = {.deviation = {1, 1, 1}};
    int changed = 0;
    (void)state;
    assert_true(set.pixels && plain && some);
    for (int i = 0; i < IMAGES * SIZE; i++)
        set.pixels[i] = (uint8_t)(i * 11 % 251);
    for (uint32_t i = 0; i < IMAGES; i++)
        order[i] = i;
    augment_fill(&policy, &set, order, IMAGES, 3, 1, plain);
    policy.photometric = 0.25f;
    augment_fill(&policy, &set, order, IMAGES, 3, 1, some);
    for (size_t i = 0; i < IMAGES; i++)
        changed += memcmp(plain + i * SIZE, some + i * SIZE,
                          SIZE * sizeof *plain) != 0;
    assert_in_range(changed, IMAGES / 4 - 40, IMAGES / 4 + 40);
    free(set.pixels);
    free(plain);
    free(some);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(photometric_sharpen_blurs_and_sharpens),
        cmocka_unit_test(photometric_sharpen_leaves_what_is_even),
        cmocka_unit_test(photometric_jpeg_loses_by_quality),
        cmocka_unit_test(photometric_change_gives_bytes),
        cmocka_unit_test(photometric_reaches_its_share_of_the_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
