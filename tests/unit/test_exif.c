#include "models/classifier/exif.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One directory with Make (an offset, ignored) and Orientation 6. */
static const uint8_t little[] = {
    'I',  'I',  '*', 0, 8, 0, 0, 0, 2,    0,       /* header, two entries */
    0x0f, 0x01, 2,   0, 4, 0, 0, 0, 0xff, 0, 0, 0, /* Make */
    0x12, 0x01, 3,   0, 1, 0, 0, 0, 6,    0, 0, 0, /* Orientation */
    0,    0,    0,   0};
static const uint8_t big[] = {'M', 'M',  0,    '*', 0, 0, 0, 8, 0,
                              1,   0x01, 0x12, 0,   3, 0, 0, 0, 1,
                              0,   8,    0,    0,   0, 0, 0, 0};

static void exif_orientation_reads_both_byte_orders(void **state) {
    (void)state;
    assert_int_equal(exif_orientation(little, sizeof little), 6);
    assert_int_equal(exif_orientation(big, sizeof big), 8);
    uint8_t named[6 + sizeof big] = "Exif\0";
    memcpy(named + 6, big, sizeof big);
    assert_int_equal(exif_orientation(named, sizeof named), 8);
}

static void exif_orientation_of_nonsense_is_upright(void **state) {
    (void)state;
    uint8_t bad[sizeof little];
    assert_int_equal(exif_orientation(NULL, 0), 1);
    assert_int_equal(exif_orientation((const uint8_t *)"Exif\0\0", 6), 1);
    static const struct {
        size_t at;
        uint8_t value;
    } damages[] = {
        {0, 'X'}, {4, 0xff}, {7, 0xff}, {8, 1}, /* ends before the entry */
        {24, 4},                                /* another type */
        {26, 2},                                /* two values */
        {30, 0},  {30, 9},   {31, 1},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        memcpy(bad, little, sizeof bad);
        bad[damages[i].at] = damages[i].value;
        assert_int_equal(exif_orientation(bad, sizeof bad), 1);
    }
}

/* A block of exactly the size given, so that sanitizers see overruns. */
static void exif_orientation_stays_inside_of_what_it_is_given(void **state) {
    (void)state;
    for (size_t cut = 0; cut <= sizeof little; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, little, cut);
        int orientation = exif_orientation(part, cut);
        assert_int_equal(orientation, cut >= 34 ? 6 : 1);
        free(part);
    }
}

static void exif_find_jpeg_walks_the_markers(void **state) {
    (void)state;
    static const uint8_t head[] = {
        0xff, 0xd8, 0xff, 0xe0, 0,    4,   1,
        2,    0xff, 0xe1, 0,    6,    'h', 't',
        't',  'p',  0xff, 0xff, 0xe1, 0,   8 + sizeof big,
        'E',  'x',  'i',  'f',  0,    0};
    uint8_t file[sizeof head + sizeof big];
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, big, sizeof big);
    size_t found = 0;
    assert_ptr_equal(exif_find_jpeg(file, sizeof file, &found),
                     file + sizeof head);
    assert_int_equal(found, sizeof big);
    for (size_t cut = 0; cut < sizeof file; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, file, cut);
        assert_null(exif_find_jpeg(part, cut, &found));
        free(part);
    }
    file[3] = 0xda; /* the picture begins: nothing behind it counts */
    assert_null(exif_find_jpeg(file, sizeof file, &found));
}

static void exif_find_png_walks_the_chunks(void **state) {
    (void)state;
    static const uint8_t head[] = {
        0x89, 'P', 'N', 'G', 13,         10,  26,  10,  0,  0,
        0,    1,   't', 'E', 'X',        't', 'a', 0,   0,  0,
        0,    0,   0,   0,   sizeof big, 'e', 'X', 'I', 'f'};
    uint8_t file[sizeof head + sizeof big + 4] = {0};
    memcpy(file, head, sizeof head);
    memcpy(file + sizeof head, big, sizeof big);
    size_t found = 0;
    assert_ptr_equal(exif_find_png(file, sizeof file, &found),
                     file + sizeof head);
    assert_int_equal(found, sizeof big);
    for (size_t cut = 0; cut < sizeof file; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, file, cut);
        assert_null(exif_find_png(part, cut, &found));
        free(part);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exif_orientation_reads_both_byte_orders),
        cmocka_unit_test(exif_orientation_of_nonsense_is_upright),
        cmocka_unit_test(exif_orientation_stays_inside_of_what_it_is_given),
        cmocka_unit_test(exif_find_jpeg_walks_the_markers),
        cmocka_unit_test(exif_find_png_walks_the_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
