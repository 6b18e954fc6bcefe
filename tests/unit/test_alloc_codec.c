/* What is read and written, when memory runs out anywhere in it. */
#include "common/base64.h"
#include "common/file.h"
#include "common/heatmap.h"
#include "common/job.h"
#include "common/options.h"
#include "common/prediction.h"
#include "fcgi/answer.h"
#include "fcgi/catalogue.h"
#include "fcgi/http.h"
#include "fcgi/multipart.h"
#include "fcgi/pending.h"
#include "fcgi/problem.h"
#include "fcgi/query.h"
#include "fcgi/workers.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/alloc.h"

#define SHA256                                                                 \
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define VERSION "3f2a9c1b7d4e"
#define ID SHA256 "-" VERSION

/* ---- documents ----------------------------------------------------------- */

static void fill(struct prediction *p, bool succeeded) {
    static uint8_t maps[2 * 4] = {0, 1, 2, 3, 4, 5, 6, 7};
    static char cat[] = "cat", dog[] = "d\xc3\xb4g";
    memset(p, 0, sizeof *p);
    assert_int_equal(id_parse(ID, &p->id), 0);
    strcpy(p->model_name, "net");
    p->succeeded = succeeded;
    strcpy(p->image.format, "png");
    p->image.width = p->image.height = 8;
    p->image.bytes = 100;
    p->created_ms = 1700000000000;
    p->completed_ms = p->created_ms + 5;
    p->attempts = 1;
    if (!succeeded) {
        strcpy(p->problem, "corrupt-image");
        strcpy(p->detail, "It is cut off.");
        p->permanent = true;
        return;
    }
    p->top_count = 2;
    p->top[0].label = cat;
    p->top[0].score = 0.75f;
    p->top[1].label = dog;
    p->top[1].index = 1;
    p->top[1].score = 0.25f;
    p->confidence = CONFIDENCE_HIGH;
    p->maps = maps;
    p->map_count = p->map_width = p->map_height = 2;
}

static char *stored; /* what prediction_encode() makes of fill() */

/* A document is whole, or there is none: what is stored lasts for a month. */
static int encode(struct err *err, bool succeeded) {
    struct prediction p;
    fill(&p, succeeded);
    char *json = prediction_encode(&p);
    if (!json)
        return err_set(err, "out of memory");
    struct alloc_state before = alloc_pause();
    char *expected = prediction_encode(&p);
    assert_string_equal(json, expected);
    free(expected);
    alloc_resume(before);
    free(json);
    return 0;
}

static int encode_success(struct err *err) {
    return encode(err, true);
}

static int encode_failure(struct err *err) {
    return encode(err, false);
}

static int decode(struct err *err) {
    struct prediction p;
    if (prediction_decode(stored, strlen(stored), &p, err) < 0)
        return -1;
    assert_int_equal(p.top_count, 2);
    assert_string_equal(p.top[1].label, "d\xc3\xb4g");
    assert_int_equal(p.map_count, 2);
    assert_int_equal(p.maps[7], 7);
    prediction_free(&p);
    return 0;
}

static int answer(struct err *err) {
    struct answer a;
    if (answer_ended(stored, strlen(stored), 5, &a, err) < 0)
        return -1;
    assert_int_equal(json_array_size(json_object_get(a.doc, "predictions")), 2);
    assert_int_equal(json_object_size(a.doc), 10);
    json_decref(a.doc);
    return 0;
}

static int answer_later(struct err *err) {
    struct unfinished u = {.model = "net", .format = "png", .bytes = 1};
    assert_int_equal(id_parse(ID, &u.id), 0);
    json_t *doc = answer_unfinished(&u);
    if (!doc)
        return err_set(err, "out of memory");
    assert_int_equal(json_object_size(doc), 7);
    json_decref(doc);
    return 0;
}

static void prediction_is_whole_or_not_there(void **state) {
    (void)state;
    struct prediction p;
    fill(&p, true);
    stored = prediction_encode(&p);
    alloc_each(encode_success);
    alloc_each(encode_failure);
    alloc_each_but_json(decode);
    alloc_each_but_json(answer);
    alloc_each(answer_later);
    free(stored);
}

static int respond(struct err *err) {
    struct response response = {0};
    struct request request = {.id = "req-1", .method = "GET"};
    response_json(&response, 200, json_pack("{s:s}", "status", "queued"));
    response_header(&response, "Location", "/%s", "somewhere");
    bool whole = response.status == 200 && response.body &&
                 response_header_value(&response, "Location");
    assert_true(whole || response.status >= 500 || alloc_state.failed);
    response_free(&response);
    response_problem(&response, &request, "queue-full", "%d wait", 3);
    assert_int_equal(response.status, 503);
    response_free(&response);
    return whole ? 0 : err_set(err, "out of memory");
}

static void response_says_so(void **state) {
    (void)state;
    alloc_each(respond);
}

/* ---- what workers and fronts say to each other --------------------------- */

static const char advert_text[] =
    "{\"name\":\"w1\",\"hands\":2,\"batch\":8,\"models\":[{\"name\":\"net\","
    "\"version\":\"" VERSION "\",\"labels\":[\"cat\",\"dog\"],\"width\":32,"
    "\"height\":32,\"explainable\":true,\"default\":true}]}";

static int advert(struct err *err) {
    struct job_advert decoded;
    if (job_advert_decode(advert_text, strlen(advert_text), &decoded, err) < 0)
        return -1;
    assert_int_equal(decoded.model_count, 1);
    assert_string_equal(decoded.models[0].labels[1], "dog");
    char *json = job_advert_encode(&decoded);
    job_advert_free(&decoded);
    if (!json)
        return err_set(err, "out of memory");
    struct alloc_state before = alloc_pause();
    if (job_advert_decode(json, strlen(json), &decoded, err) < 0)
        fail_msg("half an advertisement: %s", json);
    assert_int_equal(decoded.models[0].label_count, 2);
    assert_string_equal(decoded.models[0].version, VERSION);
    job_advert_free(&decoded);
    free(json);
    alloc_resume(before);
    return 0;
}

