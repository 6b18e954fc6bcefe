#include "common/store.h"

#include "common/fault.h"
#include "common/redis.h"
#include "common/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PENDING "convoy:pending"
#define RECENT "convoy:recent"
#define FORGOTTEN_TTL_S 3600 /* a job that runs is long over by then */
#define RENEW_CHUNK 128 /* ids a call: a script holds Redis while it runs */

struct store *store_open(const char *address, struct err *err) {
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        err_set(err, "out of memory");
        return NULL;
    }
    store->redis = redis_open(address, store_scripts, SCRIPT_COUNT, err);
    if (!store->redis) {
        free(store);
        return NULL;
    }
    return store;
}

void store_close(struct store *store) {
    if (!store)
        return;
    redis_close(store->redis);
    free(store);
}

/* A script's call about one id: its keys and the id. */
struct id_call {
    struct redis_call call;
    char result_key[18 + ID_LEN], job_key[18 + ID_LEN], mark_key[18 + ID_LEN];
};

static void begin(struct id_call *c, enum script script, const struct id *id) {
    redis_script(&c->call, script, 5);
    snprintf(c->result_key, sizeof c->result_key, "convoy:result:%s", id->text);
    snprintf(c->job_key, sizeof c->job_key, "convoy:job:%s", id->text);
    snprintf(c->mark_key, sizeof c->mark_key, "convoy:forgotten:%s", id->text);
    redis_add(&c->call, PENDING);
    redis_add(&c->call, c->result_key);
    redis_add(&c->call, c->job_key);
    redis_add(&c->call, c->mark_key);
    redis_add(&c->call, RECENT);
    redis_add(&c->call, id->text);
}

/* For calls whose reply says nothing more than that it worked. */
static int run_plain(struct store *store, struct redis_call *call,
                     struct err *err) {
    redisReply *reply = redis_run(store->redis, call, err);
    if (!reply)
        return -1;
    freeReplyObject(reply);
    return 0;
}

int store_ping(struct store *store, struct err *err) {
    struct redis_call call;
    redis_command(&call, "SET");
    redis_add(&call, "convoy:probe");
    redis_add(&call, "1");
    redis_add(&call, "EX");
    redis_add(&call, "60");
    return run_plain(store, &call, err);
}

void store_state_free(struct store_state *state) {
    free(state->json);
    memset(state, 0, sizeof *state);
}

static bool is_text(const redisReply *reply) {
    return reply->type == REDIS_REPLY_STRING;
}

static bool is_number(const redisReply *reply) {
    return reply->type == REDIS_REPLY_INTEGER;
}

static int read_state(redisReply *reply, struct store_state *state,
                      struct err *err) {
    redisReply **field = reply->element;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        !is_text(field[0]))
        return redis_unavailable(err, "unexpected reply");
    const char *kind = field[0]->str;
    if (strcmp(kind, "none") == 0)
        return 0;
    if (strcmp(kind, "full") == 0)
        return err_problem(err, "queue-full", "too many images are pending");
    if (strcmp(kind, "accepted") == 0) {
        state->kind = STORE_ACCEPTED;
        return 0;
    }
    if (strcmp(kind, "result") == 0 && reply->elements == 2 &&
        is_text(field[1])) {
        state->json = malloc((size_t)field[1]->len + 1);
        if (!state->json)
            return err_problem(err, "store-unavailable", "out of memory");
        memcpy(state->json, field[1]->str, (size_t)field[1]->len);
        state->json[field[1]->len] = 0;
        state->json_len = (size_t)field[1]->len;
        state->kind = STORE_RESULT;
        return 0;
    }
    if (strcmp(kind, "pending") == 0 && reply->elements == 5 &&
        is_number(field[1]) && is_number(field[2]) && is_number(field[3]) &&
        is_number(field[4])) {
        state->kind = STORE_PENDING;
        state->leased = field[1]->integer != 0;
        state->created_ms = field[2]->integer;
        state->attempts = (int)field[3]->integer;
        state->size = (size_t)field[4]->integer;
        return 0;
    }
    return redis_unavailable(err, "unexpected reply");
}

static int run_state(struct store *store, struct redis_call *call,
                     struct store_state *state, struct err *err) {
    memset(state, 0, sizeof *state);
    redisReply *reply = redis_run(store->redis, call, err);
    if (!reply)
        return -1;
    int status = read_state(reply, state, err);
    freeReplyObject(reply);
    return status;
}

