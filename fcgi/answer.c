#include "fcgi/answer.h"

#include "common/clock.h"
#include "common/document.h"
#include "common/prediction.h"
#include "fcgi/problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PATH "/api/v1/predictions/"

static json_t *model_json(const char *name, const struct id *id) {
    json_t *model = json_object();
    if (*name)
        document_set(&model, "name", json_string(name));
    document_set(&model, "version", json_string(id_version(id)));
    return model;
}

static json_t *image_json(const struct id *id, const char *format, int width,
                          int height, size_t bytes) {
    json_t *image = json_object();
    document_set(&image, "sha256", json_stringn(id_image(id), ID_IMAGE_LEN));
    if (*format)
        document_set(&image, "format", json_string(format));
    if (width > 0 && height > 0) {
        document_set(&image, "width", json_integer(width));
        document_set(&image, "height", json_integer(height));
    }
    document_set(&image, "bytes", json_integer((json_int_t)bytes));
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
    document_set(&links, "self", json_string(path));
    snprintf(path, sizeof path, PATH "%s/heatmap.png", id->text);
    if (heatmap)
        document_set(&links, "heatmap", json_string(path));
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
        document_set(&entry, "label", document_text(p->top[i].label));
        document_set(&entry, "index", json_integer(p->top[i].index));
        document_set(&entry, "score", json_real((double)p->top[i].score));
        document_add(&top, entry);
    }
    return top;
}

static json_t *ended_json(const struct prediction *p, int top_k) {
    json_t *doc = json_object();
    document_set(&doc, "id", json_string(p->id.text));
    document_set(&doc, "status",
                 json_string(p->succeeded ? "succeeded" : "failed"));
    document_set(&doc, "model", model_json(p->model_name, &p->id));
    document_set(&doc, "image",
                 image_json(&p->id, p->image.format, p->image.width,
                            p->image.height, p->image.bytes));
    if (p->succeeded)
        document_set(&doc, "predictions", top_json(p, top_k));
    else
        document_set(&doc, "error", problem_json(p->problem, p->detail));
    if (p->confidence != CONFIDENCE_UNKNOWN)
        document_set(&doc, "confident",
                     json_boolean(p->confidence == CONFIDENCE_HIGH));
    document_set(&doc, "timings", timings_json(p));
    document_set(&doc, "created_at", time_json(p->created_ms));
    document_set(&doc, "completed_at", time_json(p->completed_ms));
    document_set(&doc, "links", links_json(&p->id, p->map_count > 0));
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
    return answer->doc ? 0 : err_set(err, "out of memory");
}

json_t *answer_unfinished(const struct unfinished *u) {
    json_t *doc = json_object();
    document_set(&doc, "id", json_string(u->id.text));
    document_set(&doc, "status",
                 json_string(u->processing ? "processing" : "queued"));
    document_set(&doc, "model", model_json(u->model, &u->id));
    document_set(&doc, "image", image_json(&u->id, u->format, 0, 0, u->bytes));
    document_set(&doc, "created_at", time_json(u->created_ms));
    document_set(&doc, "poll_after_ms", json_integer(u->poll_after_ms));
    document_set(&doc, "links", links_json(&u->id, false));
    return doc;
}

void answer_hide_hash(json_t *doc) {
    json_object_del(json_object_get(doc, "image"), "sha256");
}
