/*
 * The numbers come from Pillow: recorded in tests/data/resize.bin, and fresh
 * ones where python3-pil is installed (tests/data/make_resize.py).
 */
#include "models/classifier/resize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    enum resize_filter filter;
    struct resize_source from;
    int width, height;
    uint8_t *expected;
};

static uint8_t *make_source(uint32_t seed, size_t count) {
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    uint32_t state = seed;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = seed % 2 ? (uint8_t)(state >> 16)
                            : (uint8_t)(state >> 31 ? 255 : 0);
    }
    return bytes;
}

static int read_sample(FILE *f, struct sample *s) {
    char line[128];
    int filter, in_w, in_h, x0, y0, x1, y1, out_w, out_h;
    unsigned seed;
    if (!fgets(line, sizeof line, f))
        return 0;
    assert_int_equal(sscanf(line, "%d %d %d %d %d %d %d %d %d %u", &filter,
                            &in_w, &in_h, &x0, &y0, &x1, &y1, &out_w, &out_h,
                            &seed),
                     10);
    s->filter = (enum resize_filter)filter;
    s->from.rgb = make_source(seed, (size_t)in_w * (size_t)in_h * 3);
    s->from.width = in_w;
    s->from.height = in_h;
    s->from.box = (struct resize_box){x0 / 16.0, y0 / 16.0, (x1 - x0) / 16.0,
                                      (y1 - y0) / 16.0};
    s->width = out_w;
    s->height = out_h;
    size_t size = (size_t)out_w * (size_t)out_h * 3;
    s->expected = malloc(size);
    assert_non_null(s->expected);
    assert_int_equal(fread(s->expected, 1, size, f), size);
    return 1;
}

static void free_sample(struct sample *s) {
    free((void *)s->from.rgb);
    free(s->expected);
}

/* Row y of the result, from x on, against the expected whole. */
static void compare_window(const struct sample *s,
                           const struct resize_window *w, const uint8_t *out) {
    for (int y = 0; y < w->height; y++) {
        size_t row = (size_t)w->width * 3;
        const uint8_t *expected =
            s->expected +
            3 * ((size_t)(w->y + y) * (size_t)s->width + (size_t)w->x);
        if (memcmp(out + row * (size_t)y, expected, row) != 0)
            fail_msg("%s, %dx%d -> %dx%d: row %d differs",
                     resize_filter_name(s->filter), s->from.width,
                     s->from.height, s->width, s->height, w->y + y);
    }
}

/* Whole, and a window of it. Returns how many were compared. */
static int compare_all(FILE *f) {
    struct resizer r = {0};
    struct sample s;
    int count = 0;
    for (; read_sample(f, &s); count++) {
        struct resize_window windows[2] = {
            {0, 0, s.width, s.height},
            {s.width / 3, s.height / 4, (s.width + 1) / 2, (s.height + 2) / 3},
        };
        for (int i = 0; i < 2; i++) {
            struct err err = {0};
            size_t size =
                (size_t)windows[i].width * (size_t)windows[i].height * 3;
            uint8_t *out = malloc(size);
            assert_non_null(out);
            if (resize(&r, &s.from, s.filter, s.width, s.height, &windows[i],
                       out, &err) < 0)
                fail_msg("%s", err.text);
            compare_window(&s, &windows[i], out);
            free(out);
        }
        free_sample(&s);
    }
    resizer_free(&r);
    return count;
}

static void resize_equals_pillow_as_recorded(void **state) {
    (void)state;
    FILE *f = fopen("tests/data/resize.bin", "rb");
    assert_non_null(f);
    assert_int_equal(compare_all(f), 42);
    fclose(f);
}

static void resize_equals_the_pillow_that_is_installed(void **state) {
    (void)state;
    if (system("/usr/bin/python3 -c 'import PIL, numpy' 2>/dev/null") != 0) {
        print_message("python3-pil and python3-numpy are not installed\n");
        skip();
    }
    FILE *f = popen("/usr/bin/python3 tests/data/make_resize.py 1 150", "r");
    assert_non_null(f);
    assert_int_equal(compare_all(f), 150);
    assert_int_equal(pclose(f), 0);
}

/* Only the window is computed, so a strip that would be two million pixels
 * long when it is made high enough costs nothing. */
static void resize_of_a_long_strip_computes_the_window_alone(void **state) {
    (void)state;
    enum { LENGTH = 9000 };
    uint8_t *strip = malloc(3 * LENGTH);
    assert_non_null(strip);
    for (int x = 0; x < LENGTH; x++)
        memset(strip + 3 * x, x * 256 / LENGTH, 3);
    struct resize_source from = {strip, LENGTH, 1, {0, 0, LENGTH, 1}};
    struct resize_window middle = {256 * LENGTH / 2 - 2, 0, 4, 4};
    struct resizer r = {0};
    uint8_t out[4 * 4 * 3];
    for (int filter = 0; filter < RESIZE_FILTERS; filter++) {
        assert_int_equal(resize(&r, &from, (enum resize_filter)filter,
                                256 * LENGTH, 256, &middle, out, NULL),
                         0);
        assert_in_range(out[0], 127, 128);
        assert_in_range(out[47], 127, 128);
    }
    assert_true(r.capacity < 4096);
    resizer_free(&r);
    free(strip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_pillow_as_recorded),
        cmocka_unit_test(resize_equals_the_pillow_that_is_installed),
        cmocka_unit_test(resize_of_a_long_strip_computes_the_window_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
