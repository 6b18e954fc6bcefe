/*
 * POST of images: each is looked up, joined, or accepted, and the answer says
 * for each what came of it. An image is accepted once it is in Redis; only
 * then is it dispatched and the client told so.
 */
#include "common/clock.h"
#include "common/document.h"
#include "common/digest.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/prediction.h"
#include "common/sniff.h"
#include "fcgi/answer.h"
#include "fcgi/multipart.h"
#include "fcgi/problem.h"
#include "fcgi/query.h"
#include "fcgi/service.h"
#include "fcgi/wait.h"

#include <stdlib.h>
#include <string.h>

/* Fields of a form besides the images, which are not of interest. */
#define OTHER_PARTS_MAX 32

enum outcome { REFUSED, HIT, STORED, JOINED };

static const char *const cache_status[] = {
    [REFUSED] = NULL,
    [HIT] = "convoy; hit",
    [STORED] = "convoy; fwd=miss; stored",
    [JOINED] = "convoy; fwd=miss; collapsed",
};
static const char *const outcome_names[] = {
    [REFUSED] = "refused",
    [HIT] = "hit",
    [STORED] = "accepted",
    [JOINED] = "joined",
};

struct entry {
    const uint8_t *bytes; /* in the request's body */
    size_t size;
    const char *format;
    struct id id;
    enum outcome outcome;
    struct err err;       /* REFUSED */
    struct answer answer; /* doc: NULL until it has ended */
    int64_t created_ms;
    bool processing;
    bool expected; /* STORED, and the client waits */
    struct waiter waiter;
};

struct submission {
    struct call *call;
    struct catalogue_model model;
    struct wait wait;
    int top_k;
    int count;
    struct entry *entries; /* owned */
};

/* ---- what was sent ----------------------------------------------------- */

static int read_parameters(struct submission *submission, struct err *err) {
    const char *query = submission->call->request->query;
    char name[128] = "";
    submission->top_k = ANSWER_TOP_K;
    if (query_number(query, "top_k", 1, PREDICTION_TOP_MAX, &submission->top_k,
                     err) < 0 ||
        query_text(query, "model", name, sizeof name, err) < 0)
        return -1;
    switch (catalogue_find(submission->call->service->catalogue, name,
                           &submission->model)) {
    case CATALOGUE_FOUND:
        return 0;
    case CATALOGUE_EMPTY:
        return err_problem(err, "no-worker",
                           "No worker has reported yet; try again.");
    case CATALOGUE_UNKNOWN:
        break;
    }
    return err_problem(err, "unknown-model",
                       "No worker serves a model of that name; "
                       "/api/v1/models lists those that are served.");
}

static int read_multipart(struct submission *submission, struct err *err) {
    const struct request *request = submission->call->request;
    int most = submission->call->service->limits.images;
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    int parts_max = most + OTHER_PARTS_MAX;
    struct multipart_part *parts = calloc((size_t)parts_max, sizeof *parts);
    int status = -1, count = -1;
    if (!parts || !submission->entries)
        err_set(err, "out of memory");
    else if (multipart_boundary(request->content_type, boundary, err) == 0)
        count = multipart_parse(request->body.bytes, request->body.size,
                                boundary, parts, parts_max, err);
    if (count < 0)
        goto done;
    for (int i = 0; i < count; i++) {
        if (strcmp(parts[i].name, "image") != 0)
            continue;
        if (submission->count == most) {
            err_problem(err, "too-many-images",
                        "A request may have up to %d images.", most);
            goto done;
        }
        submission->entries[submission->count].bytes = parts[i].bytes;
        submission->entries[submission->count++].size = parts[i].size;
    }
    status = submission->count > 0
                 ? 0
                 : err_problem(err, "no-image",
                               "The form has no part with the name image.");
done:
    free(parts);
    return status;
}

