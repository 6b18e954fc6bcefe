#include "common/prediction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define ID                                                                     \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-"        \
    "0123456789ab"

static void fill(struct prediction *p) {
    memset(p, 0, sizeof *p);
    assert_int_equal(id_parse(ID, &p->id), 0);
    p->succeeded = true;
    strcpy(p->model_name, "cifar10-resnet9");
    strcpy(p->image.format, "jpeg");
    p->image.width = 4032;
    p->image.height = 3024;
    p->image.bytes = 3369399;
    p->top_count = 2;
    p->top[0].label = strdup("cat \"\xd0\xba\xd0\xbe\xd1\x82\"");
    p->top[0].index = 3;
    p->top[0].score = 0.97312349f;
    p->top[1].label = strdup("dog");
    p->top[1].index = 5;
    p->top[1].score = 1e-9f;
    p->confidence = CONFIDENCE_LOW;
    p->map_count = 2;
    p->map_width = 3;
    p->map_height = 2;
    p->maps = malloc(12);
    for (int i = 0; i < 12; i++)
        p->maps[i] = (uint8_t)(i * 23);
    p->map_region[0] = 0.125f;
    p->map_region[2] = 0.75f;
    p->map_region[3] = 1;
    p->queue_ms = 0.4;
    p->decode_ms = 11.25;
    p->infer_ms = 3.875;
    p->total_ms = 16.125;
    p->created_ms = 1795514400123; /* 2026-11-24T10:00:00.123Z by date(1) */
    p->completed_ms = 1795514400139;
    p->attempts = 2;
}

static void prediction_comes_back_as_it_was(void **state) {
    (void)state;
    struct prediction p, q;
    struct err err = {0};
    fill(&p);
    char *json = prediction_encode(&p);
    assert_int_equal(prediction_decode(json, strlen(json), &q, &err), 0);
    assert_string_equal(q.id.text, ID);
    assert_true(q.succeeded);
    assert_string_equal(q.model_name, p.model_name);
    assert_string_equal(q.image.format, "jpeg");
    assert_int_equal(q.image.width, 4032);
    assert_int_equal(q.image.height, 3024);
    assert_int_equal(q.image.bytes, 3369399);
    assert_int_equal(q.top_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(q.top[i].label, p.top[i].label);
        assert_int_equal(q.top[i].index, p.top[i].index);
        assert_true(q.top[i].score == p.top[i].score); /* to the last bit */
    }
    assert_int_equal(q.confidence, CONFIDENCE_LOW);
    assert_int_equal(q.map_count, 2);
    assert_int_equal(q.map_width, 3);
    assert_int_equal(q.map_height, 2);
    assert_memory_equal(q.maps, p.maps, 12);
    assert_memory_equal(q.map_region, p.map_region, sizeof q.map_region);
    assert_true(q.infer_ms == 3.875 && q.total_ms == 16.125);
    assert_int_equal(q.created_ms, p.created_ms);
    assert_int_equal(q.completed_ms, p.completed_ms);
    assert_int_equal(q.attempts, 2);
    free(json);
    prediction_free(&p);
    prediction_free(&q);
}

static void prediction_document_has_the_fields_of_the_api(void **state) {
    (void)state;
    struct prediction p;
    fill(&p);
    char *json = prediction_encode(&p);
    json_t *doc = json_loads(json, 0, NULL);
    const char *id, *status, *name, *version, *sha, *label, *created;
    json_int_t index;
    assert_int_equal(
        json_unpack(doc,
                    "{s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:[{s:s, s:I}, {}], "
                    "s:s, s:{s:F}}",
                    "id", &id, "status", &status, "model", "name", &name,
                    "version", &version, "image", "sha256", &sha, "predictions",
                    "label", &label, "index", &index, "created_at", &created,
                    "timings", "queue_ms", &p.queue_ms),
        0);
    assert_string_equal(version, "0123456789ab");
    assert_memory_equal(sha, ID, 64);
    assert_int_equal(strlen(sha), 64);
    assert_string_equal(created, "2026-11-24T10:00:00.123Z");
    assert_null(json_object_get(doc, "error"));
    json_decref(doc);
    free(json);
    prediction_free(&p);
}

