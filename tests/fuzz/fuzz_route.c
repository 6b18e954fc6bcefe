/* Lines of text from a stranger's request: path, query, Prefer, If-None-Match,
 * X-Request-ID, and what tells whose page asks. */
#include "common/id.h"
#include "fcgi/http.h"
#include "fcgi/prefer.h"
#include "fcgi/query.h"
#include "fcgi/route.h"
#include "tests/fuzz/fuzz.h"

static const char *next_line(char **rest) {
    const char *line = strsep(rest, "\n");
    return line ? line : "";
}

static void read_path(const char *path) {
    static const char *const patterns[] = {"/api/v1/predictions/{}",
                                           "/api/v1/models/{}/versions/{}",
                                           "/{}/{}", "/{}/{}/{}", "/healthz"};
    char segment[HTTP_SEGMENTS][HTTP_ID_MAX + 1];
    struct id id;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        memset(segment, 0, sizeof segment);
        if (!route_matches(patterns[i], path, segment))
            continue;
        for (int k = 0; k < HTTP_SEGMENTS; k++)
            if (id_parse(segment[k], &id) == 0)
                MUST(strcmp(id.text, segment[k]) == 0 &&
                     strlen(id_version(&id)) == ID_VERSION_LEN);
    }
}

static void read_query(const char *query) {
    char text[64];
    int number = 5;
    struct err err = {0};
    if (query_text(query, "model", text, sizeof text, &err) == 1)
        MUST(memchr(text, 0, sizeof text));
    query_number(query, "top_k", 1, 32, &number, &err);
    MUST(number >= 1 && number <= 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = text;
    char id[HTTP_ID_MAX + 1];
    read_path(next_line(&rest));
    read_query(next_line(&rest));
    MUST(prefer_wait(next_line(&rest)) >= -1);
    http_etag_matches(next_line(&rest), "\"9f86d081-3f2a9c1b7d4e\"");
    http_request_id(next_line(&rest), id);
    const struct request request = {.host = next_line(&rest),
                                    .origin = next_line(&rest),
                                    .fetch_site = next_line(&rest)};
    http_is_cross_site(&request);
    MUST(*id && strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
                           "yz0123456789._-") == strlen(id));
    free(text);
    return 0;
}
