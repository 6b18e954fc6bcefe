/* Maps by occlusion: what is covered, and that a network without activation
 * maps is found to look where it does. */
#include "models/classifier/classifier.h"
#include "models/classifier/occlusion.h"
#include "tests/unit/quarter_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIDE = QUARTER_SIDE, PIXELS = SIDE * SIDE };

static void occlusion_covers_a_square_with_the_mean(void **state) {
    float from[3 * PIXELS], to[3 * PIXELS];
    (void)state;
    for (int last = 0; last < 2; last++) {
        struct view_shape shape = {3, SIDE, SIDE, last == 1};
        for (int i = 0; i < 3 * PIXELS; i++)
            from[i] = (float)(last ? i % 3 : i / PIXELS) * 8 +
                      (float)((last ? i / 3 : i) % 2) * 2;
        occlusion_cover(OCCLUSION_PLACES - 1, shape, from, to);
        for (int i = 0; i < 3 * PIXELS; i++) {
            int c = last ? i % 3 : i / PIXELS;
            int pixel = last ? i / 3 : i % PIXELS;
            bool covered = pixel / SIDE >= 12 && pixel % SIDE >= 12;
            assert_float_equal(to[i], covered ? (float)c * 8 + 1 : from[i], 0);
        }
    }
}

static void occlusion_of_equal_falls_is_even(void **state) {
    float cells[OCCLUSION_CELLS] = {0};
    (void)state;
    for (int place = 0; place < OCCLUSION_PLACES; place++)
        occlusion_add(place, 3, cells);
    for (int i = 0; i < OCCLUSION_CELLS; i++)
        assert_float_equal(cells[i], 3, 0);
}

static void occlusion_finds_where_a_network_looks(void **state) {
    char folder[] = "/tmp/convoy-test-XXXXXX";
    static struct classification plain, explained;
    unsigned char bmp[QUARTER_BMP_SIZE];
    struct err err = {0};
    (void)state;

    assert_non_null(mkdtemp(folder));
    quarter_model_write(folder);
    struct classifier *c = classifier_load(folder, &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_false(classifier_explainable(c));
    struct classifier_run *run = classifier_run_open(c, 4, &err);
    struct classifier_image image = {bmp, sizeof bmp};
    quarter_bmp(bmp);
    classifier_run(run, &image, 1, 2, &plain);
    classifier_run_explain(run, &image, 2, &explained);
    assert_false(explained.failed);
    assert_int_equal(plain.map_count, 0);
    assert_int_equal(explained.map_count, 2);
    assert_int_equal(explained.top[0].index, 0);
    assert_true(explained.top[0].score == plain.top[0].score);
    for (int i = 0; i < OCCLUSION_CELLS; i++) {
        int y = i / OCCLUSION_SIDE, x = i % OCCLUSION_SIDE;
        /* The squares reach a cell beyond the quarter. */
        if (y < 3 || x < 3)
            assert_int_equal(explained.maps[0][i], 0);
        if (y >= 5 && x >= 5)
            assert_true(explained.maps[0][i] > 200);
    }
    classifier_run_close(run);
    classifier_free(c);
    quarter_model_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(occlusion_covers_a_square_with_the_mean),
        cmocka_unit_test(occlusion_of_equal_falls_is_even),
        cmocka_unit_test(occlusion_finds_where_a_network_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
