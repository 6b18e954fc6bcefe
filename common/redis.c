#include "common/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 2

struct redis {
    char *host; /* or the path of a unix socket, where port is 0 */
    int port;
    char *user, *password; /* or NULL */
    const char *const *scripts;
    int script_count;
    char (*sha)[41];       /* of the scripts, as Redis names them */
    redisContext *context; /* NULL: not connected */
};

/* ---- address and connection --------------------------------------------- */

/* "USER:PASSWORD@" at the start of *rest, where there is one. */
static int take_login(struct redis *redis, const char **rest) {
    const char *at = strrchr(*rest, '@');
    if (!at)
        return 0;
    const char *colon = memchr(*rest, ':', (size_t)(at - *rest));
    if (!colon)
        return -1;
    if (colon > *rest)
        redis->user = strndup(*rest, (size_t)(colon - *rest));
    redis->password = strndup(colon + 1, (size_t)(at - colon - 1));
    *rest = at + 1;
    return redis->password ? 0 : -1;
}

static int take_host(struct redis *redis, const char *text) {
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return -1;
    char *end;
    errno = 0;
    long port = strtol(colon + 1, &end, 10);
    if (errno || *end || end == colon + 1 || port < 1 || port > 65535)
        return -1;
    redis->port = (int)port;
    bool bracketed = *text == '[' && colon[-1] == ']'; /* IPv6 */
    redis->host = bracketed ? strndup(text + 1, (size_t)(colon - text) - 2)
                            : strndup(text, (size_t)(colon - text));
    return redis->host ? 0 : -1;
}

static int take_address(struct redis *redis, const char *text) {
    if (strncmp(text, "unix:", 5) == 0) {
        text += 5;
        if (strncmp(text, "//", 2) == 0) {
            text += 2;
            if (take_login(redis, &text) < 0)
                return -1;
        }
        redis->host = *text ? strdup(text) : NULL;
        return redis->host ? 0 : -1;
    }
    if (strncmp(text, "redis://", 8) == 0) {
        text += 8;
        if (take_login(redis, &text) < 0)
            return -1;
    }
    return take_host(redis, text);
}

struct redis *redis_open(const char *address, const char *const *scripts,
                         int script_count, struct err *err) {
    struct redis *redis = calloc(1, sizeof *redis);
    if (!redis || !(redis->sha = calloc((size_t)script_count, 41))) {
        err_set(err, "out of memory");
        redis_close(redis);
        return NULL;
    }
    redis->scripts = scripts;
    redis->script_count = script_count;
    if (take_address(redis, address) < 0) {
        /* The address may hold a password: it is not repeated. */
        err_set(err, "the address of Redis must be unix:PATH, HOST:PORT or "
                     "redis://USER:PASSWORD@HOST:PORT");
        redis_close(redis);
        return NULL;
    }
    const char *user = getenv("CONVOY_REDIS_USER");
    const char *password = getenv("CONVOY_REDIS_PASSWORD");
    if (!redis->password && password) {
        redis->password = strdup(password);
        redis->user = user ? strdup(user) : NULL;
    }
    return redis;
}

static void disconnect(struct redis *redis) {
    if (redis->context)
        redisFree(redis->context);
    redis->context = NULL;
}

void redis_close(struct redis *redis) {
    if (!redis)
        return;
    disconnect(redis);
    free(redis->host);
    free(redis->user);
    free(redis->password);
    free(redis->sha);
    free(redis);
}

int redis_unavailable(struct err *err, const char *reason) {
    return err_problem(err, "store-unavailable", "Redis: %s", reason);
}

static redisReply *log_in(const struct redis *redis) {
    const char *words[3] = {"AUTH", redis->user ? redis->user : redis->password,
                            redis->password};
    return redisCommandArgv(redis->context, redis->user ? 3 : 2, words, NULL);
}

/* Logs in and loads the scripts, all in one round trip. */
static int greet(struct redis *redis, struct err *err) {
    redisContext *context = redis->context;
    if (redis->password) {
        redisReply *reply = log_in(redis);
        if (!reply)
            return redis_unavailable(err, context->errstr);
        int status = reply->type == REDIS_REPLY_ERROR
                         ? redis_unavailable(err, reply->str)
                         : 0;
        freeReplyObject(reply);
        if (status < 0)
            return -1;
    }
    for (int i = 0; i < redis->script_count; i++)
        redisAppendCommandArgv(
            context, 3, (const char *[]){"SCRIPT", "LOAD", redis->scripts[i]},
            NULL);
    for (int i = 0; i < redis->script_count; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(context, (void **)&reply) != REDIS_OK || !reply)
            return redis_unavailable(err, context->errstr);
        int status = 0;
        if (reply->type == REDIS_REPLY_STRING && reply->len == 40)
            memcpy(redis->sha[i], reply->str, 41);
        else
            status =
                redis_unavailable(err, reply->type == REDIS_REPLY_ERROR
                                           ? reply->str
                                           : "SCRIPT LOAD: unexpected reply");
        freeReplyObject(reply);
        if (status < 0)
            return -1;
    }
    return 0;
}

