/* Requests that are odd, wrong or hostile, and what operates the service. */
#include "tests/integration/http.h"
#include "tests/integration/picture.h"
#include "tests/integration/stack.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNSEEN                                                                 \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void post(const char *path, const void *bytes, size_t size,
                 struct reply *reply) {
    http(&(struct request){.path = path,
                           .headers = {"Content-Type: image/png",
                                       "Prefer: wait=20"},
                           .body = bytes,
                           .size = size},
         reply);
}

/* ---- bodies -------------------------------------------------------------- */

static void body_garbage_refused(void **state) {
    (void)state;
    struct reply reply;
    post("/api/v1/predictions", "<svg onload='alert(1)'/>", 24, &reply);
    assert_problem(&reply, 415, "unsupported-image-type");
    reply_free(&reply);
}

static void body_missing_refused(void **state) {
    (void)state;
    struct reply reply;
    post("/api/v1/predictions", "", 0, &reply);
    assert_problem(&reply, 400, "no-image");
    reply_free(&reply);
    http_multipart("/api/v1/predictions", NULL,
                   &(struct part){"other", "abc", 3}, 1, &reply);
    assert_problem(&reply, 400, "no-image");
    reply_free(&reply);
}

static void body_broken_multipart_refused(void **state) {
    (void)state;
    static const char body[] = "--edge\r\nContent-Disposition: form-data; "
                               "name=\"image\"\r\n\r\nno end";
    struct reply reply;
    http(
        &(struct request){
            .path = "/api/v1/predictions",
            .headers = {"Content-Type: multipart/form-data; boundary=edge"},
            .body = body,
            .size = sizeof body - 1},
        &reply);
    assert_problem(&reply, 400, "malformed-multipart");
    reply_free(&reply);
}

static void body_truncated_image_fails(void **state) {
    (void)state;
    struct picture picture;
    struct reply reply;
    char id[128];
    picture_random(&picture, PICTURE_PNG);
    post("/api/v1/predictions", picture.bytes, picture.size / 2, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "status", NULL), "failed");
    assert_string_equal(reply_text(&reply, "error", "type", NULL),
                        "/problems/corrupt-image");
    assert_null(json_object_get(reply.json, "predictions"));
    snprintf(id, sizeof id, "%s", reply_text(&reply, "id", NULL));
    reply_free(&reply);

    /* The failure lies in the image, so it is remembered like an answer. */
    post("/api/v1/predictions", picture.bytes, picture.size / 2, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Cache-Status"), "convoy; hit");
    assert_string_equal(reply_text(&reply, "id", NULL), id);
    reply_free(&reply);
    picture_free(&picture);
}

static void body_oversized_refused(void **state) {
    (void)state;
    static const size_t sizes[] = {
        21u << 20, /* more than an image may have: the front says no */
        65u << 20, /* more than a request may have: nginx does */
    };
    for (int i = 0; i < 2; i++) {
        struct reply reply;
        char *body = calloc(1, sizes[i]);
        assert_non_null(body);
        memcpy(body, "\x89PNG\r\n\x1a\n", 8);
        post("/api/v1/predictions", body, sizes[i], &reply);
        free(body);
        assert_problem(&reply, 413, NULL);
        reply_free(&reply);
    }
}

static void body_too_many_images_refused(void **state) {
    (void)state;
    struct part parts[33];
    struct reply reply;
    for (int i = 0; i < 33; i++)
        parts[i] = (struct part){"image", "BM", 2};
    http_multipart("/api/v1/predictions", NULL, parts, 33, &reply);
    assert_problem(&reply, 400, "too-many-images");
    reply_free(&reply);
}

/* ---- addresses and methods ----------------------------------------------- */

static void address_table(void **state) {
    (void)state;
    static const struct {
        const char *path;
        long status;
        const char *type;
    } rows[] = {
        {"/api/v1/predictions/" UNSEEN "-0123456789ab", 404, NULL},
        {"/api/v1/predictions/" UNSEEN "-0123456789ab/heatmap.png", 404, NULL},
        {"/api/v1/predictions/" UNSEEN, 400, "malformed-id"},
        {"/api/v1/predictions/../../etc/passwd", 404, NULL},
        {"/api/v1/predictions/%2e%2e%2f", 404, NULL},
        {"/api/v1/predictions/x", 400, "malformed-id"},
        {"/api/v1/models/none", 404, "unknown-model"},
        {"/api/v1/nothing", 404, "not-found"},
        {"/nothing", 404, "not-found"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reply reply;
        http_get(rows[i].path, &reply);
        if (reply.status != rows[i].status)
            print_message("%s\n", rows[i].path);
        assert_problem(&reply, rows[i].status, rows[i].type);
        reply_free(&reply);
    }
}

static void address_unknown_model(void **state) {
    (void)state;
    struct picture picture;
    struct reply reply;
    picture_random(&picture, PICTURE_PNG);
    post("/api/v1/predictions?model=none", picture.bytes, picture.size, &reply);
    assert_problem(&reply, 404, "unknown-model");
    reply_free(&reply);
    picture_free(&picture);
}

static void method_other_refused(void **state) {
    (void)state;
    struct reply reply;
    http(&(struct request){.method = "PUT", .path = "/api/v1/models"}, &reply);
    assert_problem(&reply, 405, "method-not-allowed");
    assert_non_null(reply_header(&reply, "Allow"));
    assert_non_null(strstr(reply_header(&reply, "Allow"), "GET"));
    reply_free(&reply);
}

static void method_head_and_options(void **state) {
    (void)state;
    struct reply get, head, options;
    http_get("/api/v1/models", &get);
    http(&(struct request){.method = "HEAD", .path = "/api/v1/models"}, &head);
    assert_int_equal(get.status, 200);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.size, 0);
    assert_string_equal(reply_header(&head, "Content-Type"),
                        reply_header(&get, "Content-Type"));
    http(&(struct request){.method = "OPTIONS", .path = "/api/v1/predictions"},
         &options);
    assert_non_null(strstr(reply_header(&options, "Allow"), "POST"));
    reply_free(&get);
    reply_free(&head);
    reply_free(&options);
}

