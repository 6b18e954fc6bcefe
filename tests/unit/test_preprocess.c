#include "models/classifier/preprocess.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The picture of make_preprocess.py. */
static struct image make_picture(int width, int height) {
    size_t count = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(count);
    assert_non_null(rgb);
    for (size_t i = 0; i < count; i++)
        rgb[i] = (uint8_t)((i * i * 7 + i * 13) / 16);
    return (struct image){.rgb = rgb,
                          .width = width,
                          .height = height,
                          .box = {0, 0, width, height},
                          .shown_width = width,
                          .shown_height = height};
}

/* Pillow's bytes are equal, so what is left is rounding of float32. */
static void compare(FILE *f, const char *json, int width, int height,
                    int out_width, int out_height) {
    struct preprocess p;
    struct preprocess_work work = {0};
    struct err err = {0};
    size_t count = 3 * (size_t)out_width * (size_t)out_height;
    float *expected = malloc(count * sizeof *expected);
    float *tensor = malloc(count * sizeof *tensor);
    assert_true(expected && tensor);
    assert_int_equal(fread(expected, sizeof *expected, count, f), count);
    if (preprocess_read(&p, json, strlen(json), "p.json", out_width, -1, &err) <
        0)
        fail_msg("%s: %s", json, err.text);
    assert_int_equal(p.width, out_width);
    assert_int_equal(p.height, out_height);
    struct image image = make_picture(width, height);
    for (size_t i = 0; i < count; i++)
        tensor[i] = NAN;
    assert_int_equal(preprocess_apply(&p, &work, &image, tensor, &err), 0);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(tensor[i] - expected[i]) <=
              1e-6f * fmaxf(1, fabsf(expected[i]))))
            fail_msg("%s: number %zu is %.8g, not %.8g", json, i,
                     (double)tensor[i], (double)expected[i]);
    free((void *)image.rgb);
    free(expected);
    free(tensor);
    preprocess_work_free(&work);
}

static void preprocess_gives_the_numbers_of_transformers(void **state) {
    (void)state;
    char line[2048];
    int cases = 0, width, height, out_width, out_height, at;
    FILE *f = fopen("tests/data/preprocess.bin", "rb");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f); cases++) {
        assert_int_equal(sscanf(line, "%d %d %d %d %n", &width, &height,
                                &out_width, &out_height, &at),
                         4);
        compare(f, line + at, width, height, out_width, out_height);
    }
    fclose(f);
    assert_int_equal(cases, 14);
}

static void preprocess_can_put_channels_last(void **state) {
    (void)state;
    struct preprocess p;
    struct preprocess_work work = {0};
    struct err err = {0};
    float first[3 * 20], last[20 * 3];
    struct image image = make_picture(9, 7);
    preprocess_imagenet(&p, 5, 4);
    assert_int_equal(preprocess_apply(&p, &work, &image, first, &err), 0);
    p.channels_last = true;
    assert_int_equal(preprocess_apply(&p, &work, &image, last, &err), 0);
    for (int i = 0; i < 20; i++)
        for (int c = 0; c < 3; c++)
            assert_true(first[c * 20 + i] == last[i * 3 + c]);
    free((void *)image.rgb);
    preprocess_work_free(&work);
}

#define SIZE "\"size\":{\"height\":8,\"width\":8}"
#define MEAN "\"image_mean\":[0,0,0],\"image_std\":[1,1,1]"