static int connect_redis(struct redis *redis, struct err *err) {
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    redis->context =
        redis->port ? redisConnectWithTimeout(redis->host, redis->port, timeout)
                    : redisConnectUnixWithTimeout(redis->host, timeout);
    if (!redis->context)
        return err_problem(err, "store-unavailable", "out of memory");
    if (redis->context->err || redisSetTimeout(redis->context, timeout) < 0) {
        err_problem(err, "store-unavailable", "Redis at %s: %s", redis->host,
                    redis->context->errstr);
        disconnect(redis);
        return -1;
    }
    if (redis->port)
        redisEnableKeepAlive(redis->context);
    if (greet(redis, err) < 0) {
        disconnect(redis);
        return -1;
    }
    return 0;
}

/* ---- calls --------------------------------------------------------------- */

void redis_add_bytes(struct redis_call *call, const void *bytes, size_t len) {
    call->word[call->count] = len ? bytes : "";
    call->len[call->count++] = len;
}

void redis_add(struct redis_call *call, const char *text) {
    redis_add_bytes(call, text, strlen(text));
}

void redis_add_number(struct redis_call *call, int64_t number) {
    char *text = call->numbers[call->number_count++];
    snprintf(text, sizeof call->numbers[0], "%" PRId64, number);
    redis_add(call, text);
}

void redis_command(struct redis_call *call, const char *command) {
    call->script = -1;
    call->number_count = 0;
    call->count = 0;
    redis_add(call, command);
}

void redis_script(struct redis_call *call, int script, int key_count) {
    call->script = script;
    call->number_count = 0;
    call->count = 2; /* EVALSHA and the digest: aim() */
    redis_add_number(call, key_count);
}

static void aim(struct redis *redis, struct redis_call *call, bool by_text) {
    if (call->script < 0)
        return;
    call->word[0] = by_text ? "EVAL" : "EVALSHA";
    call->word[1] =
        by_text ? redis->scripts[call->script] : redis->sha[call->script];
    call->len[0] = strlen(call->word[0]);
    call->len[1] = strlen(call->word[1]);
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* What is tried again: a connection that
 * the other side had closed (Redis restarted since the last call), a script
 * that Redis has forgotten, and a master that turned replica (the address may
 * lead to the new one). A time-out is not: the caller is already late. */
redisReply *redis_run(struct redis *redis, struct redis_call *call,
                      struct err *err) {
    bool by_text = false;
    for (int trial = 0;; trial++) {
        bool fresh = !redis->context;
        if (fresh && connect_redis(redis, err) < 0)
            return NULL;
        aim(redis, call, by_text);
        errno = 0;
        redisReply *reply = redisCommandArgv(redis->context, call->count,
                                             call->word, call->len);
        if (!reply) {
            bool lost = redis->context->err == REDIS_ERR_EOF ||
                        errno == EPIPE || errno == ECONNRESET;
            redis_unavailable(err, redis->context->errstr);
            disconnect(redis);
            if (lost && !fresh && trial == 0)
                continue;
            return NULL;
        }
        if (reply->type != REDIS_REPLY_ERROR)
            return reply;
        redis_unavailable(err, reply->str);
        bool forgotten = starts(reply->str, "NOSCRIPT");
        bool moved = starts(reply->str, "READONLY");
        freeReplyObject(reply);
        if (moved)
            disconnect(redis);
        if (trial > 0 || (!forgotten && !moved))
            return NULL;
        by_text = forgotten;
    }
}

/* Sends all and reads the replies. -1: the connection is lost; *idle where it
 * had been closed before it was used. */
static int pipeline(struct redis *redis, struct redis_call *const *calls,
                    int count, redisReply **replies, bool *idle,
                    struct err *err) {
    redisContext *context = redis->context;
    for (int i = 0; i < count; i++) {
        aim(redis, calls[i], false);
        redisAppendCommandArgv(context, calls[i]->count, calls[i]->word,
                               calls[i]->len);
    }
    for (int i = 0; i < count; i++) {
        errno = 0;
        if (redisGetReply(context, (void **)&replies[i]) == REDIS_OK &&
            replies[i])
            continue;
        *idle = i == 0 && (context->err == REDIS_ERR_EOF || errno == EPIPE ||
                           errno == ECONNRESET);
        redis_unavailable(err, context->errstr);
        disconnect(redis);
        return -1;
    }
    return 0;
}

int redis_run_all(struct redis *redis, struct redis_call *const *calls,
                  int count, redisReply **replies, struct err *err) {
    memset(replies, 0, (size_t)count * sizeof *replies);
    bool fresh = !redis->context, idle = false;
    if (fresh && connect_redis(redis, err) < 0)
        return -1;
    int status = pipeline(redis, calls, count, replies, &idle, err);
    if (status < 0 && idle && !fresh && connect_redis(redis, err) == 0)
        status = pipeline(redis, calls, count, replies, &idle, err);
    for (int i = 0; i < count; i++) {
        if (!replies[i] || replies[i]->type != REDIS_REPLY_ERROR)
            continue;
        /* Once more on its own: redis_run() knows what can be mended. */
        freeReplyObject(replies[i]);
        replies[i] = redis_run(redis, calls[i], err);
        status = replies[i] ? status : -1;
    }
    return status;
}

int64_t redis_run_number(struct redis *redis, struct redis_call *call,
                         struct err *err) {
    redisReply *reply = redis_run(redis, call, err);
    if (!reply)
        return -1;
    int64_t number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    if (number < 0)
        redis_unavailable(err, "unexpected reply");
    freeReplyObject(reply);
    return number;
}