static void prediction_of_a_failure_keeps_its_reason(void **state) {
    (void)state;
    struct prediction p = {0}, q;
    id_parse(ID, &p.id);
    strcpy(p.model_name, "m");
    strcpy(p.problem, "corrupt-image");
    strcpy(p.detail, "the JPEG ends early \xff");
    p.permanent = true;
    char *json = prediction_encode(&p);
    assert_int_equal(prediction_decode(json, strlen(json), &q, NULL), 0);
    assert_false(q.succeeded);
    assert_true(q.permanent);
    assert_string_equal(q.problem, "corrupt-image");
    assert_string_equal(q.detail, "the JPEG ends early ?");
    assert_string_equal(q.image.format, "");
    assert_int_equal(q.image.width, 0);
    free(json);
    prediction_free(&q);
}

/* Whatever is cut out or replaced by something else, nothing breaks. */
static void prediction_refuses_a_damaged_document(void **state) {
    (void)state;
    struct prediction p, q;
    struct err err = {0};
    fill(&p);
    char *json = prediction_encode(&p);
    size_t len = strlen(json);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(prediction_decode(json, cut, &q, &err), -1);
    const char *const needed[] = {"id",       "status",      "model",
                                  "image",    "predictions", "timings",
                                  "attempts", "created_at",  "completed_at"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        json_t *doc = json_loads(json, 0, NULL);
        json_object_set_new(doc, needed[i], json_array());
        if (i == 4)
            json_object_set_new(doc, needed[i], json_true());
        char *bad = json_dumps(doc, 0);
        if (prediction_decode(bad, strlen(bad), &q, &err) == 0)
            fail_msg("accepted without %s", needed[i]);
        free(bad);
        json_decref(doc);
    }
    free(json);
    prediction_free(&p);
}

static void prediction_refuses_maps_of_another_size(void **state) {
    (void)state;
    struct prediction p, q;
    fill(&p);
    char *json = prediction_encode(&p);
    const char *const keys[] = {"width", "height"};
    const int values[] = {0, 4, 1024, -1, 2000000000};
    for (size_t k = 0; k < 2; k++) {
        for (size_t v = 0; v < 5; v++) {
            json_t *doc = json_loads(json, 0, NULL);
            json_object_set_new(json_object_get(doc, "maps"), keys[k],
                                json_integer(values[v]));
            char *bad = json_dumps(doc, 0);
            assert_int_equal(prediction_decode(bad, strlen(bad), &q, NULL), -1);
            free(bad);
            json_decref(doc);
        }
    }
    free(json);
    prediction_free(&p);
}

static void prediction_outcome_is_read_at_a_glance(void **state) {
    (void)state;
    struct prediction p;
    struct prediction_outcome outcome;
    fill(&p);
    p.queue_ms = 0.25;
    p.total_ms = 1234.5;
    free(p.top[0].label); /* what looks like a key is none */
    p.top[0].label = strdup("\"timings\":{\"queue_ms\":7,\"error\":{");
    char *json = prediction_encode(&p);
    assert_true(prediction_outcome(json, strlen(json), &outcome));
    assert_string_equal(outcome.problem, "");
    assert_float_equal(outcome.queue_ms, 0.25, 1e-9);
    assert_float_equal(outcome.decode_ms, p.decode_ms, 1e-9);
    assert_float_equal(outcome.infer_ms, p.infer_ms, 1e-9);
    assert_float_equal(outcome.total_ms, 1234.5, 1e-9);
    size_t end = (size_t)(strstr(json, "\"total_ms\":") - json);
    for (size_t cut = 0; cut < end; cut++) {
        char *part = malloc(cut + 1); /* so that a sanitizer sees the end */
        memcpy(part, json, cut);
        assert_false(prediction_outcome(part, cut, &outcome));
        free(part);
    }
    free(json);
    p.succeeded = false;
    strcpy(p.problem, "corrupt-image");
    json = prediction_encode(&p);
    assert_true(prediction_outcome(json, strlen(json), &outcome));
    assert_string_equal(outcome.problem, "corrupt-image");
    free(json);
    prediction_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prediction_comes_back_as_it_was),
        cmocka_unit_test(prediction_document_has_the_fields_of_the_api),
        cmocka_unit_test(prediction_of_a_failure_keeps_its_reason),
        cmocka_unit_test(prediction_refuses_a_damaged_document),
        cmocka_unit_test(prediction_refuses_maps_of_another_size),
        cmocka_unit_test(prediction_outcome_is_read_at_a_glance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
