#include "common/heatmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#include <stb/stb_image.h>

static const float whole[4] = {0, 0, 1, 1};

/* Decoded by a decoder that is not ours. */
static uint8_t *render(const uint8_t *cells, int width, int height,
                       const float region[4], int photo_width, int photo_height,
                       int *w, int *h) {
    size_t size;
    int channels;
    struct err err = {0};
    uint8_t *png = heatmap_png(cells, width, height, region, photo_width,
                               photo_height, &size, &err);
    assert_non_null(png);
    uint8_t *pixels = stbi_load_from_memory(png, (int)size, w, h, &channels, 4);
    assert_non_null(pixels);
    assert_int_equal(channels, 4);
    free(png);
    return pixels;
}

static void heatmap_has_the_aspect_ratio_of_the_photo(void **state) {
    (void)state;
    const struct {
        int width, height, expected_width, expected_height;
    } photos[] = {{4032, 3024, 256, 192}, {3024, 4032, 192, 256},
                  {32, 32, 256, 256},     {1, 1, 256, 256},
                  {60000, 1, 256, 1},     {1, 60000, 1, 256}};
    const uint8_t cell = 128;
    for (size_t i = 0; i < sizeof photos / sizeof *photos; i++) {
        int w, h;
        free(render(&cell, 1, 1, whole, photos[i].width, photos[i].height, &w,
                    &h));
        assert_int_equal(w, photos[i].expected_width);
        assert_int_equal(h, photos[i].expected_height);
    }
}

static void heatmap_is_hottest_where_the_map_is(void **state) {
    (void)state;
    uint8_t cells[64] = {0};
    cells[2 * 8 + 6] = 255;
    int w, h, best = -1, best_x = 0, best_y = 0;
    uint8_t *pixels = render(cells, 8, 8, whole, 100, 100, &w, &h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            if (pixels[4 * (y * w + x) + 3] > best) {
                best = pixels[4 * (y * w + x) + 3];
                best_x = x;
                best_y = y;
            }
    /* Cell (6, 2) of 8 covers 192..223 by 64..95 of 256 pixels. */
    assert_in_range(best_x, 192, 223);
    assert_in_range(best_y, 64, 95);
    assert_int_equal(pixels[4 * (200 * w + 20) + 3], 0); /* far away: clear */
    free(pixels);
}

static void heatmap_grows_lighter_and_denser_with_the_activation(void **state) {
    (void)state;
    int last_light = -1, last_alpha = -1;
    for (int value = 0; value <= 255; value += 15) {
        uint8_t cell = (uint8_t)value;
        int w, h;
        uint8_t *pixels = render(&cell, 1, 1, whole, 8, 8, &w, &h);
        /* ITU-R BT.709 luma, in thousandths */
        int light = 213 * pixels[0] + 715 * pixels[1] + 72 * pixels[2];
        assert_true(light > last_light);
        assert_true(pixels[3] > last_alpha);
        for (int i = 0; i < 4 * w * h; i++) /* one colour, but for rounding */
            assert_in_range(pixels[i] + 1, pixels[i % 4], pixels[i % 4] + 2);
        last_light = light;
        last_alpha = pixels[3];
        free(pixels);
    }
    assert_in_range(last_alpha, 200, 254);
}

static void heatmap_is_clear_outside_of_what_was_seen(void **state) {
    (void)state;
    const uint8_t cells[4] = {255, 255, 255, 255};
    const float middle[4] = {0.25f, 0, 0.5f, 1};
    int w, h;
    uint8_t *pixels = render(cells, 2, 2, middle, 200, 100, &w, &h);
    for (int x = 0; x < w; x++) {
        int alpha = pixels[4 * (h / 2 * w + x) + 3];
        assert_int_equal(alpha > 0, x >= w / 4 && x < w * 3 / 4);
    }
    free(pixels);
}

static void heatmap_refuses_a_map_without_extent(void **state) {
    (void)state;
    const uint8_t cell = 1;
    const float flat[4] = {0, 0, 0, 1}, none[4] = {0, 0, 1, NAN};
    size_t size;
    struct err err = {0};
    assert_null(heatmap_png(&cell, 0, 1, whole, 8, 8, &size, &err));
    assert_null(heatmap_png(&cell, 1, 1, whole, 0, 8, &size, &err));
    assert_null(heatmap_png(&cell, 1, 1, flat, 8, 8, &size, &err));
    assert_null(heatmap_png(&cell, 1, 1, none, 8, 8, &size, &err));
    assert_string_not_equal(err.text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heatmap_has_the_aspect_ratio_of_the_photo),
        cmocka_unit_test(heatmap_is_hottest_where_the_map_is),
        cmocka_unit_test(heatmap_grows_lighter_and_denser_with_the_activation),
        cmocka_unit_test(heatmap_is_clear_outside_of_what_was_seen),
        cmocka_unit_test(heatmap_refuses_a_map_without_extent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