/* What a nursery says of itself. */
static int advertise(struct err *err) {
    static char cat[] = "cat", dog[] = "dog", *labels[] = {cat, dog};
    struct job_model model = {.name = "net",
                              .version = VERSION,
                              .labels = labels,
                              .label_count = 2,
                              .width = 8,
                              .height = 8};
    struct job_advert whole = {.name = "w1",
                               .hands = 1,
                               .batch = 1,
                               .models = &model,
                               .model_count = 1};
    char *json = job_advert_encode(&whole);
    if (!json)
        return err_set(err, "out of memory");
    struct alloc_state before = alloc_pause();
    char *expected = job_advert_encode(&whole);
    assert_string_equal(json, expected);
    free(expected);
    alloc_resume(before);
    free(json);
    return 0;
}

static int learn(struct err *err) {
    struct job_advert decoded;
    struct catalogue_model model;
    struct catalogue *catalogue = catalogue_open();
    struct workers *workers = workers_open();
    int status = -1;
    if (!catalogue || !workers)
        err_set(err, "out of memory");
    else
        status =
            job_advert_decode(advert_text, strlen(advert_text), &decoded, err);
    if (status == 0) {
        status = catalogue_add(catalogue, &decoded, err);
        if (status == 0)
            assert_int_equal(catalogue_find(catalogue, "", &model),
                             CATALOGUE_FOUND);
        if (!workers_add(workers, "id", 2, &decoded)) {
            job_advert_free(&decoded);
            status = err_set(err, "out of memory");
        }
    }
    catalogue_close(catalogue);
    workers_close(workers);
    return status;
}

static int queue(struct err *err) {
    struct pending *pending = pending_open();
    int status = pending ? 0 : err_set(err, "out of memory");
    for (int i = 0; pending && i < 3; i++) {
        struct store_job job = {.size = 1};
        snprintf(job.id.text, sizeof job.id.text, "%s", ID);
        job.id.text[0] = (char)('0' + i);
        struct pending_job *added = pending_add(pending, &job);
        if (!added || pending_queue(pending, added) < 0)
            status = err_set(err, "out of memory");
    }
    if (pending && status == 0)
        assert_int_equal(pending_queued(pending), 3);
    pending_close(pending);
    return status;
}

static void advert_is_whole_or_refused(void **state) {
    (void)state;
    alloc_each_but_json(advert);
    alloc_each(advertise);
    alloc_each_but_json(learn);
    alloc_each(queue);
}

/* ---- parsers ------------------------------------------------------------- */

static int parse_form(struct err *err) {
    static const char body[] = "--b\r\nContent-Disposition: form-data; "
                               "name=\"image\"; filename=\"a\"\r\n\r\nbytes\r\n"
                               "--b--\r\n";
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct multipart_part parts[2];
    if (multipart_boundary("multipart/form-data; boundary=b", boundary, err) <
        0)
        return -1;
    int count = multipart_parse((const uint8_t *)body, strlen(body), boundary,
                                parts, 2, err);
    if (count < 0)
        return -1;
    assert_int_equal(count, 1);
    assert_int_equal(parts[0].size, 5);
    return 0;
}

static int parse_query(struct err *err) {
    char text[16];
    int number = 0;
    if (query_text("model=a%20b&top_k=3", "model", text, sizeof text, err) <
            0 ||
        query_number("model=a%20b&top_k=3", "top_k", 1, 5, &number, err) < 0)
        return -1;
    assert_string_equal(text, "a b");
    assert_int_equal(number, 3);
    return 0;
}

static int parse_options(struct err *err) {
    char *argv[] = {"x", "one", "two", "--n", "3", NULL};
    struct option_list words = {0};
    int n = 0;
    const struct option_row rows[] = {
        {"n", "N", OPTION_INT, &n, 0, 9, "a number"},
    };
    const struct options options = {.program = "x",
                                    .summary = "x",
                                    .rows = rows,
                                    .row_count = 1,
                                    .words = &words,
                                    .words_least = 1,
                                    .words_most = 9,
                                    .flags_only = true};
    int status = options_read(&options, 5, argv, err) == OPTIONS_RUN ? 0 : -1;
    if (status == 0)
        assert_int_equal(words.count, 2);
    option_list_free(&words);
    return status;
}

static int draw(struct err *err) {
    static const uint8_t cells[4] = {0, 80, 160, 255};
    static const float region[4] = {0, 0, 1, 1};
    size_t size = 0;
    uint8_t *png = heatmap_png(cells, 2, 2, region, 40, 30, &size, err);
    if (!png)
        return -1;
    assert_memory_equal(png, "\x89PNG", 4);
    free(png);
    return 0;
}

static int read_whole_file(struct err *err) {
    size_t size = 0;
    uint8_t *text = file_read("tests/unit/alloc.h", 1 << 20, &size, err);
    if (!text)
        return -1;
    assert_memory_equal(text, "/*", 2);
    char *base64 = base64_encode(text, size);
    free(text);
    if (!base64)
        return err_set(err, "out of memory");
    free(base64);
    return 0;
}

static void parsers_refuse(void **state) {
    (void)state;
    alloc_each(parse_form);
    alloc_each(parse_query);
    alloc_each(parse_options);
    alloc_each(draw);
    alloc_each(read_whole_file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prediction_is_whole_or_not_there),
        cmocka_unit_test(response_says_so),
        cmocka_unit_test(advert_is_whole_or_refused),
        cmocka_unit_test(parsers_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
