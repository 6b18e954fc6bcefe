/* What the admin page looks at: workers and recent predictions. */
#include "common/redis.h"
#include "common/store.h"
#include "common/store_private.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The texts of `call`, an MGET of `count` keys; NULL where a key is not there.
 */
static int read_texts(struct store *store, struct redis_call *call, int count,
                      char **texts, struct err *err) {
    redisReply *reply = redis_run(store->redis, call, err);
    if (!reply)
        return -1;
    int status = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != (size_t)count)
        status = redis_unavailable(err, "unexpected reply");
    for (int i = 0; status == 0 && i < count; i++) {
        const redisReply *text = reply->element[i];
        texts[i] = text->type == REDIS_REPLY_STRING
                       ? strndup(text->str, (size_t)text->len)
                       : NULL;
    }
    freeReplyObject(reply);
    return status;
}

/* Twice in the list: it failed, and was answered after all. */
static bool is_among(char keys[][16 + ID_LEN], int count, const char *key) {
    for (int i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

int store_recent(struct store *store, char **results, int max,
                 struct err *err) {
    char keys[STORE_RECENT_MAX][16 + ID_LEN];
    struct redis_call call;
    if (max > STORE_RECENT_MAX)
        max = STORE_RECENT_MAX;
    redis_command(&call, "LRANGE");
    redis_add(&call, "convoy:recent");
    redis_add_number(&call, 0);
    redis_add_number(&call, max - 1);
    redisReply *reply = redis_run(store->redis, &call, err);
    if (!reply)
        return -1;
    int count = 0;
    redis_command(&call, "MGET");
    for (size_t i = 0; i < reply->elements && count < max; i++) {
        struct id id;
        if (reply->element[i]->type != REDIS_REPLY_STRING ||
            id_parse(reply->element[i]->str, &id) < 0)
            continue;
        snprintf(keys[count], sizeof keys[count], "convoy:result:%s", id.text);
        if (!is_among(keys, count, keys[count]))
            redis_add(&call, keys[count++]);
    }
    freeReplyObject(reply);
    if (count == 0)
        return 0;
    if (read_texts(store, &call, count, results, err) < 0)
        return -1;
    int there = 0; /* those that have expired are left out */
    for (int i = 0; i < count; i++)
        if (results[i])
            results[there++] = results[i];
    return there;
}

int store_worker_reports(struct store *store, const char *const *names,
                         int count, char **reports, struct err *err) {
    char keys[STORE_WORKERS_MAX][160];
    struct redis_call call;
    if (count > STORE_WORKERS_MAX)
        count = STORE_WORKERS_MAX;
    redis_command(&call, "MGET");
    for (int i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "convoy:worker:%s", names[i]);
        redis_add(&call, keys[i]);
    }
    if (count == 0)
        return 0;
    return read_texts(store, &call, count, reports, err) < 0 ? -1 : count;
}
