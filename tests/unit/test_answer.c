#include "fcgi/answer.h"

#include "common/prediction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ID SHA "-3f2a9c1b7d4e"
#define SELF "/api/v1/predictions/" ID

static struct answer answer;

static struct prediction a_success(void) {
    static uint8_t maps[4];
    return (struct prediction){
        .id = {ID},
        .succeeded = true,
        .model_name = "net",
        .image = {.format = "jpeg", .width = 40, .height = 30, .bytes = 1234},
        .top_count = 3,
        .top = {{"cat", 3, 0.75f}, {"dog", 5, 0.125f}, {"owl", 1, 0.0625f}},
        .map_count = 1,
        .map_width = 2,
        .map_height = 2,
        .map_region = {0, 0, 1, 1},
        .maps = maps,
        .queue_ms = 0.41239,
        .decode_ms = 11,
        .infer_ms = 4,
        .total_ms = 16,
        .created_ms = 1795514400123,
        .completed_ms = 1795514400456,
        .attempts = 1,
    };
}

static void show(const struct prediction *p, int top_k) {
    char *stored = prediction_encode(p);
    struct err err = {0};
    json_decref(answer.doc);
    assert_int_equal(answer_ended(stored, strlen(stored), top_k, &answer, &err),
                     0);
    free(stored);
}

static void assert_shown(const char *expected_json) {
    json_t *expected = json_loads(expected_json, 0, NULL);
    assert_non_null(expected);
    if (!json_equal(answer.doc, expected)) {
        char *text = json_dumps(answer.doc, JSON_COMPACT);
        fail_msg("shown: %s", text);
    }
    json_decref(expected);
}

static void answer_says_whether_it_is_confident(void **state) {
    (void)state;
    struct prediction p = a_success();
    show(&p, 1);
    assert_null(json_object_get(answer.doc, "confident"));
    p.confidence = CONFIDENCE_LOW;
    show(&p, 1);
    assert_true(json_is_false(json_object_get(answer.doc, "confident")));
    p.confidence = CONFIDENCE_HIGH;
    show(&p, 1);
    assert_true(json_is_true(json_object_get(answer.doc, "confident")));
}

static void answer_is_cut_to_top_k(void **state) {
    (void)state;
    struct prediction p = a_success();
    show(&p, 2);
    assert_shown(
        "{\"id\":\"" ID "\",\"status\":\"succeeded\","
        "\"model\":{\"name\":\"net\",\"version\":\"3f2a9c1b7d4e\"},"
        "\"image\":{\"sha256\":\"" SHA "\",\"format\":\"jpeg\",\"width\":40,"
        "\"height\":30,\"bytes\":1234},"
        "\"predictions\":[{\"label\":\"cat\",\"index\":3,\"score\":0.75},"
        "{\"label\":\"dog\",\"index\":5,\"score\":0.125}],"
        "\"timings\":{\"queue_ms\":0.412,\"decode_ms\":11.0,\"infer_ms\":4.0,"
        "\"total_ms\":16.0},\"created_at\":\"2026-11-24T10:00:00.123Z\","
        "\"completed_at\":\"2026-11-24T10:00:00.456Z\","
        "\"links\":{\"self\":\"" SELF "\",\"heatmap\":\"" SELF
        "/heatmap.png\"}}");
    assert_true(answer.lasting);
    show(&p, 32);
    assert_int_equal(
        json_array_size(json_object_get(answer.doc, "predictions")), 3);
}

static void answer_without_map_has_no_link_to_it(void **state) {
    (void)state;
    struct prediction p = a_success();
    p.map_count = 0;
    show(&p, 5);
    json_t *links = json_object_get(answer.doc, "links");
    assert_non_null(json_object_get(links, "self"));
    assert_null(json_object_get(links, "heatmap"));
}

static void answer_failure_is_a_problem(void **state) {
    (void)state;
    struct prediction p = {.id = {ID},
                           .model_name = "net",
                           .image.bytes = 9,
                           .problem = "corrupt-image",
                           .detail = "It ends too early.",
                           .permanent = true,
                           .created_ms = 1795514400123,
                           .completed_ms = 1795514400123};
    show(&p, 5);
    assert_true(answer.lasting);
    assert_shown(
        "{\"id\":\"" ID "\",\"status\":\"failed\","
        "\"model\":{\"name\":\"net\",\"version\":\"3f2a9c1b7d4e\"},"
        "\"image\":{\"sha256\":\"" SHA "\",\"bytes\":9},"
        "\"error\":{\"type\":\"/problems/corrupt-image\","
        "\"title\":\"Corrupt image\",\"status\":422,"
        "\"detail\":\"It ends too early.\"},"
        "\"timings\":{\"queue_ms\":0.0,\"decode_ms\":0.0,\"infer_ms\":0.0,"
        "\"total_ms\":0.0},\"created_at\":\"2026-11-24T10:00:00.123Z\","
        "\"completed_at\":\"2026-11-24T10:00:00.123Z\","
        "\"links\":{\"self\":\"" SELF "\"}}");
    p.permanent = false;
    show(&p, 5);
    assert_false(answer.lasting);
}

static void answer_etag_differs_with_what_is_shown(void **state) {
    (void)state;
    struct prediction p = a_success();
    char first[sizeof answer.etag];
    show(&p, 5);
    strcpy(first, answer.etag);
    assert_true(first[0] == '"' && first[strlen(first) - 1] == '"');
    show(&p, 5);
    assert_string_equal(answer.etag, first);
    show(&p, 4);
    assert_string_not_equal(answer.etag, first);
    p.completed_ms++;
    show(&p, 5);
    assert_string_not_equal(answer.etag, first);
}

static void answer_of_an_unreadable_result_is_an_error(void **state) {
    (void)state;
    struct err err = {0};
    struct answer none;
    assert_int_equal(answer_ended("{}", 2, 5, &none, &err), -1);
    assert_null(none.doc);
    assert_true(*err.text);
}

static void answer_unfinished_says_when_to_come_again(void **state) {
    (void)state;
    struct unfinished u = {.id = {ID},
                           .model = "net",
                           .format = "png",
                           .bytes = 7,
                           .created_ms = 1795514400123,
                           .poll_after_ms = 250};
    json_decref(answer.doc);
    answer.doc = answer_unfinished(&u);
    assert_shown("{\"id\":\"" ID "\",\"status\":\"queued\","
                 "\"model\":{\"name\":\"net\",\"version\":\"3f2a9c1b7d4e\"},"
                 "\"image\":{\"sha256\":\"" SHA "\",\"format\":\"png\","
                 "\"bytes\":7},\"created_at\":\"2026-11-24T10:00:00.123Z\","
                 "\"poll_after_ms\":250,\"links\":{\"self\":\"" SELF "\"}}");
    u.processing = true;
    u.model = u.format = "";
    json_decref(answer.doc);
    answer.doc = answer_unfinished(&u);
    assert_string_equal(
        json_string_value(json_object_get(answer.doc, "status")), "processing");
    assert_null(json_object_get(json_object_get(answer.doc, "model"), "name"));
}

static int free_answer(void **state) {
    (void)state;
    json_decref(answer.doc);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_says_whether_it_is_confident),
        cmocka_unit_test(answer_is_cut_to_top_k),
        cmocka_unit_test(answer_without_map_has_no_link_to_it),
        cmocka_unit_test(answer_failure_is_a_problem),
        cmocka_unit_test(answer_etag_differs_with_what_is_shown),
        cmocka_unit_test(answer_of_an_unreadable_result_is_an_error),
        cmocka_unit_test(answer_unfinished_says_when_to_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, free_answer);
}
