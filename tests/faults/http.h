/*
 * http: requests over a unix socket, by libcurl; a connection a client, kept.
 *
 *     struct http *http = http_open("http.sock");
 *     struct reply reply;
 *     http_get(http, "/readyz", &reply);
 *     reply_free(&reply);
 *     http_close(http);
 */
#ifndef CONVOY_TEST_FAULTS_HTTP_H
#define CONVOY_TEST_FAULTS_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct reply {
    long status; /* 0: none came */
    json_t *json;
    int retry_after_s; /* -1: there was no such header */
    double seconds;
    char *body;
    size_t size;
};

struct http *http_open(const char *socket);
void http_close(struct http *http);

struct upload {
    const void *bytes;
    size_t size;
};

/* Up to HTTP_UPLOADS_MAX images, several as a form; `wait` > 0: Prefer. */
#define HTTP_UPLOADS_MAX 32
void http_post(struct http *http, const struct upload *uploads, int count,
               int wait, struct reply *reply);
void http_get(struct http *http, const char *path, struct reply *reply);
void reply_free(struct reply *reply);

#endif
