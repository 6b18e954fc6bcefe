/*
 * backlog: what Redis says is still to be done.
 *
 *     redisContext *redis = redisConnectUnix("redis.sock");
 *     if (backlog_await_end(redis, 30)) ...
 *     redisFree(redis);
 */
#ifndef CONVOY_TEST_BACKLOG_H
#define CONVOY_TEST_BACKLOG_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

/* The number that it answers, or how many entries; -1: neither. */
long long backlog_number(redisContext *redis, const char *command);

/* False where jobs are still pending after so many seconds: a verdict. */
bool backlog_await_end(redisContext *redis, int seconds);

#endif
