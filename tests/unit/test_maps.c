/* Activation maps: the arithmetic, and that the bundled network's point at the
 * object. */
#include "models/classifier/maps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MODEL "models/zoo/cifar10-airbench"

enum { CIFAR = 32, RECORD = 1 + 3 * CIFAR * CIFAR, SIDE = 2 * CIFAR };
enum { COMPOSITES = 600, HELD_OUT = 5000 };

static void maps_scale_from_least_to_greatest(void **state) {
    const float cells[4] = {-2, 3, 0.5f, -2}, flat[2] = {7, 7};
    uint8_t bytes[4];
    (void)state;
    maps_scale(cells, 4, bytes);
    assert_memory_equal(bytes, ((uint8_t[]){0, 255, 128, 0}), 4);
    maps_scale(flat, 2, bytes);
    assert_memory_equal(bytes, ((uint8_t[]){0, 0}), 2);
}

static void maps_are_weighted_features(void **state) {
    /* 2 channels of 1 x 3, two classes. */
    const float features[] = {1, 2, 3, 10, 0, -10};
    const float weights[] = {1, 0, 0, -1};
    const struct nn_cam cam = {.classes = 2,
                               .channels = 2,
                               .height = 1,
                               .width = 3,
                               .weights = weights,
                               .features = features,
                               .stride_n = 6,
                               .stride_c = 3,
                               .stride_h = 3,
                               .stride_w = 1};
    static struct classification out;
    (void)state;
    out.top_count = 2;
    out.top[0].index = 1;
    out.top[1].index = 0;
    maps_activation(&cam, 0, &out);
    assert_int_equal(out.map_count, 2);
    assert_int_equal(out.map_width, 3);
    assert_memory_equal(out.maps[0], ((uint8_t[]){0, 128, 255}), 3);
    assert_memory_equal(out.maps[1], ((uint8_t[]){0, 128, 255}), 3);
}

/* The record's picture in one quarter of another, the rest its mean colour. */
static void compose(const uint8_t *record, int quarter, uint8_t *rgb) {
    int top = quarter / 2 * CIFAR, left = quarter % 2 * CIFAR;
    for (int c = 0; c < 3; c++) {
        const uint8_t *plane = record + 1 + c * CIFAR * CIFAR;
        int sum = 0;
        for (int i = 0; i < CIFAR * CIFAR; i++)
            sum += plane[i];
        for (int i = 0; i < SIDE * SIDE; i++) {
            int y = i / SIDE - top, x = i % SIDE - left;
            bool inside = y >= 0 && y < CIFAR && x >= 0 && x < CIFAR;
            rgb[i * 3 + c] = inside ? plane[y * CIFAR + x]
                                    : (uint8_t)(sum / (CIFAR * CIFAR));
        }
    }
}

/* Whether the greatest cell lies in the quarter; one on a line between two
 * lies in both. */
static bool points_at(const struct classification *out, int quarter) {
    int cells = out->map_width * out->map_height, best = 0;
    for (int i = 1; i < cells; i++)
        if (out->maps[0][i] > out->maps[0][best])
            best = i;
    int y = 2 * (best / out->map_width) + 1 - out->map_height;
    int x = 2 * (best % out->map_width) + 1 - out->map_width;
    return (quarter / 2 ? y >= 0 : y <= 0) && (quarter % 2 ? x >= 0 : x <= 0);
}

static uint8_t *read_held_out(void) {
    const char *data = getenv("CONVOY_DATA");
    char path[4096];
    if (!data) {
        print_message("skipped: CONVOY_DATA is not set\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/cifar10/data_batch_5.bin", data);
    uint8_t *records = malloc((size_t)HELD_OUT * RECORD);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)HELD_OUT * RECORD, SEEK_SET), 0);
    assert_int_equal(fread(records, RECORD, HELD_OUT, file), HELD_OUT);
    fclose(file);
    return records;
}

static void maps_point_at_the_object(void **state) {
    static struct classification out;
    static uint8_t rgb[SIDE * SIDE * 3];
    const uint8_t *pixels = rgb;
    struct err err = {0};
    int pointing = 0;
    (void)state;
    uint8_t *records = read_held_out();
    struct classifier *c = classifier_load(MODEL, &err);
    if (!c)
        fail_msg("%s", err.text);
    struct classifier_run *run = classifier_run_open(c, 1, &err);
    for (int i = 0; i < COMPOSITES; i++) {
        compose(records + (size_t)i * 8 * RECORD, i % 4, rgb);
        classifier_run_pixels(run, &pixels, SIDE, SIDE, 1, 1, &out);
        assert_false(out.failed);
        pointing += points_at(&out, i % 4);
    }
    print_message("%.1f %% of %d maps have their greatest cell in the "
                  "object's quarter\n",
                  100.0 * pointing / COMPOSITES, COMPOSITES);
    assert_true(pointing >= COMPOSITES * 85 / 100);
    classifier_run_close(run);
    classifier_free(c);
    free(records);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_scale_from_least_to_greatest),
        cmocka_unit_test(maps_are_weighted_features),
        cmocka_unit_test(maps_point_at_the_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
