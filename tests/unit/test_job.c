#include "common/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHA "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define VERSION "3f2a9c1b7d4e"
#define TEXT_ID SHA "-" VERSION

static struct job_header a_job(void) {
    struct job_header job = {
        .type = JOB_JOB,
        .attempt = 2,
        .number = 30000,
        .created_ms = 1795514400123,
        .request = "req-1.a_B",
    };
    assert_int_equal(id_parse(TEXT_ID, &job.id), 0);
    return job;
}

/* Written by hand from the table in job.h. */
static void job_encode_lays_bytes_as_documented(void **state) {
    (void)state;
    struct job_header job = a_job();
    uint8_t out[JOB_HEADER_MAX];
    size_t len = job_encode(&job, out);
    assert_int_equal(len, 97 + 9);
    assert_memory_equal(out, "CVY1\x07" TEXT_ID, 82);
    static const uint8_t rest[] = {
        0x02, 0x00,                                     /* attempt 2 */
        0x30, 0x75, 0x00, 0x00,                         /* number 30000 */
        0x7b, 0x7d, 0xff, 0x0c, 0xa2, 0x01, 0x00, 0x00, /* 0x1a20cff7d7b */
        0x09, 'r',  'e',  'q',  '-',  '1',  '.',  'a',  '_', 'B',
    };
    assert_memory_equal(out + 82, rest, sizeof rest);
}

static void job_decode_gives_back_what_was_encoded(void **state) {
    (void)state;
    struct job_header job = a_job(), back;
    uint8_t out[JOB_HEADER_MAX];
    memset(job.request, 'x', 128); /* the longest */
    size_t len = job_encode(&job, out);
    assert_int_equal(len, JOB_HEADER_MAX);
    assert_int_equal(job_decode(out, len, &back, NULL), 0);
    assert_int_equal(back.type, JOB_JOB);
    assert_string_equal(back.id.text, TEXT_ID);
    assert_int_equal(back.attempt, 2);
    assert_int_equal(back.number, 30000);
    assert_true(back.created_ms == 1795514400123);
    assert_string_equal(back.request, job.request);
}

static void job_encode_leaves_out_what_a_type_does_not_have(void **state) {
    (void)state;
    for (int type = JOB_READY; type <= JOB_WHO; type++) {
        struct job_header full = a_job(), back;
        uint8_t out[JOB_HEADER_MAX];
        struct err err = {0};
        full.type = (enum job_type)type;
        size_t len = job_encode(&full, out);
        if (job_decode(out, len, &back, &err) < 0)
            fail_msg("%s: %s", job_type_name(full.type), err.text);
        bool has_id = type == JOB_DONE || type == JOB_FAILED || type == JOB_JOB;
        assert_int_equal(back.id.text[0] != 0, has_id);
        assert_int_equal(back.request[0] != 0, has_id);
        assert_int_equal(back.created_ms != 0, type == JOB_JOB);
    }
}

static void job_decode_refuses_every_cut(void **state) {
    (void)state;
    struct job_header job = a_job(), back;
    uint8_t out[JOB_HEADER_MAX + 1] = {0};
    size_t len = job_encode(&job, out);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1); /* ASan sees one too far */
        memcpy(exact, out, cut);
        assert_int_equal(job_decode(exact, cut, &back, NULL), -1);
        assert_int_equal(back.type, 0);
        free(exact);
    }
    assert_int_equal(job_decode(out, len + 1, &back, NULL), -1);
    assert_int_equal(job_decode(out, sizeof out, &back, NULL), -1);
}

struct spoilt {
    const char *what;
    size_t at;
    uint8_t value;
};

static void job_decode_refuses_a_spoilt_byte(void **state) {
    (void)state;
    static const struct spoilt table[] = {
        {"magic", 0, 'X'},
        {"version", 3, '2'},
        {"type 0", 4, 0},
        {"type 9", 4, 9},
        {"type 255", 4, 255},
        {"NUL in id", 30, 0},
        {"capital in id", 5, 'A'},
        {"no dash in id", 69, '0'},
        {"no attempt", 82, 0},
        {"created < 0", 95, 0x80},
        {"length short", 96, 8},
        {"length long", 96, 255},
        {"newline in request", 97, '\n'},
        {"NUL in request", 98, 0},
        {"space in request", 105, ' '},
        {"quote in request", 100, '"'},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct job_header job = a_job(), back;
        uint8_t out[JOB_HEADER_MAX];
        struct err err = {0};
        size_t len = job_encode(&job, out);
        assert_int_not_equal(out[table[i].at], table[i].value);
        out[table[i].at] = table[i].value;
        if (job_decode(out, len, &back, &err) != -1)
            fail_msg("%s was let through", table[i].what);
        assert_true(err.text[0]);
        assert_int_equal(back.id.text[0], 0);
    }
}

