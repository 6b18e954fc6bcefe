/* The store's scripts: each happens whole or not at all. */
#include "common/store_private.h"

/*
 * KEYS[1] is the pending set; where a script is about one id,
 * KEYS[2] is its result, KEYS[3] its job, KEYS[4] the mark that it was
 * forgotten, KEYS[5] the list of recent ids, ARGV[1] the id itself.
 */
#define LUA_NOW                                                                \
    "local t = redis.call('TIME')\n"                                           \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                      \
    "local function stamp(ms) return string.format('%.0f', ms) end\n"

/* A result that counts: not a failure of the service, and readable. */
#define LUA_STANDING                                                           \
    "local function standing(json)\n"                                          \
    "  if not json then return false end\n"                                    \
    "  local ok, doc = pcall(cjson.decode, json)\n"                            \
    "  if not ok or type(doc) ~= 'table' then return false end\n"              \
    "  return doc.status == 'succeeded' or doc.permanent == true\n"            \
    "end\n"

#define LUA_PENDING                                                            \
    "local function pending()\n"                                               \
    "  local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])\n"                 \
    "  local job = redis.call('HMGET', KEYS[3], 'created', 'attempts')\n"      \
    "  if not lease or not job[1] then return nil end\n"                       \
    "  return {'pending', tonumber(lease) > now and 1 or 0,\n"                 \
    "          tonumber(job[1]), tonumber(job[2]),\n"                          \
    "          redis.call('HSTRLEN', KEYS[3], 'bytes')}\n"                     \
    "end\n"

const char *const store_scripts[SCRIPT_COUNT] = {
    [SCRIPT_LOOKUP] =
        LUA_NOW LUA_PENDING "local result = redis.call('GET', KEYS[2])\n"
                            "if result then return {'result', result} end\n"
                            "return pending() or {'none'}",

    /* ARGV: id, bytes, request, created, token, lease, pending_max */
    [SCRIPT_ACCEPT] = LUA_NOW LUA_STANDING LUA_PENDING
    "local result = redis.call('GET', KEYS[2])\n"
    "if standing(result) then return {'result', result} end\n"
    "if redis.call('HGET', KEYS[3], 'token') == ARGV[5] then\n"
    "  return {'accepted'}\n"
    "end\n"
    "local known = pending()\n"
    "if known then return known end\n"
    "local max = tonumber(ARGV[7])\n"
    "if max > 0 and redis.call('ZCARD', KEYS[1]) >= max then\n"
    "  return {'full'}\n"
    "end\n"
    "redis.call('HSET', KEYS[3], 'bytes', ARGV[2], 'request', ARGV[3],\n"
    "           'created', ARGV[4], 'accepted', stamp(now),\n"
    "           'attempts', 0, 'token', ARGV[5])\n"
    "redis.call('ZADD', KEYS[1], stamp(now + ARGV[6]), ARGV[1])\n"
    "if result then redis.call('DEL', KEYS[2]) end\n"
    "redis.call('DEL', KEYS[4])\n"
    "return {'accepted'}",

    /* ARGV: id, lease. An entry without its job cannot be answered: dropped.
     */
    [SCRIPT_ADOPT] = LUA_NOW
    "local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])\n"
    "if not lease or tonumber(lease) > now then return false end\n"
    "local job = redis.call('HMGET', KEYS[3], 'attempts', 'created',\n"
    "                       'request', 'accepted')\n"
    "if not job[2] then\n"
    "  redis.call('ZREM', KEYS[1], ARGV[1])\n"
    "  return false\n"
    "end\n"
    "redis.call('ZADD', KEYS[1], stamp(now + ARGV[2]), ARGV[1])\n"
    "return {tonumber(job[1]), tonumber(job[2]), job[3],\n"
    "        redis.call('HSTRLEN', KEYS[3], 'bytes'),\n"
    "        math.max(0, now - tonumber(job[4] or job[2]))}",

    /* ARGV: id, lease, with_bytes */
    [SCRIPT_CLAIM] = LUA_NOW
    "if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return false end\n"
    "local job = redis.call('HMGET', KEYS[3], 'created', 'request')\n"
    "if not job[1] then\n"
    "  redis.call('ZREM', KEYS[1], ARGV[1])\n"
    "  return false\n"
    "end\n"
    "local attempts = redis.call('HINCRBY', KEYS[3], 'attempts', 1)\n"
    "redis.call('ZADD', KEYS[1], stamp(now + ARGV[2]), ARGV[1])\n"
    "local last = redis.call('HSTRLEN', KEYS[3], 'bytes')\n"
    "if ARGV[3] == '1' then last = redis.call('HGET', KEYS[3], 'bytes') end\n"
    "return {attempts, tonumber(job[1]), job[2], last}",

    /* ARGV: lease, ids... */
    [SCRIPT_RENEW] =
        LUA_NOW "local lease = stamp(now + ARGV[1])\n"
                "for i = 2, #ARGV do\n"
                "  redis.call('ZADD', KEYS[1], 'XX', lease, ARGV[i])\n"
                "end\n"
                "return 1",

    /* ARGV: max, for how long */
    [SCRIPT_EXPIRED] =
        LUA_NOW "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf',\n"
                "                  stamp(now - ARGV[2]), 'LIMIT', 0, ARGV[1])",

    /* ARGV: id, json, ttl, length of the recent list */
    [SCRIPT_FINISH] =
        LUA_STANDING "local written = 0\n"
                     "if redis.call('EXISTS', KEYS[4]) == 0 and\n"
                     "   not standing(redis.call('GET', KEYS[2])) then\n"
                     "  redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])\n"
                     "  redis.call('LPUSH', KEYS[5], ARGV[1])\n"
                     "  redis.call('LTRIM', KEYS[5], 0, ARGV[4] - 1)\n"
                     "  written = 1\n"
                     "end\n"
                     "redis.call('DEL', KEYS[3])\n"
                     "redis.call('ZREM', KEYS[1], ARGV[1])\n"
                     "return written",

    /* ARGV: id, ttl of the mark. A worker that has the job now would bring the
     * result back: the mark keeps it from that. */
    [SCRIPT_FORGET] =
        "local there = redis.call('DEL', KEYS[2])\n"
        "local attempts = redis.call('HGET', KEYS[3], 'attempts')\n"
        "there = there + redis.call('DEL', KEYS[3])\n"
        "there = there + redis.call('ZREM', KEYS[1], ARGV[1])\n"
        "if attempts and tonumber(attempts) > 0 then\n"
        "  redis.call('SET', KEYS[4], '1', 'EX', ARGV[2])\n"
        "end\n"
        "redis.call('LREM', KEYS[5], 0, ARGV[1])\n"
        "return there > 0 and 1 or 0",
};