static int read_images(struct submission *submission, struct err *err) {
    const struct request *request = submission->call->request;
    int most = submission->call->service->limits.images;
    submission->entries = calloc((size_t)most, sizeof *submission->entries);
    if (!submission->entries)
        return err_set(err, "out of memory");
    if (multipart_is(request->content_type))
        return read_multipart(submission, err);
    if (request->body.size == 0)
        return err_problem(err, "no-image",
                           "The body is empty: send an image, or a form with "
                           "parts of the name image.");
    submission->entries[0].bytes = request->body.bytes;
    submission->entries[0].size = request->body.size;
    submission->count = 1;
    return 0;
}

/* ---- one image --------------------------------------------------------- */

/* What can be said of it without Redis; its id. */
static int examine(const struct submission *submission, struct entry *entry,
                   struct err *err) {
    const struct limits *limits = &submission->call->service->limits;
    char hash[DIGEST_HEX];
    if (entry->size == 0)
        return err_problem(err, "no-image", "The image is empty.");
    if ((int64_t)entry->size > limits->image_bytes)
        return err_problem(err, "image-too-large",
                           "The image has %.1f MiB; up to %.1f MiB are "
                           "accepted.",
                           (double)entry->size / 1048576.0,
                           (double)limits->image_bytes / 1048576.0);
    entry->format = sniff_image(entry->bytes, entry->size);
    if (!entry->format)
        return err_problem(err, "unsupported-image-type",
                           "This is no PNG, JPEG, WebP, BMP or GIF image.");
    const struct secret *secret = submission->call->service->id_secret;
    if (secret)
        digest_hmac_hex(secret->text, secret->size, entry->bytes, entry->size,
                        hash);
    else
        digest_sha256_hex(entry->bytes, entry->size, hash);
    if (id_make(hash, submission->model.version, &entry->id) < 0)
        return err_set(err, "malformed model version");
    return 0;
}

/* True: the state settles the entry. A failure of the service does not: that
 * image may be tried anew. */
static bool settle(const struct submission *submission, struct entry *entry,
                   const struct store_state *state, struct err *err) {
    if (state->kind == STORE_PENDING) {
        entry->outcome = JOINED;
        entry->created_ms = state->created_ms;
        entry->processing = state->attempts > 0;
        if (!state->leased)
            dispatch_orphan(submission->call->service->dispatch, &entry->id);
        return true;
    }
    if (state->kind != STORE_RESULT ||
        answer_ended(state->json, state->json_len, submission->top_k,
                     &entry->answer, err) < 0)
        return false;
    if (!entry->answer.lasting) {
        json_decref(entry->answer.doc);
        entry->answer.doc = NULL;
        return false;
    }
    entry->outcome = HIT;
    return true;
}

/* Is there room and somebody for one more? */
static int admit(const struct submission *submission, struct err *err) {
    const struct service *service = submission->call->service;
    if (submission->model.workers == 0)
        return err_problem(err, "no-worker",
                           "No worker serves %s at the moment; try again.",
                           submission->model.name);
    if (dispatch_stats(service->dispatch).pending >= service->limits.pending)
        return err_problem(err, "queue-full",
                           "%d images are waiting already; try again.",
                           service->limits.pending);
    return 0;
}

/* Acceptance finds what is known already, so that most images need no look-up
 * before; but a large one is not sent to Redis just to be found there. */
#define ACCEPT_AT_ONCE_MAX ((size_t)256 << 10)

static int accept_image(struct submission *submission, struct entry *entry,
                        struct err *err) {
    struct call *call = submission->call;
    struct store_job job = {.id = entry->id,
                            .bytes = entry->bytes,
                            .size = entry->size,
                            .created_ms = clock_wall_ms()};
    struct store_state state;
    memcpy(job.request, call->request->id, sizeof job.request);
    if (store_accept(call->store, &job, call->service->limits.lease_ms, 0,
                     &state, err) < 0)
        return -1;
    int status = 0;
    if (state.kind == STORE_ACCEPTED) {
        entry->outcome = STORED;
        entry->created_ms = job.created_ms;
        entry->expected =
            wait_expect(&submission->wait, &entry->waiter, &entry->id);
        dispatch_submit(call->service->dispatch, &job);
    } else if (!settle(submission, entry, &state, err)) {
        status = err_set(err, "the stored prediction is unreadable");
    }
    store_state_free(&state);
    return status;
}

