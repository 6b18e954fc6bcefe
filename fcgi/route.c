#include "fcgi/route.h"

#include "fcgi/problem.h"

#include <stdio.h>
#include <string.h>

static const struct row {
    const char *method, *path;
    void (*handle)(struct call *);
    bool own_pages_only; /* changes something or makes work: not for a form on
                            a page of another site */
} rows[] = {
    {"POST", "/api/v1/predictions", submit_predictions, true},
    {"GET", "/api/v1/predictions/{}", show_prediction},
    {"DELETE", "/api/v1/predictions/{}", forget_prediction, true},
    {"GET", "/api/v1/predictions/{}/heatmap.png", show_heatmap},
    {"GET", "/api/v1/models", list_models},
    {"GET", "/api/v1/models/{}", show_model},
    {"GET", "/healthz", show_health},
    {"GET", "/readyz", show_readiness},
    {"GET", "/metrics", show_metrics},
    {"GET", "/api/v1/admin/state", show_state},
    {"GET", "/api/v1/admin/predictions", list_recent},
};

bool route_matches(const char *pattern, const char *path,
                   char segment[HTTP_SEGMENTS][HTTP_ID_MAX + 1]) {
    int taken = 0;
    while (*pattern && *path) {
        if (strncmp(pattern, "{}", 2) != 0) {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (len == 0 || len > HTTP_ID_MAX || taken == HTTP_SEGMENTS)
            return false;
        memcpy(segment[taken], path, len);
        segment[taken++][len] = 0;
        pattern += 2;
        path += len;
    }
    return !*pattern && !*path;
}

static void refuse_method(struct call *call, const char *allow) {
    response_problem(call->response, call->request, "method-not-allowed",
                     "This address answers to %s.", allow);
    response_header(call->response, "Allow", "%s", allow);
}

static void handle(const struct row *row, struct call *call) {
    if (row->own_pages_only && http_is_cross_site(call->request))
        response_problem(call->response, call->request, "cross-site",
                         "A page of another site asked for this.");
    else
        row->handle(call);
}

void route(struct call *call) {
    struct request *request = call->request;
    const char *method =
        strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    char allow[64] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!route_matches(rows[i].path, request->path, request->segment))
            continue;
        request->route = rows[i].path;
        if (strcmp(rows[i].method, method) == 0) {
            handle(&rows[i], call);
            return;
        }
        size_t len = strlen(allow);
        snprintf(allow + len, sizeof allow - len, "%s%s%s", len ? ", " : "",
                 rows[i].method,
                 strcmp(rows[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    if (*allow)
        refuse_method(call, allow);
    else
        response_problem(call->response, call->request, "not-found",
                         "There is nothing at this address.");
}
