/*
 * redis: one connection to Redis that repairs itself, and calls of scripts and
 * commands over it. What the commands are is common/store.c's business; nobody
 * else includes this.
 *
 *     static const char *const scripts[] = {"return ARGV[1]"};
 *     struct redis *redis = redis_open("unix:run/redis.sock", scripts, 1,
 * &err); struct redis_call call; redis_script(&call, 0, 0); script 0, no keys
 *     redis_add(&call, "hello");
 *     redisReply *reply = redis_run(redis, &call, &err);
 *
 * Words are borrowed until the call has run and may hold any byte. A reply is
 * never an error reply: those, and every failure of the connection, come back
 * as NULL and an err with problem "store-unavailable".
 */
#ifndef CONVOY_REDIS_H
#define CONVOY_REDIS_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

/* Addresses as in store.h. `scripts` (Lua) must outlive the connection. */
struct redis *redis_open(const char *address, const char *const *scripts,
                         int script_count, struct err *err);
void redis_close(struct redis *redis);

#define REDIS_WORDS_MAX 160

struct redis_call {
    int script; /* -1: a plain command */
    int count;
    const char *word[REDIS_WORDS_MAX];
    size_t len[REDIS_WORDS_MAX];
    char numbers[8][24]; /* texts of redis_add_number(), at most 8 */
    int number_count;
};

void redis_command(struct redis_call *call, const char *command);
void redis_script(struct redis_call *call, int script, int key_count);
void redis_add(struct redis_call *call, const char *text);
void redis_add_bytes(struct redis_call *call, const void *bytes, size_t len);
void redis_add_number(struct redis_call *call, int64_t number);

redisReply *redis_run(struct redis *redis, struct redis_call *call,
                      struct err *err);

/* Several calls in one round trip, in their order; replies[i] belongs to
 * calls[i] and is NULL where that one failed, `err` then says why the last of
 * them did. 0 where none failed. */
int redis_run_all(struct redis *redis, struct redis_call *const *calls,
                  int count, redisReply **replies, struct err *err);

/* The same for calls that answer an integer, which is not negative; or -1. */
int64_t redis_run_number(struct redis *redis, struct redis_call *call,
                         struct err *err);

/* Sets err to "Redis: REASON"; returns -1. */
int redis_unavailable(struct err *err, const char *reason);

#endif
