/* GET and DELETE of one prediction, and its activation map as a picture. */
#include "common/heatmap.h"
#include "common/log.h"
#include "common/prediction.h"
#include "fcgi/answer.h"
#include "fcgi/problem.h"
#include "fcgi/query.h"
#include "fcgi/service.h"
#include "fcgi/wait.h"

#include <inttypes.h>
#include <string.h>

/* A cache of ours in front (nginx's) asks again after that many seconds, so
 * that what an admin forgot is soon gone there, too; others need not. */
#define OUR_CACHE_S 10
#define OTHER_CACHES_S 86400

static int read_id(struct call *call, struct id *id) {
    if (id_parse(call->request->segment[0], id) == 0)
        return 0;
    response_problem(call->response, call->request, "malformed-id",
                     "A prediction id is the SHA-256 of the image and the "
                     "version of the model: 64 and %d hexadecimal digits, "
                     "lower case, with a hyphen between them.",
                     ID_VERSION_LEN);
    return -1;
}

static void respond_unknown(struct call *call) {
    response_problem(call->response, call->request, "unknown-prediction",
                     "This image has not been submitted, or its prediction has "
                     "expired. Send it again.");
}

static void respond_cacheable(struct response *response, const char *etag) {
    response_header(response, "ETag", "%s", etag);
    response_header(response, "Cache-Control", "public, max-age=%d, immutable",
                    OTHER_CACHES_S);
    response_header(response, "X-Accel-Expires", "%d", OUR_CACHE_S);
}

/* True: the client has it already, and is told so. */
static bool respond_not_modified(struct call *call, const char *etag) {
    if (!http_etag_matches(call->request->if_none_match, etag))
        return false;
    call->response->status = 304;
    respond_cacheable(call->response, etag);
    return true;
}

static void respond_ended(struct call *call, const struct store_state *state,
                          int top_k) {
    struct answer answer;
    struct err err = {0};
    if (answer_ended(state->json, state->json_len, top_k, &answer, &err) < 0) {
        log_event(LOG_ERROR, "stored-prediction", "request", call->request->id,
                  "error", err.text, NULL);
        response_problem(call->response, call->request, "internal-error",
                         "The stored prediction is unreadable.");
        return;
    }
    if (answer.lasting && respond_not_modified(call, answer.etag)) {
        json_decref(answer.doc);
        return;
    }
    if (call->service->id_secret)
        answer_hide_hash(answer.doc);
    response_json(call->response, 200, answer.doc);
    if (answer.lasting)
        respond_cacheable(call->response, answer.etag);
    else
        response_header(call->response, "Cache-Control", "no-store");
}

static void respond_unfinished(struct call *call, const struct id *id,
                               const struct store_state *state) {
    char model[128];
    int poll_ms = wait_poll_ms(call->service);
    catalogue_name(call->service->catalogue, id_version(id), model);
    const struct unfinished unfinished = {
        .id = *id,
        .model = model,
        .format = "",
        .bytes = state->size,
        .created_ms = state->created_ms,
        .processing = state->attempts > 0,
        .poll_after_ms = poll_ms,
    };
    json_t *doc = answer_unfinished(&unfinished);
    if (call->service->id_secret)
        answer_hide_hash(doc);
    response_json(call->response, 200, doc);
    response_header(call->response, "Cache-Control", "no-store");
    wait_retry_after(call->response, poll_ms);
}

void show_prediction(struct call *call) {
    struct id id;
    struct err err = {0};
    int top_k = ANSWER_TOP_K;
    if (read_id(call, &id) < 0)
        return;
    if (query_number(call->request->query, "top_k", 1, PREDICTION_TOP_MAX,
                     &top_k, &err) < 0) {
        response_error(call->response, call->request, &err);
        return;
    }
    struct store_state state;
    struct wait wait;
    wait_begin(&wait, call);
    if (wait_for(&wait, &id, &state, &err) < 0)
        response_error(call->response, call->request, &err);
    else if (state.kind == STORE_RESULT)
        respond_ended(call, &state, top_k);
    else if (state.kind == STORE_PENDING)
        respond_unfinished(call, &id, &state);
    else
        respond_unknown(call);
    wait_end(&wait);
    store_state_free(&state);
}

/* ---- the activation map ------------------------------------------------ */

/* The map of that label, or of the best one (-1); NULL: there is none. */
static const uint8_t *find_map(const struct prediction *p, int label) {
    for (int i = 0; i < p->map_count; i++)
        if (label < 0 || p->top[i].index == label)
            return p->maps +
                   (size_t)i * (size_t)p->map_height * (size_t)p->map_width;
    return NULL;
}

static void respond_png(struct call *call, const struct prediction *p,
                        const uint8_t *map, const char *etag) {
    struct err err = {0};
    size_t size = 0;
    uint8_t *png = heatmap_png(map, p->map_width, p->map_height, p->map_region,
                               p->image.width, p->image.height, &size, &err);
    if (!png) {
        log_event(LOG_ERROR, "heatmap", "request", call->request->id, "error",
                  err.text, NULL);
        response_problem(call->response, call->request, "internal-error",
                         "The picture could not be made.");
        return;
    }
    call->response->status = 200;
    call->response->content_type = "image/png";
    call->response->body = (char *)png;
    call->response->body_len = size;
    respond_cacheable(call->response, etag);
}

static void respond_heatmap(struct call *call, const struct store_state *state,
                            int label) {
    struct prediction p;
    struct err err = {0};
    char etag[160];
    if (prediction_decode(state->json, state->json_len, &p, &err) < 0) {
        log_event(LOG_ERROR, "stored-prediction", "request", call->request->id,
                  "error", err.text, NULL);
        response_problem(call->response, call->request, "internal-error",
                         "The stored prediction is unreadable.");
        return;
    }
    const uint8_t *map = find_map(&p, label);
    snprintf(etag, sizeof etag, "\"%s-%" PRIx64 "-map%d\"", p.id.text,
             (uint64_t)p.completed_ms, label);
    if (!map)
        response_problem(call->response, call->request, "no-heatmap",
                         p.map_count
                             ? "There is no activation map for that label, "
                               "only for the best ones."
                             : "This prediction has no activation map.");
    else if (!respond_not_modified(call, etag))
        respond_png(call, &p, map, etag);
    prediction_free(&p);
}

void show_heatmap(struct call *call) {
    struct id id;
    struct err err = {0};
    struct store_state state;
    int label = -1;
    if (read_id(call, &id) < 0)
        return;
    if (query_number(call->request->query, "label", 0, INT32_MAX, &label,
                     &err) < 0) {
        response_error(call->response, call->request, &err);
        return;
    }
    if (store_lookup(call->store, &id, &state, &err) < 0)
        response_error(call->response, call->request, &err);
    else if (state.kind == STORE_RESULT)
        respond_heatmap(call, &state, label);
    else if (state.kind == STORE_PENDING)
        response_problem(call->response, call->request, "not-finished",
                         "The prediction is not finished yet.");
    else
        respond_unknown(call);
    store_state_free(&state);
}

/* ---- forgetting -------------------------------------------------------- */

void forget_prediction(struct call *call) {
    struct id id;
    struct err err = {0};
    if (read_id(call, &id) < 0)
        return;
    int forgotten = store_forget(call->store, &id, &err);
    if (forgotten > 0) {
        waiters_wake(call->service->waiters, &id);
        log_event(LOG_INFO, "forgotten", "request", call->request->id, "id",
                  id.text, NULL);
        call->response->status = 204;
        return;
    }
    if (forgotten < 0)
        response_error(call->response, call->request, &err);
    else
        respond_unknown(call);
}
