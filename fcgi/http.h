/*
 * http: a request and a response as plain data. Who fills the one and sends
 * the other is fcgi/request.c; what the handlers know of HTTP is here.
 *
 *     response_header(response, "Retry-After", "%d", 2);
 *     response_json(response, 202, doc);            takes doc over
 */
#ifndef CONVOY_HTTP_H
#define CONVOY_HTTP_H

#include "fcgi/body.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define HTTP_ID_MAX 128
#define HTTP_SEGMENTS 2
#define HTTP_HEADERS_MAX 12

struct request {
    /* Borrowed while the request is handled; "" where absent. */
    const char *method, *path, *query;
    const char *content_type, *prefer, *if_none_match;
    const char *host, *origin, *fetch_site; /* who asks, as a browser says */
    const char *route;        /* of the table that was met, static; or NULL */
    char id[HTTP_ID_MAX + 1]; /* X-Request-ID, theirs or ours */
    struct body body;         /* a handler frees it once it is done with it */
    /* What stood for the {} of the route's path, in order. */
    char segment[HTTP_SEGMENTS][HTTP_ID_MAX + 1];
};

struct response {
    int status;
    const char *content_type; /* static; NULL: no body */
    char *body;               /* owned */
    size_t body_len;
    struct {
        const char *name; /* static */
        char value[256];
    } headers[HTTP_HEADERS_MAX];
    int header_count;
};

/* Replaces what response held; NULL (out of memory) becomes a bare 500. */
void response_json(struct response *response, int status, json_t *doc);
void response_header(struct response *response, const char *name,
                     const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *response_header_value(const struct response *response,
                                  const char *name); /* NULL: none */
void response_free(struct response *response);

/* "Not Found"; "" for a status that no handler gives. */
const char *http_reason(int status);

/* Takes the client's X-Request-ID where it is 1..128 of A-Z a-z 0-9 . _ -,
 * otherwise makes one. */
void http_request_id(const char *theirs, char id[HTTP_ID_MAX + 1]);

/* Did a page of another site make the browser send this? Browsers say so in
 * Sec-Fetch-Site, older ones in Origin alone; programs say neither. */
bool http_is_cross_site(const struct request *request);

/* If-None-Match (RFC 9110, 13.1.2) against an entity tag with its quotes. */
bool http_etag_matches(const char *if_none_match, const char *etag);

#endif
