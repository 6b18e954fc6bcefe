/* The threshold that config.json may name. */
#include "models/classifier/confidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void confidence_is_read_or_absent(void **state) {
    struct err err = {0};
    float threshold = 1;
    (void)state;
    const char *with = "{\"confidence_threshold\": 0.625}";
    const char *without = "{\"id2label\": {}}";
    assert_int_equal(
        confidence_read(with, strlen(with), "config.json", &threshold, &err),
        0);
    assert_float_equal(threshold, 0.625f, 0);
    assert_int_equal(confidence_read(without, strlen(without), "config.json",
                                     &threshold, &err),
                     0);
    assert_float_equal(threshold, 0, 0);
}

static void confidence_beyond_a_score_is_refused(void **state) {
    static const char *const texts[] = {
        "{\"confidence_threshold\": 1.5}",
        "{\"confidence_threshold\": -0.1}",
        "{\"confidence_threshold\": \"high\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err = {0};
        float threshold;
        assert_int_equal(confidence_read(texts[i], strlen(texts[i]),
                                         "m/config.json", &threshold, &err),
                         -1);
        assert_string_equal(err.text,
                            "m/config.json: \"confidence_threshold\" should "
                            "be a score from 0 to 1");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confidence_is_read_or_absent),
        cmocka_unit_test(confidence_beyond_a_score_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
