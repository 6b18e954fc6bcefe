#include "fcgi/http.h"

#include "common/document.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

const char *http_reason(int status) {
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

void response_json(struct response *response, int status, json_t *doc) {
    free(response->body);
    response->body = document_print(doc, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(doc);
    response->status = response->body ? status : 500;
    response->content_type = response->body ? "application/json" : NULL;
    response->body_len = response->body ? strlen(response->body) : 0;
}

void response_header(struct response *response, const char *name,
                     const char *format, ...) {
    if (response->header_count == HTTP_HEADERS_MAX)
        return;
    char *value = response->headers[response->header_count].value;
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof response->headers[0].value, format, args);
    va_end(args);
    response->headers[response->header_count++].name = name;
}

const char *response_header_value(const struct response *response,
                                  const char *name) {
    for (int i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

void response_free(struct response *response) {
    free(response->body);
    memset(response, 0, sizeof *response);
}

void http_request_id(const char *theirs, char id[HTTP_ID_MAX + 1]) {
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(theirs);
    if (len >= 1 && len <= HTTP_ID_MAX && strspn(theirs, word) == len) {
        memcpy(id, theirs, len + 1);
        return;
    }
    uint8_t random[16] = {0};
    /* Cannot fail for so few bytes once the system is up. */
    ssize_t got = getrandom(random, sizeof random, 0);
    (void)got;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
}

bool http_is_cross_site(const struct request *request) {
    if (*request->fetch_site)
        return strcmp(request->fetch_site, "same-origin") != 0 &&
               strcmp(request->fetch_site, "none") != 0;
    if (!*request->origin)
        return false;
    const char *host = strstr(request->origin, "://");
    return !host || strcasecmp(host + 3, request->host) != 0;
}

bool http_etag_matches(const char *if_none_match, const char *etag) {
    const char *p = if_none_match;
    size_t len = strlen(etag);
    if (strcmp(p, "*") == 0)
        return true;
    while (*p) {
        p += strspn(p, " \t,");
        if (strncmp(p, "W/", 2) == 0) /* compared weakly */
            p += 2;
        if (strncmp(p, etag, len) == 0 && (!p[len] || strchr(" \t,", p[len])))
            return true;
        if (*p == '"') { /* commas may stand within the quotes */
            const char *end = strchr(p + 1, '"');
            if (!end)
                return false;
            p = end + 1;
        } else {
            p += strcspn(p, ",");
        }
    }
    return false;
}
