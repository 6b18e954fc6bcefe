#include "tests/faults/history.h"

#include "tests/faults/json.h"
#include "tests/faults/verdict.h"
#include "tests/integration/picture.h"

#include "common/digest.h"
#include "common/fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 3
#define LARGE 1000 /* pixels a side */

struct history {
    struct oracle *oracle;
    pthread_mutex_t mutex;
    struct picture large; /* made when the first is wanted */
    struct shot **shots;
    int count, room, harm;
};

struct history *history_open(struct oracle *oracle) {
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        abort();
    history->oracle = oracle;
    pthread_mutex_init(&history->mutex, NULL);
    return history;
}

void history_close(struct history *history) {
    for (int i = 0; i < history->count; i++) {
        free(history->shots[i]->bytes);
        free(history->shots[i]);
    }
    free(history->shots);
    picture_free(&history->large);
    pthread_mutex_destroy(&history->mutex);
    free(history);
}

/* ---- images -------------------------------------------------------------- */

/* Smooth, so that JPEG keeps it; of the seed, so that a replay has the same. */
static void paint(struct rng *rng, uint8_t *rgb, int width, int height) {
    int corner[4][3];
    for (int i = 0; i < 12; i++)
        corner[i / 3][i % 3] = rng_between(rng, 0, 255);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                int u = 255 * x / width, v = 255 * y / height;
                int top = corner[0][c] * (255 - u) + corner[1][c] * u;
                int bottom = corner[2][c] * (255 - u) + corner[3][c] * u;
                rgb[3 * (y * width + x) + c] =
                    (uint8_t)((top * (255 - v) + bottom * v) / (255 * 255));
            }
}

static void append(struct picture *picture, const char *tail) {
    picture->bytes = realloc(picture->bytes, picture->size + FAULT_TAIL);
    if (!picture->bytes)
        abort();
    memcpy(picture->bytes + picture->size, tail, FAULT_TAIL);
    picture->size += FAULT_TAIL;
}

/* Encoding one costs as much as decoding it: all are the same but for a tail
 * that no decoder looks at. */
static void copy_large(struct history *history, struct rng *rng,
                       struct picture *picture) {
    char tail[FAULT_TAIL + 1];
    pthread_mutex_lock(&history->mutex);
    if (!history->large.bytes) {
        uint8_t *rgb = malloc(LARGE * LARGE * 3);
        if (!rgb)
            abort();
        paint(rng, rgb, LARGE, LARGE);
        picture_encode(rgb, LARGE, LARGE, PICTURE_PNG, &history->large);
        free(rgb);
    }
    pthread_mutex_unlock(&history->mutex);
    picture->size = history->large.size;
    picture->bytes = malloc(picture->size);
    if (!picture->bytes)
        abort();
    memcpy(picture->bytes, history->large.bytes, picture->size);
    snprintf(tail, sizeof tail, "%016llx", (unsigned long long)rng_next(rng));
    append(picture, tail);
}

static void make_picture(struct rng *rng, enum nature nature,
                         struct picture *picture) {
    uint8_t rgb[96 * 96 * 3];
    int width = rng_between(rng, 16, 96), height = rng_between(rng, 16, 96);
    paint(rng, rgb, width, height);
    picture_encode(rgb, width, height,
                   (enum picture_format)rng_between(rng, 0, 2), picture);
    if (nature == NATURE_BROKEN)
        picture->size = 60; /* the head of any format, and little more */
    if (nature == NATURE_POISON)
        append(picture, FAULT_TAIL_POISON);
    if (nature == NATURE_STUCK)
        append(picture, FAULT_TAIL_STUCK);
}

static void add(struct history *history, struct shot *shot) {
    pthread_mutex_lock(&history->mutex);
    if (history->count == history->room) {
        history->room = history->room ? 2 * history->room : 256;
        history->shots = realloc(history->shots, (size_t)history->room *
                                                     sizeof *history->shots);
        if (!history->shots)
            abort();
    }
    history->shots[history->count++] = shot;
    pthread_mutex_unlock(&history->mutex);
}

struct shot *history_new(struct history *history, struct rng *rng,
                         enum nature nature) {
    struct picture picture;
    struct shot *shot = calloc(1, sizeof *shot);
    if (!shot)
        abort();
    if (nature == NATURE_LARGE)
        copy_large(history, rng, &picture);
    else
        make_picture(rng, nature, &picture);
    shot->bytes = picture.bytes;
    shot->size = picture.size;
    shot->nature = nature;
    digest_sha256_hex(shot->bytes, shot->size, shot->sha256);
    add(history, shot);
    return shot;
}

struct shot *history_shot(struct history *history, int index) {
    pthread_mutex_lock(&history->mutex);
    struct shot *shot = index < history->count ? history->shots[index] : NULL;
    pthread_mutex_unlock(&history->mutex);
    return shot;
}

struct shot *history_any(struct history *history, struct rng *rng) {
    pthread_mutex_lock(&history->mutex);
    struct shot *shot =
        history->count ? history->shots[rng_between(rng, 0, history->count - 1)]
                       : NULL;
    pthread_mutex_unlock(&history->mutex);
    return shot;
}

static bool cannot_be_answered(const struct shot *shot) {
    return shot->nature == NATURE_POISON || shot->nature == NATURE_STUCK;
}

static bool is_open(const struct shot *shot) {
    return shot->accepted && !shot->ended && !shot->lost;
}

bool history_is_open(struct history *history, const struct shot *shot) {
    pthread_mutex_lock(&history->mutex);
    bool open = is_open(shot);
    pthread_mutex_unlock(&history->mutex);
    return open;
}