/* What is wrong, and what the error has to mention. */
static const struct {
    const char *json, *says;
} broken[] = {
    {"", "p.json"},
    {"[]", "one JSON object"},
    {"{\"size\":}", "line 1"},
    {"{\"do_center_crop\":true}", "\"size\""},
    {"{\"size\":8.5}", "\"size\": 8.5"},
    {"{\"size\":[3,8,8,8]}", "[3,8,8,8]"},
    {"{\"size\":{\"shortest_edge\":8,\"longest_edge\":7},"
     "\"do_center_crop\":true}",
     "no less than"},
    {"{\"size\":8,\"mean\":NaN}", "NaN is no JSON"},
    {"{\"size\":0}", "\"size\": 0"},
    {"{\"size\":\"big\"}", "\"size\": \"big\""},
    {"{\"size\":99999}", "99999"},
    {"{\"size\":-8}", "-8"},
    {"{\"size\":[8]}", "[8]"},
    {"{\"size\":{\"longest_edge\":8}}", "longest_edge"},
    {"{\"size\":{\"height\":8}}", "{\"height\":8}"},
    {"{\"size\":{\"shortest_edge\":8}}", "various sizes"},
    {"{\"do_resize\":false}", "\"do_resize\": false"},
    {"{\"do_resize\":1}", "true or false"},
    {"{" SIZE ",\"resample\":6}", "\"resample\": 6"},
    {"{" SIZE ",\"resample\":-1}", "\"resample\": -1"},
    {"{" SIZE ",\"resample\":\"cubic\"}", "\"cubic\""},
    {"{" SIZE ",\"do_center_crop\":true,\"crop_size\":{\"shortest_edge\":8}}",
     "\"crop_size\""},
    {"{" SIZE ",\"do_center_crop\":true,\"crop_size\":7}", "7 x 7"},
    {"{\"size\":9}", "network takes 8 x 8"},
    {"{\"size\":{\"height\":8,\"width\":10}}", "10 x 8"},
    {"{" SIZE ",\"do_normalize\":true}", "\"image_mean\""},
    {"{" SIZE ",\"image_mean\":[0,0,0]}", "\"image_std\""},
    {"{" SIZE ",\"image_mean\":[0,0],\"image_std\":[1,1]}", "three numbers"},
    {"{" SIZE ",\"image_mean\":[0,0,0],\"image_std\":[1,0,1]}",
     "greater than 0"},
    {"{" SIZE ",\"rescale_factor\":0}", "\"rescale_factor\": 0"},
    {"{" SIZE ",\"rescale_factor\":\"1/255\"}", "1/255"},
    {"{" SIZE "," MEAN ",\"do_pad\":true}", "\"do_pad\""},
    {"{" SIZE ",\"crop_pct\":1.5}", "\"crop_pct\": 1.5"},
    {"{" SIZE ",\"crop_pct\":1e-30}", "\"crop_pct\": 1e-30"},
    {"{\"input_size\":[3,8,8],\"crop_pct\":1e-30}", "\"crop_pct\": 1e-30"},
    {"{\"input_size\":[3,8,8],\"crop_mode\":\"border\"}", "\"border\""},
    {"{\"size\":8,\"size\":8}", "duplicate"},
    {"{" SIZE ",\"views\":4}", "1 to 8 views"},
    {"{" SIZE ",\"views\":[]}", "1 to 8 views"},
    {"{" SIZE ",\"views\":[{},{},{},{},{},{},{},{},{}]}", "1 to 8 views"},
    {"{" SIZE ",\"views\":[{\"mirror\":true}]}", "the first of them empty"},
    {"{" SIZE ",\"views\":[{},true]}", "should be objects"},
    {"{" SIZE ",\"views\":[{},{\"mirror\":1}]}", "{\"mirror\":1}"},
    {"{" SIZE ",\"views\":[{},{\"part\":1.5}]}", "{\"part\":1.5}"},
    {"{" SIZE ",\"views\":[{},{\"zoom\":2}]}", "{\"zoom\":2}"},
};

static void preprocess_read_says_what_is_wrong(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct preprocess p;
        struct err err = {0};
        int status = preprocess_read(&p, broken[i].json, strlen(broken[i].json),
                                     "p.json", 8, 8, &err);
        if (status == 0 || !strstr(err.text, broken[i].says) ||
            !strstr(err.text, "p.json"))
            fail_msg("%s: \"%s\" should mention %s", broken[i].json, err.text,
                     broken[i].says);
    }
}

/* What others write for one and the same, of 8 x 8. */
static void preprocess_reads_sizes_in_every_form(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"resample\":3}",
        "{\"size\":8,\"resample\":\"bicubic\"}",
        "{\"size\":8.0,\"resample\":\"BICUBIC\"}",
        "{\"size\":[8,8],\"resample\":3}",
        "{\"size\":[3,8,8],\"resample\":3}",
        "\xef\xbb\xbf{\"size\":{\"height\":8,\"width\":8},\"resample\":3}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct preprocess p;
        struct err err = {0};
        if (preprocess_read(&p, rows[i], strlen(rows[i]), "p.json", 8, 8,
                            &err) < 0)
            fail_msg("%s: %s", rows[i], err.text);
        assert_true(p.resize && !p.crop && p.filter == RESIZE_BICUBIC);
        assert_int_equal(p.resize_width, 8);
        assert_int_equal(p.resize_height, 8);
    }
}

