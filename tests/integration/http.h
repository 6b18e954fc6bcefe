/*
 * http: requests to the service under test, by libcurl.
 *
 *     struct reply reply;
 *     http_get("/api/v1/models", &reply);
 *     assert_int_equal(reply.status, 200);
 *     json_array_size(json_object_get(reply.json, "models"));
 *     reply_free(&reply);
 *
 * Paths are below $CONVOY_URL. A service that cannot be reached is status 0.
 */
#ifndef CONVOY_TEST_HTTP_H
#define CONVOY_TEST_HTTP_H

#include <jansson.h>
#include <stddef.h>

struct reply {
    long status;
    char *body; /* NUL-terminated */
    size_t size;
    char *headers; /* of the last answer, as they came */
    json_t *json;  /* of a body that says it is JSON, else NULL */
};

struct request {
    const char *method; /* NULL: GET, or POST where there is a body */
    const char *path;
    const char *headers[8]; /* "Prefer: wait=5", ..., NULL */
    const void *body;
    size_t size;
};

/* An image of a multipart body. */
struct part {
    const char *name; /* of the form's field */
    const void *bytes;
    size_t size;
};

void http(const struct request *request, struct reply *reply);
void http_get(const char *path, struct reply *reply);
void http_multipart(const char *path, const char *header,
                    const struct part *parts, int count, struct reply *reply);
void reply_free(struct reply *reply);

/* The value of a header, without blanks around it; NULL: there is none. The
 * text lives as long as the reply. */
const char *reply_header(struct reply *reply, const char *name);

/* A text in the JSON: reply_text(&reply, "model", "name", NULL), else "". */
const char *reply_text(const struct reply *reply, ...)
    __attribute__((sentinel));

/* Posts an image, waiting up to 20 s for its prediction. */
void predict(const void *bytes, size_t size, struct reply *reply);

/* The same of an image that no one has seen before; the path of its prediction,
 * which nobody has asked for yet. */
void predict_new(char *path, size_t size);

/* Polls until the prediction has ended, `seconds` at most. */
void await(const char *id, int seconds, struct reply *reply);

/* Polls a path until it answers `status`; 0, or -1 after so many seconds. */
int await_status(const char *path, long status, int seconds);

/* Fails the test unless the reply is a problem (RFC 9457) of that status and
 * type ("corrupt-image"; NULL: any). */
void assert_problem(struct reply *reply, long status, const char *type);

#endif