int store_lookup(struct store *store, const struct id *id,
                 struct store_state *state, struct err *err) {
    struct id_call c;
    begin(&c, SCRIPT_LOOKUP, id);
    return run_state(store, &c.call, state, err);
}

int store_accept(struct store *store, const struct store_job *job,
                 int64_t lease_ms, int pending_max, struct store_state *state,
                 struct err *err) {
    uint8_t token[16]; /* tells this submission from all others */
    if (getrandom(token, sizeof token, 0) != sizeof token)
        return err_problem(err, "store-unavailable", "no random numbers");
    struct id_call c;
    begin(&c, SCRIPT_ACCEPT, &job->id);
    redis_add_bytes(&c.call, job->bytes, job->size);
    redis_add(&c.call, job->request);
    redis_add_number(&c.call, job->created_ms);
    redis_add_bytes(&c.call, token, sizeof token);
    redis_add_number(&c.call, lease_ms);
    redis_add_number(&c.call, pending_max);
    FAULT_POINT(ACCEPT_BEFORE, job->id.text);
    int status = run_state(store, &c.call, state, err);
    if (status == 0 && state->kind == STORE_ACCEPTED)
        FAULT_POINT(ACCEPT_AFTER, job->id.text);
    return status;
}

void store_job_free(struct store_job *job) {
    free((void *)job->bytes);
    memset(job, 0, sizeof *job);
}

/* {attempts, created, request, bytes or their count[, age]}, or nil. */
static int read_job(const redisReply *reply, const struct id *id,
                    struct store_job *job, struct err *err) {
    memset(job, 0, sizeof *job);
    if (reply->type == REDIS_REPLY_NIL)
        return 0;
    redisReply **field = reply->element;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4 ||
        !is_number(field[0]) || !is_number(field[1]) || !is_text(field[2]))
        return redis_unavailable(err, "unexpected reply");
    job->id = *id;
    job->attempts = (int)field[0]->integer;
    job->created_ms = field[1]->integer;
    if (reply->elements > 4 && is_number(field[4]))
        job->age_ms = field[4]->integer;
    snprintf(job->request, sizeof job->request, "%s", field[2]->str);
    if (is_number(field[3])) {
        job->size = (size_t)field[3]->integer;
        return 1;
    }
    if (!is_text(field[3]))
        return redis_unavailable(err, "a job has lost its image");
    /* The reply's own buffer: malloc'ed by hiredis, and ours from here on. */
    job->bytes = field[3]->str;
    job->size = (size_t)field[3]->len;
    field[3]->str = NULL;
    field[3]->type = REDIS_REPLY_NIL;
    return 1;
}

static int run_job(struct store *store, struct redis_call *call,
                   const struct id *id, struct store_job *job,
                   struct err *err) {
    redisReply *reply = redis_run(store->redis, call, err);
    if (!reply)
        return -1;
    int status = read_job(reply, id, job, err);
    freeReplyObject(reply);
    return status;
}

int store_adopt(struct store *store, const struct id *id, int64_t lease_ms,
                struct store_job *job, struct err *err) {
    struct id_call c;
    begin(&c, SCRIPT_ADOPT, id);
    redis_add_number(&c.call, lease_ms);
    FAULT_POINT(ADOPT_BEFORE, id->text);
    int adopted = run_job(store, &c.call, id, job, err);
    if (adopted > 0)
        FAULT_POINT(ADOPT_AFTER, id->text);
    return adopted;
}

void store_claim_all(struct store *store, struct store_claim *claims, int count,
                     int64_t lease_ms, struct err *err) {
    struct id_call calls[STORE_BATCH_MAX];
    struct redis_call *pointers[STORE_BATCH_MAX] = {0};
    redisReply *replies[STORE_BATCH_MAX];
    for (int i = 0; i < count; i++) {
        begin(&calls[i], SCRIPT_CLAIM, &claims[i].id);
        redis_add_number(&calls[i].call, lease_ms);
        redis_add_number(&calls[i].call, claims[i].with_bytes);
        pointers[i] = &calls[i].call;
    }
    FAULT_POINT(CLAIM_BEFORE, NULL);
    redis_run_all(store->redis, pointers, count, replies, err);
    FAULT_POINT(CLAIM_AFTER, NULL);
    for (int i = 0; i < count; i++) {
        claims[i].claimed = replies[i] ? read_job(replies[i], &claims[i].id,
                                                  &claims[i].job, err)
                                       : -1;
        freeReplyObject(replies[i]);
    }
}

