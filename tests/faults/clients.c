#include "tests/faults/clients.h"

#include "tests/faults/http.h"
#include "tests/faults/service.h"
#include "tests/faults/verdict.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORM 8 /* images in a form: a hand's batch */
#define SHOTS_MAX HTTP_UPLOADS_MAX
#define RETRY_MOST_S 3
#define WHY 200

struct client {
    struct clients *clients;
    struct http *http;
    struct rng rng;
    pthread_t thread;
};

struct clients {
    struct history *history;
    enum pace pace;
    atomic_bool stopping;
    int count;
    struct client *all;
};

/* Of all clients since the start, for the report. */
static struct {
    pthread_mutex_t mutex;
    struct clients_counts counts;
} total = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct clients_counts clients_counts(void) {
    pthread_mutex_lock(&total.mutex);
    struct clients_counts counts = total.counts;
    pthread_mutex_unlock(&total.mutex);
    return counts;
}

/* ---- what an answer may be ----------------------------------------------- */

static bool is_refusal(const struct reply *reply) {
    return reply->status == 503 || reply->status == 429;
}

/* Of any request: a status that the API has, and no client is left hanging. */
static void judge(const struct reply *reply, const char *what) {
    pthread_mutex_lock(&total.mutex);
    total.counts.requests++;
    total.counts.refused += is_refusal(reply);
    total.counts.failed += reply->status == 0;
    if (reply->seconds > total.counts.longest_s)
        total.counts.longest_s = reply->seconds;
    pthread_mutex_unlock(&total.mutex);
    if (reply->status == 0)
        verdict_against("%s was not answered within %.1f s", what,
                        reply->seconds);
    else if (is_refusal(reply) && reply->retry_after_s < 0)
        verdict_against("%s was answered %ld without Retry-After: %.200s", what,
                        reply->status, reply->body ? reply->body : "");
    else if (!is_refusal(reply) && reply->status != 200 &&
             reply->status != 202 && reply->status != 404)
        verdict_against("%s was answered %ld: %.200s", what, reply->status,
                        reply->body ? reply->body : "");
}

/* ---- submissions --------------------------------------------------------- */

/* An entry is a prediction, or a problem. */
static void take_entry(struct history *history, struct shot *shot,
                       const json_t *entry) {
    int status = (int)json_integer_value(json_object_get(entry, "status"));
    if (json_object_get(entry, "id"))
        history_told(history, shot, entry);
    else if (status != 503)
        verdict_against("an image of a form was refused with %d", status);
}

static void take_entries(struct history *history, struct shot *const *shots,
                         int count, const struct reply *reply) {
    const json_t *list = json_object_get(reply->json, "predictions");
    if (reply->status == 404) {
        verdict_against("a submission was answered 404: %.200s",
                        reply->body ? reply->body : "");
        return;
    }
    if (reply->status != 200 && reply->status != 202)
        return;
    if (count == 1) {
        take_entry(history, shots[0], reply->json);
        return;
    }
    if ((int)json_array_size(list) != count)
        verdict_against("a form of %d images was answered with %zu", count,
                        json_array_size(list));
    for (int i = 0; i < count && i < (int)json_array_size(list); i++)
        take_entry(history, shots[i], json_array_get(list, (size_t)i));
}

static long post(struct history *history, struct http *http,
                 struct shot *const *shots, int count, int wait,
                 int *retry_after_s, char why[WHY]) {
    struct upload uploads[SHOTS_MAX];
    struct reply reply;
    for (int i = 0; i < count; i++) {
        uploads[i] = (struct upload){shots[i]->bytes, shots[i]->size};
        history_submitted(history, shots[i]);
    }
    http_post(http, uploads, count, wait, &reply);
    judge(&reply, "a submission");
    take_entries(history, shots, count, &reply);
    long status = reply.status;
    *retry_after_s = reply.retry_after_s;
    if (why)
        snprintf(why, WHY, "%ld: %.180s", status, reply.body ? reply.body : "");
    reply_free(&reply);
    return status;
}

static void nap(struct client *client, int least_ms, int most_ms) {
    usleep((useconds_t)rng_between(&client->rng, least_ms, most_ms) * 1000);
}

static void submit(struct client *client, struct shot *const *shots,
                   int count) {
    struct history *history = client->clients->history;
    int wait =
        rng_chance(&client->rng, 30) ? rng_between(&client->rng, 1, 3) : 0;
    char why[WHY], why_again[WHY];
    int after;
    long status = post(history, client->http, shots, count, wait, &after, why);
    if (status == 200 || status == 202)
        return;
    if (client->clients->pace != PACE_STRICT) {
        nap(client, 50, 200);
        return;
    }
    usleep((useconds_t)(after < 0              ? 200000
                        : after > RETRY_MOST_S ? RETRY_MOST_S * 1000000
                                               : after * 1000000));
    long again =
        post(history, client->http, shots, count, wait, &after, why_again);
    if (again != 200 && again != 202)
        verdict_against("a submission failed (%s) and, tried once more, "
                        "failed again (%s)",
                        why, why_again);
}