struct shot *history_first_open(struct history *history) {
    struct shot *found = NULL;
    pthread_mutex_lock(&history->mutex);
    for (int i = 0; i < history->count && !found; i++)
        if (is_open(history->shots[i]))
            found = history->shots[i];
    pthread_mutex_unlock(&history->mutex);
    return found;
}

/* ---- what happens to all ------------------------------------------------- */

void history_submitted(struct history *history, struct shot *shot) {
    pthread_mutex_lock(&history->mutex);
    shot->submissions++;
    pthread_mutex_unlock(&history->mutex);
}

void history_harm(struct history *history, int attempts) {
    pthread_mutex_lock(&history->mutex);
    history->harm += attempts;
    pthread_mutex_unlock(&history->mutex);
}

void history_excuse(struct history *history) {
    pthread_mutex_lock(&history->mutex);
    for (int i = 0; i < history->count; i++)
        if (history->shots[i]->submissions > 0) /* its 202 may be on its way */
            history->shots[i]->excused = true;
    pthread_mutex_unlock(&history->mutex);
}

struct history_counts history_counts(struct history *history) {
    struct history_counts counts = {0};
    pthread_mutex_lock(&history->mutex);
    for (int i = 0; i < history->count; i++) {
        const struct shot *shot = history->shots[i];
        counts.images++;
        counts.submitted += shot->submissions;
        counts.accepted += shot->accepted;
        counts.answered += shot->ended;
        counts.lost += shot->was_lost;
        counts.given_up += shot->given_up && !cannot_be_answered(shot);
        counts.failed += shot->given_up && cannot_be_answered(shot);
    }
    pthread_mutex_unlock(&history->mutex);
    return counts;
}

/* ---- what a client is told ----------------------------------------------- */

/* It must be about these very bytes. */
static bool is_about(const struct shot *shot, const json_t *prediction) {
    const json_t *image = json_object_get(prediction, "image");
    const char *id = text_of(prediction, "id");
    const char *sha256 = text_of(image, "sha256");
    json_int_t size = json_integer_value(json_object_get(image, "bytes"));
    if (strcmp(sha256, shot->sha256) == 0 && (size_t)size == shot->size &&
        strncmp(id, shot->sha256, 64) == 0 &&
        (!*shot->id || strcmp(id, shot->id) == 0))
        return true;
    verdict_against("image %.12s of %zu bytes was answered as %.40s, %.12s "
                    "of %lld bytes",
                    shot->sha256, shot->size, id, sha256, (long long)size);
    return false;
}

/* "The service has failed it": three attempts, and none came to an end. */
static bool is_given_up(const json_t *prediction) {
    return strcmp(text_of(json_object_get(prediction, "error"), "type"),
                  "/problems/worker-failed") == 0;
}

static void check_given_up(const struct history *history,
                           const struct shot *shot, const json_t *prediction) {
    const char *detail =
        text_of(json_object_get(prediction, "error"), "detail");
    if (!strstr(detail, "attempt"))
        verdict_against("%.12s failed without a reason: \"%.200s\"",
                        shot->sha256, detail);
    if (!cannot_be_answered(shot) && history->harm < ATTEMPTS)
        verdict_against("%.12s is a sound image and failed after %d faults: "
                        "%.200s",
                        shot->sha256, history->harm, detail);
    if (shot->nature == NATURE_POISON && !strstr(detail, "signal") &&
        history->harm < 1)
        verdict_against("poison failed for another reason: %.200s", detail);
}

static void check_answer(const struct history *history, struct shot *shot,
                         const json_t *prediction) {
    char why[ORACLE_WHY];
    bool given_up = is_given_up(prediction);
    if (given_up)
        check_given_up(history, shot, prediction);
    else if (cannot_be_answered(shot))
        verdict_against("%.12s cannot be answered, and was: %.32s",
                        shot->sha256, text_of(prediction, "status"));
    else if (!oracle_agrees(history->oracle, shot->bytes, shot->size,
                            prediction, why))
        verdict_against("%.12s: %s", shot->sha256, why);
    shot->given_up = given_up;
}

/* One visible result: once shown it stays. A failure of the service does not:
 * a second submission is a second try. */
static void check_same(struct shot *shot, const json_t *prediction) {
    const char *completed = text_of(prediction, "completed_at");
    if (strcmp(completed, shot->completed) == 0 || shot->excused ||
        is_given_up(prediction)) /* asked for before the second try */
        return;
    verdict_against("%.12s was answered at %s and then anew at %.40s",
                    shot->sha256, shot->completed, completed);
}

void history_told(struct history *history, struct shot *shot,
                  const json_t *prediction) {
    bool ended = has_ended(prediction);
    pthread_mutex_lock(&history->mutex);
    if (is_about(shot, prediction)) {
        shot->accepted = true;
        bool was = shot->given_up;
        shot->lost = false;
        snprintf(shot->id, sizeof shot->id, "%s", text_of(prediction, "id"));
        if (ended && (!shot->ended || shot->given_up))
            check_answer(history, shot, prediction);
        else if (ended)
            check_same(shot, prediction);
        if (ended && (!shot->ended || shot->excused || shot->given_up != was))
            snprintf(shot->completed, sizeof shot->completed, "%s",
                     text_of(prediction, "completed_at"));
        /* A given-up image that is tried anew is owed an answer again. */
        shot->ended = ended || (shot->ended && !shot->given_up);
    }
    pthread_mutex_unlock(&history->mutex);
}

void history_unknown(struct history *history, struct shot *shot) {
    pthread_mutex_lock(&history->mutex);
    if (shot->accepted && shot->excused)
        shot->lost = shot->was_lost = true;
    else if (shot->accepted)
        verdict_against("%.12s was accepted, and is unknown", shot->sha256);
    pthread_mutex_unlock(&history->mutex);
}