static void method_delete_forgets(void **state) {
    (void)state;
    struct picture picture;
    struct reply reply;
    char path[256];
    picture_random(&picture, PICTURE_BMP);
    post("/api/v1/predictions", picture.bytes, picture.size, &reply);
    assert_int_equal(reply.status, 200);
    snprintf(path, sizeof path, "/api/v1/predictions/%s",
             reply_text(&reply, "id", NULL));
    reply_free(&reply);
    http(&(struct request){.method = "DELETE", .path = path}, &reply);
    assert_int_equal(reply.status, 204);
    reply_free(&reply);
    http_get(path, &reply);
    assert_problem(&reply, 404, NULL);
    reply_free(&reply);
    http(&(struct request){.method = "DELETE", .path = path}, &reply);
    assert_problem(&reply, 404, NULL);
    reply_free(&reply);
    post("/api/v1/predictions", picture.bytes, picture.size, &reply);
    assert_string_equal(reply_header(&reply, "Cache-Status"),
                        "convoy; fwd=miss; stored");
    reply_free(&reply);
    picture_free(&picture);
}

/* ---- request ids --------------------------------------------------------- */

static void request_id_stands_everywhere(void **state) {
    (void)state;
    struct picture picture;
    struct reply reply;
    char header[64], *id = header + strlen("X-Request-ID: ");
    snprintf(header, sizeof header, "X-Request-ID: it-%d.%d", (int)getpid(), 7);
    picture_random(&picture, PICTURE_PNG);
    http(&(struct request){.path = "/api/v1/predictions",
                           .headers = {header, "Content-Type: image/png",
                                       "Prefer: wait=20"},
                           .body = picture.bytes,
                           .size = picture.size},
         &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "X-Request-ID"), id);
    char field[80];
    snprintf(field, sizeof field, "request=%s", id);
    stack_await_log("front", field);
    stack_await_log("worker", field);
    stack_await_log("access", field); /* which nginx writes after the answer */
    reply_free(&reply);
    picture_free(&picture);
}

static void request_id_made_where_bad(void **state) {
    (void)state;
    static const char *const bad[] = {NULL, "X-Request-ID: a b\"c",
                                      "X-Request-ID: <script>"};
    for (int i = 0; i < 3; i++) {
        struct reply reply;
        http(&(struct request){.path = "/healthz", .headers = {bad[i]}},
             &reply);
        const char *id = reply_header(&reply, "X-Request-ID");
        assert_non_null(id);
        assert_in_range(strlen(id), 8, 128);
        assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
                                    "QRSTUVWXYZ0123456789._-"),
                         strlen(id));
        reply_free(&reply);
    }
}

/* ---- operation and models ------------------------------------------------ */

static void operation_health(void **state) {
    (void)state;
    struct reply reply;
    http_get("/healthz", &reply);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    http_get("/readyz", &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Cache-Control"), "no-store");
    reply_free(&reply);
}

static void operation_models(void **state) {
    (void)state;
    struct reply all, one;
    char path[256];
    http_get("/api/v1/models", &all);
    assert_int_equal(all.status, 200);
    const json_t *models = json_object_get(all.json, "models");
    assert_true(json_array_size(models) >= 1);
    int defaults = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        const char *name = json_string_value(json_object_get(model, "name"));
        assert_non_null(name);
        assert_true(json_array_size(json_object_get(model, "labels")) > 1);
        assert_true(json_is_boolean(json_object_get(model, "explainable")));
        assert_true(json_integer_value(json_object_get(
                        json_object_get(model, "input"), "width")) > 0);
        assert_int_equal(json_integer_value(json_object_get(model, "workers")),
                         1);
        defaults += json_is_true(json_object_get(model, "default"));
        snprintf(path, sizeof path, "/api/v1/models/%s", name);
        http_get(path, &one);
        assert_int_equal(one.status, 200);
        assert_string_equal(reply_text(&one, "name", NULL), name);
        reply_free(&one);
    }
    assert_int_equal(defaults, 1);
    reply_free(&all);
}

/* As Prometheus's own tool reads them; it says what it does not like. */
static void operation_metrics_are_well_formed(void **state) {
    (void)state;
    struct reply reply;
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("skipped: there is no promtool (package prometheus)\n");
        skip();
    }
    http_get("/metrics", &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "convoy_http_requests_total{"));
    FILE *tool = popen("promtool check metrics", "w");
    assert_non_null(tool);
    assert_int_equal(fwrite(reply.body, 1, reply.size, tool), reply.size);
    assert_int_equal(pclose(tool), 0);
    reply_free(&reply);
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_garbage_refused),
        cmocka_unit_test(body_missing_refused),
        cmocka_unit_test(body_broken_multipart_refused),
        cmocka_unit_test(body_truncated_image_fails),
        cmocka_unit_test(body_oversized_refused),
        cmocka_unit_test(body_too_many_images_refused),
        cmocka_unit_test(address_table),
        cmocka_unit_test(address_unknown_model),
        cmocka_unit_test(method_other_refused),
        cmocka_unit_test(method_head_and_options),
        cmocka_unit_test(method_delete_forgets),
        cmocka_unit_test(request_id_stands_everywhere),
        cmocka_unit_test(request_id_made_where_bad),
        cmocka_unit_test(operation_health),
        cmocka_unit_test(operation_models),
        cmocka_unit_test(operation_metrics_are_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
