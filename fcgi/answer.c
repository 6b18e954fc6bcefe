#include "fcgi/answer.h"

#include "common/clock.h"
#include "common/prediction.h"
#include "fcgi/problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PATH "/api/v1/predictions/"

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

static json_t *model_json(const char *name, const struct id *id) {
    json_t *model = json_object();
    if (*name)
        set(model, "name", json_string(name));
    set(model, "version", json_string(id_version(id)));
    return model;
}

static json_t *image_json(const struct id *id, const char *format, int width,
                          int height, size_t bytes) {
    json_t *image = json_object();
    set(image, "sha256", json_stringn(id_image(id), ID_IMAGE_LEN));
    if (*format)
        set(image, "format", json_string(format));
    if (width > 0 && height > 0) {
        set(image, "width", json_integer(width));
        set(image, "height", json_integer(height));
    }
    set(image, "bytes", json_integer((json_int_t)bytes));
    return image;
}

static json_t *time_json(int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    return json_string(text);
}

static json_t *links_json(const struct id *id, bool heatmap) {
    char path[sizeof PATH + ID_LEN + sizeof "/heatmap.png"];
    json_t *links = json_object();
    snprintf(path, sizeof path, PATH "%s", id->text);
    set(links, "self", json_string(path));
    snprintf(path, sizeof path, PATH "%s/heatmap.png", id->text);
    if (heatmap)
        set(links, "heatmap", json_string(path));
    return links;
}

static json_t *ms_json(double ms) {
    return json_real(round(ms * 1000) / 1000);
}

static json_t *timings_json(const struct prediction *p) {
    return json_pack("{s:o, s:o, s:o, s:o}", "queue_ms", ms_json(p->queue_ms),
                     "decode_ms", ms_json(p->decode_ms), "infer_ms",
                     ms_json(p->infer_ms), "total_ms", ms_json(p->total_ms));
}

static json_t *top_json(const struct prediction *p, int top_k) {
    json_t *top = json_array();
    for (int i = 0; i < p->top_count && i < top_k; i++) {
        json_t *entry = json_object();
        set(entry, "label", json_string(p->top[i].label));
        set(entry, "index", json_integer(p->top[i].index));
        set(entry, "score", json_real((double)p->top[i].score));
        json_array_append_new(top, entry);
    }
    return top;
}

static json_t *ended_json(const struct prediction *p, int top_k) {
    json_t *doc = json_object();
    set(doc, "id", json_string(p->id.text));
    set(doc, "status", json_string(p->succeeded ? "succeeded" : "failed"));
    set(doc, "model", model_json(p->model_name, &p->id));
    set(doc, "image",
        image_json(&p->id, p->image.format, p->image.width, p->image.height,
                   p->image.bytes));
    if (p->succeeded)
        set(doc, "predictions", top_json(p, top_k));
    else
        set(doc, "error", problem_json(p->problem, p->detail));
    if (p->confidence != CONFIDENCE_UNKNOWN)
        set(doc, "confident", json_boolean(p->confidence == CONFIDENCE_HIGH));
    set(doc, "timings", timings_json(p));
    set(doc, "created_at", time_json(p->created_ms));
    set(doc, "completed_at", time_json(p->completed_ms));
    set(doc, "links", links_json(&p->id, p->map_count > 0));
    return doc;
}

int answer_ended(const char *stored, size_t len, int top_k,
                 struct answer *answer, struct err *err) {
    struct prediction p;
    memset(answer, 0, sizeof *answer);
    if (prediction_decode(stored, len, &p, err) < 0)
        return -1;
    answer->doc = ended_json(&p, top_k);
    answer->lasting = p.succeeded || p.permanent;
    /* One that was forgotten and made anew differs in its times. */
    snprintf(answer->etag, sizeof answer->etag, "\"%s-%" PRIx64 "-%d\"",
             p.id.text, (uint64_t)p.completed_ms, top_k);
    prediction_free(&p);
    return 0;
}

json_t *answer_unfinished(const struct unfinished *u) {
    json_t *doc = json_object();
    set(doc, "id", json_string(u->id.text));
    set(doc, "status", json_string(u->processing ? "processing" : "queued"));
    set(doc, "model", model_json(u->model, &u->id));
    set(doc, "image", image_json(&u->id, u->format, 0, 0, u->bytes));
    set(doc, "created_at", time_json(u->created_ms));
    set(doc, "poll_after_ms", json_integer(u->poll_after_ms));
    set(doc, "links", links_json(&u->id, false));
    return doc;
}

void answer_hide_hash(json_t *doc) {
    json_object_del(json_object_get(doc, "image"), "sha256");
}
