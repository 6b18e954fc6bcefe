#include "tests/integration/http.h"

#include "tests/integration/picture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static size_t append(char **text, size_t *size, const char *data, size_t len) {
    char *grown = realloc(*text, *size + len + 1);
    if (!grown)
        return 0;
    memcpy(grown + *size, data, len);
    *size += len;
    grown[*size] = '\0';
    *text = grown;
    return len;
}

static size_t take_body(char *data, size_t one, size_t len, void *user) {
    struct reply *reply = user;
    (void)one;
    return append(&reply->body, &reply->size, data, len);
}

static size_t take_header(char *data, size_t one, size_t len, void *user) {
    struct reply *reply = user;
    (void)one;
    size_t size = reply->headers ? strlen(reply->headers) : 0;
    if (len > 5 && strncmp(data, "HTTP/", 5) == 0)
        size = 0; /* an answer behind "100 Continue" */
    return append(&reply->headers, &size, data, len);
}

static CURL *open_request(const char *path, struct reply *reply) {
    char *url = NULL;
    const char *base = getenv("CONVOY_URL");
    memset(reply, 0, sizeof *reply);
    CURL *curl = curl_easy_init();
    if (!curl || asprintf(&url, "%s%s", base ? base : "", path) < 0)
        abort();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    free(url); /* curl has its own copy */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 90L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    return curl;
}

static void perform(CURL *curl, struct reply *reply) {
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    const char *type = reply_header(reply, "Content-Type");
    if (reply->body && type && strstr(type, "json"))
        reply->json = json_loadb(reply->body, reply->size, 0, NULL);
    curl_easy_cleanup(curl);
}

void http(const struct request *request, struct reply *reply) {
    CURL *curl = open_request(request->path, reply);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    for (int i = 0; request->headers[i]; i++)
        headers = curl_slist_append(headers, request->headers[i]);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)request->size);
    }
    if (request->method && strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (request->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    perform(curl, reply);
    curl_slist_free_all(headers);
}

void http_get(const char *path, struct reply *reply) {
    http(&(struct request){.path = path}, reply);
}

void http_multipart(const char *path, const char *header,
                    const struct part *parts, int count, struct reply *reply) {
    CURL *curl = open_request(path, reply);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (header)
        headers = curl_slist_append(headers, header);
    curl_mime *form = curl_mime_init(curl);
    for (int i = 0; i < count; i++) {
        curl_mimepart *part = curl_mime_addpart(form);
        curl_mime_name(part, parts[i].name);
        curl_mime_filename(part, "a picture.bin");
        curl_mime_data(part, parts[i].bytes, parts[i].size);
    }
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    perform(curl, reply);
    curl_mime_free(form);
    curl_slist_free_all(headers);
}

void reply_free(struct reply *reply) {
    json_decref(reply->json);
    free(reply->body);
    free(reply->headers);
    memset(reply, 0, sizeof *reply);
}

const char *reply_header(struct reply *reply, const char *name) {
    size_t len = strlen(name);
    for (char *line = reply->headers; line && *line;) {
        size_t length = strcspn(line, "\r\n");
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line[length] = '\0';
            return line + len + 1 + strspn(line + len + 1, " ");
        }
        line += length + 1; /* of "\r\n", or of a line cut above */
        line += *line == '\n';
    }
    return NULL;
}

const char *reply_text(const struct reply *reply, ...) {
    va_list keys;
    json_t *value = reply->json;
    va_start(keys, reply);
    for (const char *key; (key = va_arg(keys, const char *));)
        value = json_object_get(value, key);
    va_end(keys);
    const char *text = json_string_value(value);
    return text ? text : "";
}

void predict(const void *bytes, size_t size, struct reply *reply) {
    http(&(struct request){.path = "/api/v1/predictions",
                           .headers = {"Content-Type: image/png",
                                       "Prefer: wait=20"},
                           .body = bytes,
                           .size = size},
         reply);
}

void predict_new(char *path, size_t size) {
    struct picture picture;
    struct reply reply;
    picture_random(&picture, PICTURE_PNG);
    predict(picture.bytes, picture.size, &reply);
    assert_int_equal(reply.status, 200);
    snprintf(path, size, "/api/v1/predictions/%s",
             reply_text(&reply, "id", NULL));
    reply_free(&reply);
    picture_free(&picture);
}

/* Polls until `ended` says so or the time is over. */
static int poll_until(const char *path, int seconds, struct reply *reply,
                      int (*ended)(const struct reply *, const void *),
                      const void *user) {
    time_t end = time(NULL) + seconds;
    for (;;) {
        http_get(path, reply);
        if (ended(reply, user))
            return 0;
        if (time(NULL) > end)
            return -1;
        reply_free(reply);
        usleep(50000);
    }
}

static int has_ended(const struct reply *reply, const void *user) {
    (void)user;
    const char *status = reply_text(reply, "status", NULL);
    return reply->status == 200 &&
           (strcmp(status, "succeeded") == 0 || strcmp(status, "failed") == 0);
}

void await(const char *id, int seconds, struct reply *reply) {
    char path[256];
    snprintf(path, sizeof path, "/api/v1/predictions/%s", id);
    if (poll_until(path, seconds, reply, has_ended, NULL) < 0) {
        char said[512];
        snprintf(said, sizeof said, "%ld %s", reply->status,
                 reply->body ? reply->body : "");
        reply_free(reply);
        fail_msg("%s has not ended within %d s: %s", path, seconds, said);
    }
}

static int has_status(const struct reply *reply, const void *user) {
    return reply->status == *(const long *)user;
}

int await_status(const char *path, long status, int seconds) {
    struct reply reply;
    int rc = poll_until(path, seconds, &reply, has_status, &status);
    reply_free(&reply);
    return rc;
}

void assert_problem(struct reply *reply, long status, const char *type) {
    const char *media = reply_header(reply, "Content-Type");
    char expected[128] = "";
    if (reply->status != status)
        print_message("%s\n", reply->body ? reply->body : "(no body)");
    assert_int_equal(reply->status, status);
    assert_non_null(media);
    assert_non_null(strstr(media, "application/problem+json"));
    assert_non_null(reply->json);
    assert_int_equal(json_integer_value(json_object_get(reply->json, "status")),
                     status);
    assert_string_not_equal(reply_text(reply, "title", NULL), "");
    assert_string_not_equal(reply_text(reply, "detail", NULL), "");
    if (type) {
        snprintf(expected, sizeof expected, "/problems/%s", type);
        assert_string_equal(reply_text(reply, "type", NULL), expected);
    }
}