static void job_decode_refuses_fields_of_other_types(void **state) {
    (void)state;
    struct job_header job = a_job(), back;
    uint8_t out[JOB_HEADER_MAX];
    size_t len = job_encode(&job, out);
    for (int type = JOB_READY; type <= JOB_WHO; type++) {
        out[4] = (uint8_t)type;
        int status = job_decode(out, len, &back, NULL);
        assert_int_equal(status, type == JOB_JOB ? 0 : -1);
    }
}

static void job_decode_bounds_credits(void **state) {
    (void)state;
    uint8_t out[JOB_HEADER_MAX];
    struct job_header ready = {.type = JOB_READY, .number = JOB_CREDITS_MAX};
    struct job_header back;
    size_t len = job_encode(&ready, out);
    assert_int_equal(job_decode(out, len, &back, NULL), 0);
    ready.number++;
    job_encode(&ready, out);
    assert_int_equal(job_decode(out, len, &back, NULL), -1);
    struct job_header none = {.type = JOB_CREDIT, .number = 0};
    job_encode(&none, out);
    assert_int_equal(job_decode(out, len, &back, NULL), -1);
}

static void job_decode_survives_noise(void **state) {
    (void)state;
    uint32_t seed = 1;
    struct job_header job = a_job(), back;
    uint8_t out[JOB_HEADER_MAX];
    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        size_t len = job_encode(&job, out);
        for (int flips = 0; flips < 3; flips++) {
            seed = seed * 1664525u + 1013904223u;
            out[(seed >> 8) % len] ^= (uint8_t)(1u << (seed >> 29));
        }
        if (job_decode(out, len, &back, NULL) == 0) {
            taken++; /* a flipped number is still a number */
            uint8_t again[JOB_HEADER_MAX];
            assert_int_equal(job_encode(&back, again), len);
            assert_memory_equal(again, out, len);
        }
    }
    assert_in_range(taken, 1, 19999);
}

static void job_name_valid_keeps_urls_and_keys_clean(void **state) {
    (void)state;
    char longest[129];
    memset(longest, 'a', 128);
    longest[128] = 0;
    assert_false(job_name_valid(longest));
    longest[127] = 0;
    assert_true(job_name_valid(longest));
    assert_true(job_name_valid("cifar10-resnet_9.v2"));
    assert_false(job_name_valid(""));
    assert_false(job_name_valid("a/b"));
    assert_false(job_name_valid("a b"));
    assert_false(job_name_valid("caf\xc3\xa9"));
}

/* ---- the advertisement -------------------------------------------------- */

static char *labels[] = {"cat", "hen \"x\"", "\xd0\xba\xd0\xbe\xd1\x82"};
static struct job_model models[] = {
    {"one", "3f2a9c1b7d4e", labels, 3, 32, 24, 1, 1, 0, 1764000000123},
    {"two", "000000000000", labels, 1, 224, 224, 0, 0, 1, 0, "one"},
};
static struct job_refusal refused[] = {{"bad", "has no \"model.onnx\""}};
static const struct job_advert an_advert = {"host.42", 2,       8, models,
                                            2,         refused, 1};