static void preprocess_reads_the_keys_of_timm(void **state) {
    (void)state;
    static const char json[] =
        "{\"input_size\":[3,8,8],\"crop_pct\":0.5,\"mean\":[0.5,0.5,0.5],"
        "\"std\":[1,1,1],\"interpolation\":\"bicubic\"}";
    struct preprocess p;
    struct err err = {0};
    if (preprocess_read(&p, json, sizeof json - 1, "p.json", 8, 8, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(p.crop && p.normalise && p.filter == RESIZE_BICUBIC);
    assert_int_equal(p.shortest_edge, 16);
    assert_true(p.mean[2] == 0.5);
}

/* As transformers' get_resize_output_image_size(): 100 x 300 would become
 * 8 x 24, and with 12 at most 4 x 12. */
static void preprocess_bounds_the_longer_side(void **state) {
    (void)state;
    static const char json[] =
        "{\"size\":{\"shortest_edge\":8,\"longest_edge\":12},"
        "\"do_center_crop\":true,\"crop_size\":8}";
    struct preprocess p;
    struct err err = {0};
    float region[4];
    if (preprocess_read(&p, json, sizeof json - 1, "p.json", 8, 8, &err) < 0)
        fail_msg("%s", err.text);
    preprocess_region(&p, 100, 300, region);
    assert_true(region[2] == 8 / 4.0f && region[3] == 8 / 12.0f);
    preprocess_region(&p, 300, 200, region);
    assert_true(region[2] == 8 / 12.0f && region[3] == 1);
}

/* Nearest takes single pixels, which a JPEG decoded at a half has not. */
static void preprocess_by_nearest_wants_the_whole_picture(void **state) {
    (void)state;
    struct preprocess p;
    struct err err = {0};
    static const char json[] = "{\"size\":8,\"resample\":0}";
    assert_int_equal(
        preprocess_read(&p, json, sizeof json - 1, "p.json", 8, 8, &err), 0);
    assert_int_equal(preprocess_least(&p), 0);
}

static void preprocess_imagenet_is_256_to_224(void **state) {
    (void)state;
    struct preprocess p;
    preprocess_imagenet(&p, -1, -1);
    assert_int_equal(p.width, 224);
    assert_int_equal(p.shortest_edge, 256);
    assert_int_equal(preprocess_least(&p), 256);
    preprocess_imagenet(&p, 227, 227);
    assert_int_equal(p.shortest_edge, 259);
    /* 640 x 480 becomes 341 x 256; the middle 224 are seen. */
    preprocess_imagenet(&p, 224, 224);
    float region[4];
    preprocess_region(&p, 640, 480, region);
    assert_true(fabsf(region[0] - 58 / 341.0f) < 1e-6f);
    assert_true(fabsf(region[1] - 16 / 256.0f) < 1e-6f);
    assert_true(fabsf(region[2] - 224 / 341.0f) < 1e-6f);
    assert_true(fabsf(region[3] - 224 / 256.0f) < 1e-6f);
}

static void
preprocess_region_goes_beyond_the_picture_where_it_pads(void **state) {
    (void)state;
    struct preprocess p;
    struct err err = {0};
    static const char json[] =
        "{\"do_resize\":false,\"do_center_crop\":true,\"crop_size\":10}";
    assert_int_equal(
        preprocess_read(&p, json, sizeof json - 1, "p.json", -1, -1, &err), 0);
    float region[4];
    preprocess_region(&p, 5, 20, region);
    assert_true(region[0] == -3 / 5.0f && region[2] == 2);
    assert_true(region[1] == 0.25f && region[3] == 0.5f);
}

static void preprocess_describes_each_step(void **state) {
    (void)state;
    struct preprocess p;
    preprocess_imagenet(&p, 224, 224);
    char *text = preprocess_describe(&p);
    assert_non_null(text);
    assert_string_equal(
        text, "resize the shorter side to 256, bilinear\n"
              "cut out 224 x 224 in the centre\n"
              "multiply by 0.00392157\n"
              "subtract (0.485, 0.456, 0.406) and divide by (0.229, 0.224, "
              "0.225)\n"
              "feed as float32 (N, 3, height, width)\n");
    free(text);

    static const char views[] =
        "{" SIZE ",\"views\":[{},{\"square\":true,\"mirror\":true},"
        "{\"part\":0.8}]}";
    struct err err = {0};
    assert_int_equal(
        preprocess_read(&p, views, sizeof views - 1, "p.json", 8, 8, &err), 0);
    text = preprocess_describe(&p);
    assert_non_null(text);
    assert_non_null(
        strstr(text, "look 3 times at a larger picture, and average: the "
                     "whole; the middle square, mirrored; 0.8 of the whole\n"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preprocess_gives_the_numbers_of_transformers),
        cmocka_unit_test(preprocess_can_put_channels_last),
        cmocka_unit_test(preprocess_read_says_what_is_wrong),
        cmocka_unit_test(preprocess_reads_sizes_in_every_form),
        cmocka_unit_test(preprocess_reads_the_keys_of_timm),
        cmocka_unit_test(preprocess_bounds_the_longer_side),
        cmocka_unit_test(preprocess_by_nearest_wants_the_whole_picture),
        cmocka_unit_test(preprocess_imagenet_is_256_to_224),
        cmocka_unit_test(
            preprocess_region_goes_beyond_the_picture_where_it_pads),
        cmocka_unit_test(preprocess_describes_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
