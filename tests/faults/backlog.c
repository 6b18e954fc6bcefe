#include "tests/faults/backlog.h"

#include "tests/faults/verdict.h"

#include <unistd.h>

long long backlog_number(redisContext *redis, const char *command) {
    long long number = -1;
    redisReply *reply = redis ? redisCommand(redis, command) : NULL;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        number = reply->integer;
    if (reply && reply->type == REDIS_REPLY_ARRAY)
        number = (long long)reply->elements;
    freeReplyObject(reply);
    return number;
}

bool backlog_await_end(redisContext *redis, int seconds) {
    long long pending = -1;
    for (int i = 0; i < seconds * 10 && pending != 0; i++) {
        pending = backlog_number(redis, "ZCARD convoy:pending");
        if (pending != 0)
            usleep(100000);
    }
    if (pending != 0)
        verdict_against("%lld jobs are still pending after %d s", pending,
                        seconds);
    return pending == 0;
}
