#include "tests/faults/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define TIMEOUT_S 20 /* longer is a hang */

struct http {
    CURL *curl;
    const char *socket;
};

struct http *http_open(const char *socket) {
    struct http *http = calloc(1, sizeof *http);
    if (!http || !(http->curl = curl_easy_init()))
        abort();
    http->socket = socket;
    return http;
}

void http_close(struct http *http) {
    curl_easy_cleanup(http->curl);
    free(http);
}

static size_t take_body(char *data, size_t one, size_t len, void *user) {
    struct reply *reply = user;
    (void)one;
    char *grown = realloc(reply->body, reply->size + len + 1);
    if (!grown)
        return 0;
    memcpy(grown + reply->size, data, len);
    reply->body = grown;
    reply->size += len;
    grown[reply->size] = 0;
    return len;
}

static size_t take_header(char *data, size_t one, size_t len, void *user) {
    static const char name[] = "Retry-After:";
    struct reply *reply = user;
    (void)one;
    if (len > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0)
        reply->retry_after_s = atoi(data + sizeof name - 1);
    return len;
}

static void perform(struct http *http, const char *path,
                    struct curl_slist *headers, struct reply *reply) {
    char url[512];
    CURL *curl = http->curl;
    snprintf(url, sizeof url, "http://localhost%s", path);
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, http->socket);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &reply->seconds);
    if (reply->body)
        reply->json = json_loadb(reply->body, reply->size, 0, NULL);
    curl_slist_free_all(headers);
    curl_easy_reset(curl); /* the connection stays */
}

void http_get(struct http *http, const char *path, struct reply *reply) {
    *reply = (struct reply){.retry_after_s = -1};
    perform(http, path, NULL, reply);
}

void http_post(struct http *http, const struct upload *uploads, int count,
               int wait, struct reply *reply) {
    char prefer[32];
    struct curl_slist *headers = NULL;
    curl_mime *form = NULL;
    *reply = (struct reply){.retry_after_s = -1};
    if (wait > 0) {
        snprintf(prefer, sizeof prefer, "Prefer: wait=%d", wait);
        headers = curl_slist_append(headers, prefer);
    }
    if (count == 1) {
        headers = curl_slist_append(headers, "Content-Type: image/png");
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, uploads->bytes);
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE,
                         (long)uploads->size);
    } else {
        form = curl_mime_init(http->curl);
        for (int i = 0; i < count; i++) {
            curl_mimepart *part = curl_mime_addpart(form);
            curl_mime_name(part, "image");
            curl_mime_filename(part, "image");
            curl_mime_data(part, uploads[i].bytes, uploads[i].size);
        }
        curl_easy_setopt(http->curl, CURLOPT_MIMEPOST, form);
    }
    perform(http, "/api/v1/predictions", headers, reply);
    curl_mime_free(form);
}

void reply_free(struct reply *reply) {
    json_decref(reply->json);
    free(reply->body);
    memset(reply, 0, sizeof *reply);
}