static int take_in(struct submission *submission, struct entry *entry,
                   struct err *err) {
    struct err refusal = {0};
    if (examine(submission, entry, err) < 0)
        return -1;
    FAULT_POINT(RECEIVED, entry->id.text);
    bool admitted = admit(submission, &refusal) == 0;
    if (!admitted || entry->size > ACCEPT_AT_ONCE_MAX) {
        struct store_state state;
        if (store_lookup(submission->call->store, &entry->id, &state, err) < 0)
            return -1;
        bool settled = settle(submission, entry, &state, err);
        store_state_free(&state);
        if (settled)
            return 0;
    }
    if (!admitted) {
        *err = refusal;
        return -1;
    }
    return accept_image(submission, entry, err);
}

static void count(const struct submission *submission,
                  const struct entry *entry) {
    static const enum metrics_cache cache[] = {
        [HIT] = METRICS_HIT, [STORED] = METRICS_MISS, [JOINED] = METRICS_JOIN};
    struct metrics *metrics = submission->call->service->metrics;
    if (entry->outcome == REFUSED)
        metrics_refusal(metrics, entry->err.problem ? entry->err.problem
                                                    : "internal-error");
    else
        metrics_submission(metrics, cache[entry->outcome]);
}

/* Where Redis does not answer, that has cost seconds: it is not asked again for
 * each of the other images. */
static void take_in_all(struct submission *submission) {
    const struct request *request = submission->call->request;
    struct err away = {0};
    for (int i = 0; i < submission->count; i++) {
        struct entry *entry = &submission->entries[i];
        entry->err = away;
        if (away.problem || take_in(submission, entry, &entry->err) < 0)
            entry->outcome = REFUSED;
        count(submission, entry);
        if (problem_is_store_away(&entry->err))
            away = entry->err;
        log_event(
            LOG_INFO, outcome_names[entry->outcome], "request", request->id,
            "id", entry->id.text, "model", submission->model.name,
            entry->outcome == REFUSED ? "error" : NULL, entry->err.text, NULL);
    }
}

/* ---- waiting, where the client prefers that ---------------------------- */

/* -1: Redis is away, and there is no use in waiting for others. */
static int wait_for_entry(struct submission *submission, struct entry *entry) {
    struct wait *wait = &submission->wait;
    struct store_state state;
    int status =
        entry->expected
            ? wait_for_expected(wait, &entry->waiter, &state, &entry->err)
            : wait_for(wait, &entry->id, &state, &entry->err);
    if (status < 0) {
        /* It is accepted all the same: the answer is owed, and can be had
         * later. */
        log_event(LOG_WARN, "wait", "request", submission->call->request->id,
                  "error", entry->err.text, NULL);
        return -1;
    }
    if (state.kind == STORE_PENDING) {
        entry->processing = state.attempts > 0;
    } else if (state.kind != STORE_RESULT) {
        err_problem(&entry->err, "image-lost",
                    "The image is not there any more: somebody had it "
                    "forgotten, or Redis lost it. Send it again.");
        entry->outcome = REFUSED;
    } else if (answer_ended(state.json, state.json_len, submission->top_k,
                            &entry->answer, &entry->err) < 0) {
        entry->outcome = REFUSED;
    }
    store_state_free(&state);
    return 0;
}

static void wait_for_all(struct submission *submission) {
    bool away = false;
    for (int i = 0; i < submission->count && submission->wait.entered; i++) {
        struct entry *entry = &submission->entries[i];
        if (entry->outcome == REFUSED || entry->answer.doc)
            continue;
        if (!away)
            away = wait_for_entry(submission, entry) < 0;
        else if (entry->expected)
            wait_expect_no_more(&submission->wait, &entry->waiter);
    }
    wait_end(&submission->wait);
}

