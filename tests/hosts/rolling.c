#include "tests/hosts/rolling.h"

#include "tests/faults/http.h"
#include "tests/faults/json.h"
#include "tests/faults/verdict.h"
#include "tests/integration/picture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 3
#define OWED_MAX 4096
#define WAIT_S 30

struct owed {
    struct picture picture;
    char id[128];
};

struct rolling {
    struct oracle *oracle;
    char old[16], new[16]; /* versions */
    atomic_bool over;
    pthread_mutex_t mutex;
    struct owed owed[OWED_MAX];
    int owed_count, of_old, of_new;
};

/* ---- one picture --------------------------------------------------------- */

/* Whether a version is the new one: the first that is not the old. */
static bool is_of_new(struct rolling *r, const char *id, const char *version) {
    if (strcmp(version, r->old) == 0)
        return false;
    pthread_mutex_lock(&r->mutex);
    if (!*r->new)
        snprintf(r->new, sizeof r->new, "%s", version);
    bool known = strcmp(version, r->new) == 0;
    pthread_mutex_unlock(&r->mutex);
    if (!known)
        verdict_against("%s is of a version that nobody has", id);
    return true;
}

static void check_answer(struct rolling *r, const struct picture *picture,
                         const json_t *doc) {
    char why[ORACLE_WHY];
    const char *id = text_of(doc, "id");
    const char *version = text_of(json_object_get(doc, "model"), "version");
    bool is_new = is_of_new(r, id, version);
    if (strncmp(id, picture->sha256, 64) != 0 || strlen(id) < 65 ||
        strcmp(id + 65, version) != 0)
        verdict_against("%.12s was answered as %s by version %s",
                        picture->sha256, id, version);
    else if (!oracle_agrees(r->oracle, picture->bytes, picture->size, doc, why))
        verdict_against("%s: %s", id, why);
    pthread_mutex_lock(&r->mutex);
    r->of_new += is_new;
    r->of_old += !is_new;
    pthread_mutex_unlock(&r->mutex);
}

/* Takes the picture over. */
static void owe(struct rolling *r, const struct picture *picture,
                const char *id) {
    pthread_mutex_lock(&r->mutex);
    if (r->owed_count < OWED_MAX) {
        struct owed *owed = &r->owed[r->owed_count++];
        owed->picture = *picture;
        snprintf(owed->id, sizeof owed->id, "%s", id);
    }
    pthread_mutex_unlock(&r->mutex);
}

/* A new picture; `version` (or NULL) is what it must be accepted for. */
static void submit(struct rolling *r, struct http *http, int wait,
                   const char *version) {
    struct picture picture;
    struct reply reply;
    picture_random(&picture, PICTURE_PNG);
    http_post(http, &(struct upload){picture.bytes, picture.size}, 1, wait,
              &reply);
    const char *id = text_of(reply.json, "id");
    if (reply.status != 200 && reply.status != 202)
        verdict_against("a submission was answered %ld: %.200s", reply.status,
                        reply.body ? reply.body : "");
    else if (version && (strlen(id) < 65 || strcmp(id + 65, version) != 0))
        verdict_against("%s was accepted and not for version %s", id, version);
    if (reply.status == 202)
        owe(r, &picture, id);
    else if (reply.status == 200)
        check_answer(r, &picture, reply.json);
    if (reply.status != 202)
        picture_free(&picture);
    reply_free(&reply);
}

static void *send_pictures(void *argument) {
    struct rolling *r = argument;
    struct http *http = http_open("http.sock");
    for (int turn = 0; !atomic_load(&r->over); turn++) {
        submit(r, http, turn % 2 ? 3 : 0, NULL);
        usleep(20000);
    }
    http_close(http);
    return NULL;
}

/* ---- fronts -------------------------------------------------------------- */

static void version_of(const char *socket, char version[16]) {
    struct reply reply;
    struct http *http = http_open(socket);
    http_get(http, "/api/v1/models", &reply);
    const json_t *model =
        json_array_get(json_object_get(reply.json, "models"), 0);
    snprintf(version, 16, "%s", text_of(model, "version"));
    reply_free(&reply);
    http_close(http);
}