static void job_advert_goes_there_and_back(void **state) {
    (void)state;
    char *json = job_advert_encode(&an_advert);
    assert_non_null(json);
    struct job_advert back;
    struct err err = {0};
    if (job_advert_decode(json, strlen(json), &back, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(back.name, "host.42");
    assert_int_equal(back.hands, 2);
    assert_int_equal(back.batch, 8);
    assert_int_equal(back.model_count, 2);
    for (int i = 0; i < 2; i++) {
        const struct job_model *a = &models[i], *b = &back.models[i];
        assert_string_equal(b->name, a->name);
        assert_string_equal(b->version, a->version);
        assert_int_equal(b->label_count, a->label_count);
        for (int k = 0; k < a->label_count; k++)
            assert_string_equal(b->labels[k], a->labels[k]);
        assert_int_equal(b->width, a->width);
        assert_int_equal(b->height, a->height);
        assert_int_equal(b->explainable, a->explainable);
        assert_int_equal(b->is_default, a->is_default);
        assert_string_equal(b->explains, a->explains);
        assert_int_equal(b->retiring, a->retiring);
        assert_true(b->placed_ms == a->placed_ms);
    }
    assert_int_equal(back.refused_count, 1);
    assert_string_equal(back.refused[0].folder, refused[0].folder);
    assert_string_equal(back.refused[0].reason, refused[0].reason);
    job_advert_free(&back);
    free(json);
}

static void job_advert_is_never_read_past_its_cut(void **state) {
    (void)state;
    char *json = job_advert_encode(&an_advert);
    for (size_t cut = 0; cut < strlen(json); cut++) {
        char *exact = malloc(cut ? cut : 1);
        memcpy(exact, json, cut);
        struct job_advert back;
        assert_int_equal(job_advert_decode(exact, cut, &back, NULL), -1);
        assert_int_equal(back.model_count, 0);
        free(exact);
    }
    free(json);
}

static void job_advert_refuses_what_is_wrong(void **state) {
    (void)state;
#define MODEL                                                                  \
    "\"version\":\"3f2a9c1b7d4e\",\"labels\":[\"a\"],\"width\":1,"             \
    "\"height\":1,\"explainable\":true,\"default\":true"
#define HEAD "{\"name\":\"w\",\"hands\":1,\"batch\":1,\"models\":"
    static const struct {
        const char *json;
        bool good;
    } table[] = {
        {HEAD "[{\"name\":\"m\"," MODEL "}]}", true},
        {HEAD "[{\"name\":\"m\",\"new\":[{}]," MODEL "}]}", true},
        {"", false},
        {"[]", false},
        {"null", false},
        {HEAD "[],\"refused\":[{\"folder\":\"f\",\"reason\":\"r\"}]}", true},
        {HEAD "[],\"refused\":[{\"folder\":\"f\"}]}", false},
        {HEAD "{}}", false},
        {HEAD "[7]}", false},
        {HEAD "[{\"name\":\"m/../x\"," MODEL "}]}", false},
        {HEAD "[{\"name\":7," MODEL "}]}", false},
        {HEAD "[{\"name\":\"m\",\"name\":\"m\"," MODEL "}]}", false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3F2A9C1B7D4E\"}]}", false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3f2a9c1b7d4e0\"}]}", false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3f2a9c1b7d4e\","
              "\"labels\":[]}]}",
         false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3f2a9c1b7d4e\","
              "\"labels\":[\"a\",1]}]}",
         false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3f2a9c1b7d4e\","
              "\"labels\":[\"a\"],\"width\":0}]}",
         false},
        {HEAD "[{\"name\":\"m\",\"version\":\"3f2a9c1b7d4e\","
              "\"labels\":[\"a\"],\"width\":1,\"height\":99999}]}",
         false},
        {"{\"name\":\"w\",\"hands\":-1,\"batch\":1,\"models\":[]}", false},
        {"{\"name\":\"w\",\"hands\":1e9,\"batch\":1,\"models\":[]}", false},
        {"{\"name\":\"\",\"hands\":1,\"batch\":1,\"models\":[]}", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct job_advert advert;
        struct err err = {0};
        int status = job_advert_decode(table[i].json, strlen(table[i].json),
                                       &advert, &err);
        if (status != (table[i].good ? 0 : -1))
            fail_msg("%s -> %d %s", table[i].json, status, err.text);
        assert_int_equal(err.text[0] == 0, table[i].good);
        job_advert_free(&advert);
    }
}

static void job_advert_refuses_deep_nesting(void **state) {
    (void)state;
    size_t size = 1u << 20;
    char *deep = malloc(size);
    memset(deep, '[', size);
    struct job_advert advert;
    assert_int_equal(job_advert_decode(deep, size, &advert, NULL), -1);
    free(deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_encode_lays_bytes_as_documented),
        cmocka_unit_test(job_decode_gives_back_what_was_encoded),
        cmocka_unit_test(job_encode_leaves_out_what_a_type_does_not_have),
        cmocka_unit_test(job_decode_refuses_every_cut),
        cmocka_unit_test(job_decode_refuses_a_spoilt_byte),
        cmocka_unit_test(job_decode_refuses_fields_of_other_types),
        cmocka_unit_test(job_decode_bounds_credits),
        cmocka_unit_test(job_decode_survives_noise),
        cmocka_unit_test(job_name_valid_keeps_urls_and_keys_clean),
        cmocka_unit_test(job_advert_goes_there_and_back),
        cmocka_unit_test(job_advert_is_never_read_past_its_cut),
        cmocka_unit_test(job_advert_refuses_what_is_wrong),
        cmocka_unit_test(job_advert_refuses_deep_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
