/* PNGs by the decoder that reads everybody else's. */
#include "common/png.h"
#include "models/classifier/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void png_is_read_back_pixel_by_pixel(void **state) {
    enum { W = 37, H = 23 };
    uint8_t pixels[H * W * 3];
    struct image image = {0};
    struct err err = {0};
    size_t size;
    (void)state;
    for (int i = 0; i < H * W * 3; i++)
        pixels[i] = (uint8_t)(i * 7 + i / 100);
    uint8_t *png = png_encode(pixels, W, H, 3, &size);
    assert_non_null(png);
    if (image_decode(&image, png, size, 0, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(image.width, W);
    assert_int_equal(image.height, H);
    assert_memory_equal(image.rgb, pixels, sizeof pixels);
    image_free(&image);
    free(png);
}

/* Clear pixels are read as white, opaque ones as they are. */
static void png_keeps_transparency(void **state) {
    const uint8_t pixels[2 * 4] = {10, 20, 30, 255, 40, 50, 60, 0};
    const uint8_t expected[2 * 3] = {10, 20, 30, 255, 255, 255};
    struct image image = {0};
    size_t size;
    (void)state;
    uint8_t *png = png_encode(pixels, 2, 1, 4, &size);
    assert_non_null(png);
    assert_int_equal(image_decode(&image, png, size, 0, NULL), 0);
    assert_memory_equal(image.rgb, expected, sizeof expected);
    image_free(&image);
    free(png);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_is_read_back_pixel_by_pixel),
        cmocka_unit_test(png_keeps_transparency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