static const char *const doors[] = {"f1.sock", "f2.sock"};

/* Until both fronts have `version`, or another than `other`. */
static void await_version(const char *version, const char *other,
                          char found[16]) {
    int64_t end = now_us() + WAIT_S * INT64_C(1000000);
    for (int i = 0; i < 2; i++) {
        do {
            usleep(50000);
            version_of(doors[i], found);
        } while ((!*found || (version && strcmp(found, version) != 0) ||
                  (other && strcmp(found, other) == 0)) &&
                 now_us() < end);
        if (now_us() >= end)
            verdict_against("%s has version %s and not %s within %d s",
                            doors[i], found, version ? version : "a new one",
                            WAIT_S);
    }
}

static void submit_to_both(struct rolling *r, const char *version) {
    for (int i = 0; i < 2; i++) {
        struct http *http = http_open(doors[i]);
        for (int k = 0; k < 5; k++)
            submit(r, http, k % 2 ? 3 : 0, version);
        http_close(http);
    }
}

/* ---- the end ------------------------------------------------------------- */

static bool settle_one(struct rolling *r, struct http *http,
                       struct owed *owed) {
    char path[200];
    struct reply reply;
    snprintf(path, sizeof path, "/api/v1/predictions/%s", owed->id);
    http_get(http, path, &reply);
    bool ended = has_ended(reply.json);
    if (ended)
        check_answer(r, &owed->picture, reply.json);
    reply_free(&reply);
    return ended;
}

static void settle(struct rolling *r) {
    struct http *http = http_open("http.sock");
    int64_t end = now_us() + WAIT_S * INT64_C(1000000);
    for (int i = 0; i < r->owed_count; i++) {
        bool ended;
        while (!(ended = settle_one(r, http, &r->owed[i])) && now_us() < end)
            usleep(20000);
        if (!ended)
            verdict_against("%s was accepted and has no answer after %d s",
                            r->owed[i].id, WAIT_S);
        picture_free(&r->owed[i].picture);
    }
    http_close(http);
}

static void roll_out(struct rolling *r,
                     void (*do_step)(const void *context, const char *step),
                     const void *context) {
    char found[16];
    do_step(context, "load 500");
    do_step(context, "upgrade w1");
    await_version(NULL, r->old, found);
    is_of_new(r, doors[0], found);
    submit_to_both(r, r->new);
    do_step(context, "kill w1");
    submit_to_both(r, NULL); /* the fronts have not missed it yet */
    await_version(r->old, NULL, found);
    submit_to_both(r, r->old);
    do_step(context, "upgrade w2");
    await_version(r->new, NULL, found);
    submit_to_both(r, r->new);
    do_step(context, "upgrade w3");
    do_step(context, "upgrade w4"); /* for when it is started */
    do_step(context, "mend w1");
    do_step(context, "start w1");
    do_step(context, "sees f1 3");
    do_step(context, "sees f2 3");
}

void rolling_run(struct oracle *oracle,
                 void (*do_step)(const void *context, const char *step),
                 const void *context) {
    pthread_t threads[CLIENTS];
    struct rolling *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->oracle = oracle;
    pthread_mutex_init(&r->mutex, NULL);
    version_of(doors[0], r->old);
    for (int i = 0; i < CLIENTS; i++)
        if (pthread_create(&threads[i], NULL, send_pictures, r))
            abort();
    roll_out(r, do_step, context);
    atomic_store(&r->over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    settle(r);
    if (r->of_old == 0 || r->of_new == 0)
        verdict_against("%d answers are of the old version, %d of the new one",
                        r->of_old, r->of_new);
    printf("%-14s %s: %d answers of the old version, %d of the new one\n",
           "versions-roll", verdict_schedule() ? "BROKEN" : "kept", r->of_old,
           r->of_new);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}