static void submit_new(struct client *client, int count) {
    struct shot *shots[FORM];
    bool large = client->clients->pace == PACE_LARGE;
    for (int i = 0; i < count; i++)
        shots[i] = history_new(client->clients->history, &client->rng,
                               large                         ? NATURE_LARGE
                               : rng_chance(&client->rng, 5) ? NATURE_BROKEN
                                                             : NATURE_PLAIN);
    submit(client, shots, count);
}

static void submit_again(struct client *client) {
    struct shot *shot = history_any(client->clients->history, &client->rng);
    if (shot && shot->nature != NATURE_STUCK)
        submit(client, &shot, 1);
}

/* ---- polls --------------------------------------------------------------- */

/* The status; 0 where the image has no name yet. */
static long poll_shot(struct history *history, struct http *http,
                      struct shot *shot, const char *query) {
    char path[300];
    struct reply reply;
    if (!*shot->id)
        return 0;
    snprintf(path, sizeof path, "/api/v1/predictions/%s%s", shot->id, query);
    http_get(http, path, &reply);
    judge(&reply, "a poll");
    if (reply.status == 200)
        history_told(history, shot, reply.json);
    else if (reply.status == 404)
        history_unknown(history, shot);
    long status = reply.status;
    reply_free(&reply);
    return status;
}

static void poll_one(struct client *client) {
    struct history *history = client->clients->history;
    struct shot *shot = rng_chance(&client->rng, 70)
                            ? history_first_open(history)
                            : history_any(history, &client->rng);
    if (shot)
        poll_shot(history, client->http, shot, "");
}

/* ---- threads ------------------------------------------------------------- */

static void act(struct client *client) {
    int choice = rng_between(&client->rng, 1, 100);
    if (client->clients->pace == PACE_FLOOD ||
        client->clients->pace == PACE_LARGE) {
        submit_new(client, FORM);
        return;
    }
    if (choice <= 45)
        submit_new(client, 1);
    else if (choice <= 55)
        submit_new(client, FORM);
    else if (choice <= 65)
        submit_again(client);
    else
        poll_one(client);
    nap(client, 5, 40);
}

static void *run(void *argument) {
    struct client *client = argument;
    client->http = http_open(SERVICE_HTTP);
    while (!atomic_load(&client->clients->stopping))
        act(client);
    http_close(client->http);
    return NULL;
}

struct clients *clients_start(struct history *history, uint64_t seed, int count,
                              enum pace pace) {
    struct clients *clients = calloc(1, sizeof *clients);
    if (!clients ||
        !(clients->all = calloc((size_t)count, sizeof(struct client))))
        abort();
    clients->history = history;
    clients->pace = pace;
    clients->count = count;
    for (int i = 0; i < count; i++) {
        struct client *client = &clients->all[i];
        client->clients = clients;
        client->rng.state = rng_derive(seed, (uint64_t)i + 1000);
        if (pthread_create(&client->thread, NULL, run, client))
            abort();
    }
    return clients;
}

void clients_halt(struct clients *clients) {
    atomic_store(&clients->stopping, true);
}

void clients_stop(struct clients *clients) {
    clients_halt(clients);
    for (int i = 0; i < clients->count; i++)
        pthread_join(clients->all[i].thread, NULL);
    free(clients->all);
    free(clients);
}

/* ---- by the schedule's own thread ---------------------------------------- */

void clients_submit_among(struct history *history, uint64_t seed,
                          enum nature nature) {
    struct rng rng = {seed};
    struct shot *shots[FORM];
    struct http *http = http_open(SERVICE_HTTP);
    int place = rng_between(&rng, 0, FORM - 1), after;
    for (int i = 0; i < FORM; i++)
        shots[i] =
            history_new(history, &rng, i == place ? nature : NATURE_PLAIN);
    post(history, http, shots, FORM, 0, &after, NULL);
    http_close(http);
}

/* One poll of each that is open; how many still are. */
static int poll_open(struct history *history, struct http *http, bool late) {
    struct shot *shot;
    int open = 0;
    for (int i = 0; (shot = history_shot(history, i)); i++) {
        if (!history_is_open(history, shot))
            continue;
        poll_shot(history, http, shot, "");
        if (!history_is_open(history, shot))
            continue;
        open++;
        if (late)
            verdict_against("%s was accepted and has no answer", shot->id);
    }
    return open;
}

/* Thousands take a while to poll: one without an answer is late where a poll
 * that was sent after that time says so. */
bool clients_settle(struct history *history, int seconds) {
    struct http *http = http_open(SERVICE_HTTP);
    int64_t end = now_us() + seconds * INT64_C(1000000);
    bool late = false;
    while (poll_open(history, http, late) > 0 && !late) {
        usleep(20000);
        late = now_us() >= end;
    }
    http_close(http);
    return !late;
}

void clients_review(struct history *history) {
    struct http *http = http_open(SERVICE_HTTP);
    struct shot *shot;
    int after;
    for (int i = 0; (shot = history_shot(history, i)); i++) {
        if (shot->ended && !shot->given_up && i % 4 == 0 &&
            poll_shot(history, http, shot, "?top_k=3") >= 500)
            verdict_against("%.12s cannot be had once all is well",
                            shot->sha256);
        if (shot->lost && shot->nature == NATURE_PLAIN)
            post(history, http, &shot, 1, 0, &after, NULL);
    }
    http_close(http);
}