int store_renew(struct store *store, const struct id *ids, int count,
                int64_t lease_ms, struct err *err) {
    for (int done = 0; done < count; done += RENEW_CHUNK) {
        struct redis_call call;
        redis_script(&call, SCRIPT_RENEW, 1);
        redis_add(&call, PENDING);
        redis_add_number(&call, lease_ms);
        for (int i = done; i < count && i < done + RENEW_CHUNK; i++)
            redis_add(&call, ids[i].text);
        FAULT_POINT(RENEW_BEFORE, NULL);
        if (redis_run_number(store->redis, &call, err) < 0)
            return -1;
        FAULT_POINT(RENEW_AFTER, NULL);
    }
    return 0;
}

int store_expired(struct store *store, int64_t since_ms, struct id *ids,
                  int max, struct err *err) {
    struct redis_call call;
    redis_script(&call, SCRIPT_EXPIRED, 1);
    redis_add(&call, PENDING);
    redis_add_number(&call, max);
    redis_add_number(&call, since_ms);
    redisReply *reply = redis_run(store->redis, &call, err);
    if (!reply)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(reply);
        return redis_unavailable(err, "unexpected reply");
    }
    int found = 0;
    for (size_t i = 0; i < reply->elements && found < max; i++)
        if (is_text(reply->element[i]) &&
            id_parse(reply->element[i]->str, &ids[found]) == 0)
            found++;
    freeReplyObject(reply);
    return found;
}

int64_t store_pending_count(struct store *store, struct err *err) {
    struct redis_call call;
    redis_command(&call, "ZCARD");
    redis_add(&call, PENDING);
    return redis_run_number(store->redis, &call, err);
}

static void begin_finish(struct id_call *c, const struct id *id,
                         const char *json, size_t len, int ttl_s) {
    begin(c, SCRIPT_FINISH, id);
    redis_add_bytes(&c->call, json, len);
    redis_add_number(&c->call, ttl_s);
    redis_add_number(&c->call, STORE_RECENT_MAX);
}

/* A result was there already where it is not `fresh`. */
static void pass_finish(const struct id *id, bool fresh) {
    if (fresh)
        FAULT_POINT(FINISH_AFTER, id->text);
    else
        FAULT_POINT(FINISH_LATE, id->text);
    (void)id; /* without fault points */
}

int store_finish(struct store *store, const struct id *id, const char *json,
                 size_t len, int ttl_s, bool *written, struct err *err) {
    struct id_call c;
    begin_finish(&c, id, json, len, ttl_s);
    FAULT_POINT(FINISH_BEFORE, id->text);
    int64_t fresh = redis_run_number(store->redis, &c.call, err);
    if (fresh < 0)
        return -1;
    pass_finish(id, fresh != 0);
    if (written)
        *written = fresh != 0;
    return 0;
}

void store_finish_all(struct store *store, struct store_result *results,
                      int count, int ttl_s, struct err *err) {
    struct id_call calls[STORE_BATCH_MAX];
    struct redis_call *pointers[STORE_BATCH_MAX] = {0};
    redisReply *replies[STORE_BATCH_MAX];
    for (int i = 0; i < count; i++) {
        begin_finish(&calls[i], results[i].id, results[i].json, results[i].len,
                     ttl_s);
        pointers[i] = &calls[i].call;
    }
    FAULT_POINT(FINISH_BEFORE, NULL);
    redis_run_all(store->redis, pointers, count, replies, err);
    for (int i = 0; i < count; i++) {
        results[i].finished =
            replies[i] && replies[i]->type == REDIS_REPLY_INTEGER;
        if (results[i].finished)
            pass_finish(results[i].id, replies[i]->integer != 0);
        freeReplyObject(replies[i]);
    }
}

int store_forget(struct store *store, const struct id *id, struct err *err) {
    struct id_call c;
    begin(&c, SCRIPT_FORGET, id);
    redis_add_number(&c.call, FORGOTTEN_TTL_S);
    return (int)redis_run_number(store->redis, &c.call, err);
}

int store_announce_worker(struct store *store, const char *name,
                          const char *json, int ttl_s, struct err *err) {
    char key[160];
    snprintf(key, sizeof key, "convoy:worker:%s", name);
    struct redis_call call;
    redis_command(&call, "SET");
    redis_add(&call, key);
    redis_add(&call, json);
    redis_add(&call, "EX");
    redis_add_number(&call, ttl_s);
    return run_plain(store, &call, err);
}
