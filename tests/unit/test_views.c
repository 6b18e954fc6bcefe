/* Views of a picture: what each shows, in both layouts, and their mean. */
#include "models/classifier/classifier.h"
#include "models/classifier/views.h"
#include "tests/unit/quarter_model.h"

#include <math.h>
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
    struct view_shape shape = {3, HEIGHT, WIDTH, channels_last};
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
        {{.part = 1}, {0, 1, 2, 10, 11, 12}},
        {{.mirrored = true}, {2, 1, 0, 12, 11, 10}},
        {{.down = 1}, {0, 1, 2, 0, 1, 2}},
        {{.right = -1}, {1, 2, 2, 11, 12, 12}},
        {{.mirrored = true, .down = -1, .right = 1}, {11, 10, 10, 11, 10, 10}},
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
        const struct views *views = views_find(counts[i]);
        float sum = 0;
        assert_non_null(views);
        assert_int_equal(views->count, counts[i]);
        const struct view *first = &views->list[0];
        assert_true(!first->mirrored && !first->down && !first->right);
        for (int v = 0; v < counts[i]; v++) {
            assert_true(view_is_whole(&views->list[v]));
            sum += views->weights[v];
        }
        assert_float_equal(sum, 1, 0);
    }
    assert_null(views_find(0));
    assert_null(views_find(3));
}

static void views_average_by_their_weights(void **state) {
    float scores[6][2] = {{8, 1}, {16, 1}, {8, 1}, {8, 1}, {0, 1}, {0, 1}};
    (void)state;
    views_average(views_find(6), scores[0], 2);
    assert_float_equal(scores[0][0], 8, 0);
    assert_float_equal(scores[0][1], 1, 0);
}

/* A photo of 640 x 480, of which `1 / scale` of the pixels are in memory, with
 * half a pixel at its left that is none of it. */
static void check_part(struct view view, int scale, int width, int height,
                       double x, double y) {
    struct image part, image = {.width = 640 / scale + 1,
                                .height = 480 / scale,
                                .box = {0.5, 0, 640.0 / scale, 480.0 / scale},
                                .shown_width = 640,
                                .shown_height = 480};
    view_part(&view, &image, &part);
    assert_int_equal(part.shown_width, width);
    assert_int_equal(part.shown_height, height);
    assert_float_equal(part.box.x, 0.5 + x / scale, 1e-6);
    assert_float_equal(part.box.y, y / scale, 1e-6);
    assert_float_equal(part.box.width, (double)width / scale, 1e-6);
    assert_float_equal(part.box.height, (double)height / scale, 1e-6);
    assert_int_equal(part.width, image.width);
}

static void views_show_the_middle(void **state) {
    (void)state;
    for (int scale = 1; scale <= 4; scale *= 4) {
        check_part((struct view){.part = 1}, scale, 640, 480, 0, 0);
        check_part((struct view){.part = 0.5f}, scale, 320, 240, 160, 120);
        check_part((struct view){.square = true, .part = 1}, scale, 480, 480,
                   80, 0);
        check_part((struct view){.square = true, .part = 0.25f}, scale, 120,
                   120, 260, 180);
    }
    struct image dot = {
        .box = {0, 0, 1, 3}, .shown_width = 1, .shown_height = 3};
    view_part(&(struct view){.square = true, .part = 0.1f}, &dot, &dot);
    assert_int_equal(dot.shown_width, 1);
    assert_int_equal(dot.shown_height, 1);
    assert_float_equal(dot.box.y, 1, 1e-6);
}

/* The network counts the light in the lower right quarter: 64 pixels in three
 * channels, 0.05 each. In the picture of 24 x 16 only the right 8 columns are
 * lit, from the middle down: 5 1/3 columns of the squeezed whole, so 42 2/3
 * pixels; 4 columns of the middle square, so 32; none of it mirrored. */
static void views_of_a_folder_are_averaged(void **state) {
    static const char config[] =
        "{\"size\": {\"height\": 16, \"width\": 16}, \"resample\": 4, "
        "\"views\": [{}, {\"mirror\": true}, {\"square\": true}]}";
    static uint8_t wide[24 * 16 * 3], small[16 * 16 * 3];
    static struct classification out[3];
    char folder[] = "/tmp/convoy-test-XXXXXX";
    struct err err = {0};
    (void)state;
    for (int y = 8; y < 16; y++) {
        memset(wide + (y * 24 + 16) * 3, 255, (size_t)8 * 3);
        memset(small + (y * 16 + 8) * 3, 255, (size_t)8 * 3);
    }
    assert_non_null(mkdtemp(folder));
    quarter_model_write(folder);
    quarter_write(folder, "preprocessor_config.json", config,
                  sizeof config - 1);
    struct classifier *c = classifier_load(folder, &err);
    if (!c)
        fail_msg("%s", err.text);
    struct classifier_run *run = classifier_run_open(c, 2, &err);
    const uint8_t *pictures[] = {wide, wide, wide};
    classifier_run_pixels(run, pictures, 24, 16, 3, 2, out);
    double light = 3 * 0.05 * (64 * 2.0 / 3 + 0 + 32) / 3;
    for (int i = 0; i < 3; i++) {
        assert_false(out[i].failed);
        assert_float_equal(out[i].top[0].score, 1 / (1 + exp(-light)), 1e-2);
    }
    /* No larger than the input: one look. */
    pictures[0] = small;
    classifier_run_pixels(run, pictures, 16, 16, 1, 2, out);
    assert_float_equal(out[0].top[0].score, 1 / (1 + exp(-3 * 0.05 * 64)),
                       1e-5);
    classifier_run_close(run);

    run = classifier_run_open_views(c, 2, 1, &err); /* whatever it says */
    classifier_run_pixels(run, (const uint8_t *const[]){wide}, 24, 16, 1, 2,
                          out);
    light = 3 * 0.05 * 64 * 2 / 3;
    assert_float_equal(out[0].top[0].score, 1 / (1 + exp(-light)), 1e-3);
    classifier_run_close(run);
    assert_null(classifier_run_open_views(c, 2, 3, &err));
    assert_non_null(strstr(err.text, "1, 2 or 6"));
    classifier_free(c);
    quarter_model_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_move_mirror_and_repeat_the_edge),
        cmocka_unit_test(views_start_with_the_picture_and_weigh_one),
        cmocka_unit_test(views_average_by_their_weights),
        cmocka_unit_test(views_show_the_middle),
        cmocka_unit_test(views_of_a_folder_are_averaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
