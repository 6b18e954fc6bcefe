/* Views of a picture: what each shows, in both layouts, and their mean. */
#include "models/classifier/views.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { HEIGHT = 2, WIDTH = 3, PIXELS = HEIGHT * WIDTH };

/* Number of channel c of pixel (y, x): 100 c + 10 y + x. */
static void fill(float *to, bool channels_last) {
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                int pixel = y * WIDTH + x;
                to[channels_last ? pixel * 3 + c : c * PIXELS + pixel] =
                    (float)(100 * c + 10 * y + x);
            }
}

static void check(const struct view *view, bool channels_last,
                  const float wanted[PIXELS]) {
    float from[3 * PIXELS], to[3 * PIXELS];
    struct view_shape shape = {HEIGHT, WIDTH, channels_last};
    fill(from, channels_last);
    view_write(view, shape, from, to);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < PIXELS; i++)
            assert_float_equal(to[channels_last ? i * 3 + c : c * PIXELS + i],
                               wanted[i] + 100 * (float)c, 0);
}

static void views_move_mirror_and_repeat_the_edge(void **state) {
    static const struct {
        struct view view;
        float wanted[PIXELS];
    } cases[] = {
        {{false, 0, 0, 1}, {0, 1, 2, 10, 11, 12}},
        {{true, 0, 0, 1}, {2, 1, 0, 12, 11, 10}},
        {{false, 1, 0, 1}, {0, 1, 2, 0, 1, 2}},
        {{false, 0, -1, 1}, {1, 2, 2, 11, 12, 12}},
        {{true, -1, 1, 1}, {11, 10, 10, 11, 10, 10}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check(&cases[i].view, false, cases[i].wanted);
        check(&cases[i].view, true, cases[i].wanted);
    }
}

static void views_start_with_the_picture_and_weigh_one(void **state) {
    static const int counts[] = {1, 2, 6};
    (void)state;
    for (int i = 0; i < 3; i++) {
        const struct view *views = views_find(counts[i]);
        float sum = 0;
        assert_non_null(views);
        assert_true(!views[0].mirrored && !views[0].down && !views[0].right);
        for (int v = 0; v < counts[i]; v++)
            sum += views[v].weight;
        assert_float_equal(sum, 1, 0);
    }
    assert_null(views_find(0));
    assert_null(views_find(3));
}

static void views_average_by_their_weights(void **state) {
    float scores[6][2] = {{8, 1}, {16, 1}, {8, 1}, {8, 1}, {0, 1}, {0, 1}};
    (void)state;
    views_average(views_find(6), 6, scores[0], 2);
    assert_float_equal(scores[0][0], 8, 0);
    assert_float_equal(scores[0][1], 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_move_mirror_and_repeat_the_edge),
        cmocka_unit_test(views_start_with_the_picture_and_weigh_one),
        cmocka_unit_test(views_average_by_their_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