/* ---- the answer -------------------------------------------------------- */

static bool is_unfinished(const struct entry *entry) {
    return entry->outcome != REFUSED && !entry->answer.doc;
}

/* Whoever has an id of ours must not get the image's hash along with it. */
static void hide_hash(const struct submission *submission, json_t *doc) {
    if (submission->call->service->id_secret)
        answer_hide_hash(doc);
}

/* The entry as JSON; an answer's document moves into it. */
static json_t *entry_json(const struct submission *submission,
                          struct entry *entry, int poll_ms) {
    if (entry->outcome == REFUSED)
        return problem_json(entry->err.problem ? entry->err.problem
                                               : "internal-error",
                            problem_detail(&entry->err));
    if (entry->answer.doc) {
        json_t *doc = entry->answer.doc;
        entry->answer.doc = NULL;
        hide_hash(submission, doc);
        return doc;
    }
    const struct unfinished unfinished = {
        .id = entry->id,
        .model = submission->model.name,
        .format = entry->format,
        .bytes = entry->size,
        .created_ms = entry->created_ms,
        .processing = entry->processing,
        .poll_after_ms = poll_ms,
    };
    json_t *doc = answer_unfinished(&unfinished);
    hide_hash(submission, doc);
    return doc;
}

static void respond_one(const struct submission *submission) {
    struct call *call = submission->call;
    struct entry *entry = &submission->entries[0];
    if (entry->outcome == REFUSED) {
        response_error(call->response, call->request, &entry->err);
        return;
    }
    bool unfinished = is_unfinished(entry);
    int poll_ms = unfinished ? wait_poll_ms(call->service) : 0;
    response_json(call->response, unfinished ? 202 : 200,
                  entry_json(submission, entry, poll_ms));
    response_header(call->response, "Cache-Control", "no-store");
    response_header(call->response, "Cache-Status", "%s",
                    cache_status[entry->outcome]);
    response_header(call->response, "Location", "/api/v1/predictions/%s",
                    entry->id.text);
    if (unfinished)
        wait_retry_after(call->response, poll_ms);
}

/* Nothing was taken in, and the reason is the service: so is the answer. */
static bool is_unavailable(const struct submission *submission) {
    for (int i = 0; i < submission->count; i++) {
        const struct entry *entry = &submission->entries[i];
        if (entry->outcome != REFUSED || !entry->err.problem ||
            problem_status(entry->err.problem) != 503)
            return false;
    }
    return true;
}

static void respond_many(const struct submission *submission) {
    struct call *call = submission->call;
    int poll_ms = wait_poll_ms(call->service);
    bool unfinished = false;
    json_t *predictions = json_array();
    for (int i = 0; i < submission->count; i++) {
        struct entry *entry = &submission->entries[i];
        unfinished |= is_unfinished(entry);
        document_add(&predictions, entry_json(submission, entry, poll_ms));
    }
    response_json(call->response, unfinished ? 202 : 200,
                  json_pack("{s:o}", "predictions", predictions));
    response_header(call->response, "Cache-Control", "no-store");
    if (unfinished)
        wait_retry_after(call->response, poll_ms);
}

void submit_predictions(struct call *call) {
    struct submission submission = {.call = call};
    struct err err = {0};
    if (read_parameters(&submission, &err) < 0 ||
        read_images(&submission, &err) < 0) {
        response_error(call->response, call->request, &err);
    } else {
        wait_begin(&submission.wait, call);
        take_in_all(&submission);
        body_free(&call->request->body); /* others may upload meanwhile */
        wait_for_all(&submission);
        if (submission.count == 1 || is_unavailable(&submission))
            respond_one(&submission);
        else
            respond_many(&submission);
    }
    for (int i = 0; i < submission.count; i++)
        json_decref(submission.entries[i].answer.doc);
    free(submission.entries);
}
