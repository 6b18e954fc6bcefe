#include "fcgi/problem.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct problem rows[] = {
    /* the request */
    {"bad-request", "Bad request", 400, 0},
    {"bad-parameter", "Bad parameter", 400, 0},
    {"malformed-id", "Malformed prediction id", 400, 0},
    {"malformed-multipart", "Malformed multipart body", 400, 0},
    {"no-image", "No image", 400, 0},
    {"too-many-images", "Too many images", 400, 0},
    {"cross-site", "Request of another site", 403, 0},
    {"not-found", "Not found", 404, 0},
    {"unknown-model", "Unknown model", 404, 0},
    {"unknown-prediction", "Unknown prediction", 404, 0},
    {"no-heatmap", "No activation map", 404, 0},
    {"method-not-allowed", "Method not allowed", 405, 0},
    {"not-finished", "Not finished", 409, 1},
    {"too-large", "Request too large", 413, 0},
    {"unsupported-image-type", "Unsupported image type", 415, 0},
    /* the image, as a worker finds it */
    {"image-too-large", "Image too large", 413, 0},
    {"unsupported-image", "Unsupported image", 415, 0},
    {"corrupt-image", "Corrupt image", 422, 0},
    /* the service */
    {"internal-error", "Internal error", 500, 0},
    {"worker-failed", "Worker failed", 500, 0},
    {"no-worker", "No worker is ready", 503, 5},
    {"queue-full", "Queue full", 503, 5},
    {"image-lost", "Image lost", 503, 1},
    {"store-unavailable", "Store unavailable", 503, 5},
    {"not-ready", "Not ready", 503, 5},
};

_Static_assert(sizeof rows / sizeof *rows <= PROBLEMS_MAX,
               "PROBLEMS_MAX is too small for the table of problems");

const struct problem *problem_row(int i) {
    size_t count = sizeof rows / sizeof *rows;
    return i >= 0 && (size_t)i < count ? &rows[i] : NULL;
}

const struct problem *problem_find(const char *slug) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].slug, slug) == 0)
            return &rows[i];
    return NULL;
}

static const struct problem *known(const char *slug) {
    const struct problem *row = problem_find(slug);
    return row ? row : problem_find("internal-error");
}

int problem_index(const char *slug) {
    return (int)(known(slug) - rows);
}

int problem_status(const char *slug) {
    return known(slug)->status;
}

json_t *problem_json(const char *slug, const char *detail) {
    const struct problem *row = known(slug);
    char type[96];
    snprintf(type, sizeof type, "/problems/%s", slug);
    json_t *text = json_string(detail);
    return json_pack("{s:s, s:s, s:i, s:o}", "type", type, "title", row->title,
                     "status", row->status, "detail",
                     text ? text : json_string(row->title));
}

static void respond(struct response *response, const struct request *request,
                    const char *slug, const char *detail) {
    const struct problem *row = known(slug);
    json_t *doc = problem_json(row->slug, detail);
    json_t *path = json_string(request->path);
    if (path) /* NULL: it is not UTF-8 */
        json_object_set_new(doc, "instance", path);
    json_object_set_new(doc, "request_id", json_string(request->id));
    response_json(response, row->status, doc);
    response->status = row->status; /* also where there is no memory for more */
    if (response->body)
        response->content_type = "application/problem+json";
    response_header(response, "Cache-Control", "no-store");
    if (row->retry_after_s)
        response_header(response, "Retry-After", "%d", row->retry_after_s);
}

void response_problem_member(struct response *response, const char *name,
                             json_t *value) {
    json_t *doc = json_loadb(response->body, response->body_len, 0, NULL);
    const char *content_type = response->content_type;
    json_object_set_new(doc, name, value);
    response_json(response, response->status, doc);
    response->content_type = content_type;
}

void response_problem(struct response *response, const struct request *request,
                      const char *slug, const char *format, ...) {
    char detail[512];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    respond(response, request, slug, detail);
}

bool problem_is_store_away(const struct err *err) {
    return err->problem && strcmp(err->problem, "store-unavailable") == 0;
}

const char *problem_detail(const struct err *err) {
    if (problem_is_store_away(err))
        return "The store of predictions cannot be used at the moment; try "
               "again.";
    return err->text;
}

void response_error(struct response *response, const struct request *request,
                    const struct err *err) {
    const char *slug = err->problem ? err->problem : "internal-error";
    if (problem_status(slug) >= 500)
        log_event(LOG_ERROR, slug, "request", request->id, "error", err->text,
                  NULL);
    respond(response, request, slug, problem_detail(err));
}
