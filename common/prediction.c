#include "common/prediction.h"

#include "common/base64.h"
#include "common/clock.h"
#include "common/document.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define SCORE_DIGITS 9 /* enough to give back every float */

/* ---- encoding ------------------------------------------------------------ */

static json_t *encode_image(const struct prediction *p) {
    json_t *image = json_object();
    document_set(&image, "sha256",
                 json_stringn(id_image(&p->id), ID_IMAGE_LEN));
    document_set(&image, "bytes", json_integer((json_int_t)p->image.bytes));
    if (*p->image.format)
        document_set(&image, "format", document_text(p->image.format));
    if (p->image.width > 0 && p->image.height > 0) {
        document_set(&image, "width", json_integer(p->image.width));
        document_set(&image, "height", json_integer(p->image.height));
    }
    return image;
}

static json_t *encode_top(const struct prediction *p) {
    json_t *top = json_array();
    for (int i = 0; i < p->top_count; i++) {
        json_t *entry = json_object();
        document_set(&entry, "label", document_text(p->top[i].label));
        document_set(&entry, "index", json_integer(p->top[i].index));
        document_set(&entry, "score", json_real(p->top[i].score));
        document_add(&top, entry);
    }
    return top;
}

static json_t *encode_maps(const struct prediction *p) {
    size_t size =
        (size_t)p->map_count * (size_t)p->map_height * (size_t)p->map_width;
    char *cells = base64_encode(p->maps, size);
    json_t *maps = json_object();
    json_t *labels = json_array();
    for (int i = 0; i < p->map_count; i++)
        document_add(&labels, json_integer(p->top[i].index));
    json_t *region = json_array();
    for (int i = 0; i < 4; i++)
        document_add(&region, json_real(p->map_region[i]));
    document_set(&maps, "width", json_integer(p->map_width));
    document_set(&maps, "height", json_integer(p->map_height));
    document_set(&maps, "region", region);
    document_set(&maps, "labels", labels);
    document_set(&maps, "cells", cells ? json_string(cells) : NULL);
    free(cells);
    return maps;
}

static json_t *encode_error(const struct prediction *p) {
    json_t *error = json_object();
    document_set(&error, "problem", document_text(p->problem));
    document_set(&error, "detail", document_text(p->detail));
    return error;
}

static json_t *encode_timings(const struct prediction *p) {
    json_t *timings = json_object();
    document_set(&timings, "queue_ms", json_real(p->queue_ms));
    document_set(&timings, "decode_ms", json_real(p->decode_ms));
    document_set(&timings, "infer_ms", json_real(p->infer_ms));
    document_set(&timings, "total_ms", json_real(p->total_ms));
    return timings;
}

static json_t *encode_time(int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    clock_format(wall_ms, text);
    return json_string(text);
}

char *prediction_encode(const struct prediction *p) {
    json_t *doc = json_object();
    json_t *model = json_object();
    document_set(&model, "name", document_text(p->model_name));
    document_set(&model, "version", json_string(id_version(&p->id)));
    document_set(&doc, "id", json_string(p->id.text));
    document_set(&doc, "status",
                 json_string(p->succeeded ? "succeeded" : "failed"));
    document_set(&doc, "model", model);
    document_set(&doc, "image", encode_image(p));
    if (p->succeeded) {
        document_set(&doc, "predictions", encode_top(p));
        if (p->confidence != CONFIDENCE_UNKNOWN)
            document_set(&doc, "confident",
                         json_boolean(p->confidence == CONFIDENCE_HIGH));
    } else {
        document_set(&doc, "error", encode_error(p));
        document_set(&doc, "permanent", json_boolean(p->permanent));
    }
    document_set(&doc, "timings", encode_timings(p));
    document_set(&doc, "created_at", encode_time(p->created_ms));
    document_set(&doc, "completed_at", encode_time(p->completed_ms));
    document_set(&doc, "attempts", json_integer(p->attempts));
    if (p->succeeded && p->maps && p->map_count > 0)
        document_set(&doc, "maps", encode_maps(p));
    char *text =
        document_print(doc, JSON_COMPACT | JSON_REAL_PRECISION(SCORE_DIGITS));
    json_decref(doc);
    return text;
}

/* ---- decoding ------------------------------------------------------------ */

/* A field of the document that is missing or of the wrong kind is a defect of
 * the whole: what stands in Redis was written by prediction_encode(). */
static int copy_text(const json_t *object, const char *key, char *out,
                     size_t size) {
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= size)
        return -1;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int number_in(const json_t *object, const char *key, json_int_t least,
                     json_int_t most, json_int_t *out) {
    const json_t *value = json_object_get(object, key);
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= least && *out <= most ? 0 : -1;
}

static int decode_image(const json_t *doc, struct prediction *p) {
    const json_t *image = json_object_get(doc, "image");
    json_int_t bytes, width, height;
    if (number_in(image, "bytes", 0, INT64_MAX, &bytes) < 0)
        return -1;
    p->image.bytes = (size_t)bytes;
    if (json_object_get(image, "format") &&
        copy_text(image, "format", p->image.format, sizeof p->image.format) < 0)
        return -1;
    if (!json_object_get(image, "width"))
        return 0;
    if (number_in(image, "width", 1, INT32_MAX, &width) < 0 ||
        number_in(image, "height", 1, INT32_MAX, &height) < 0)
        return -1;
    p->image.width = (int)width;
    p->image.height = (int)height;
    return 0;
}

/* What no float can hold would become a number that JSON does not have. */
static int read_float(const json_t *value, float *number) {
    double read = json_number_value(value);
    if (!json_is_number(value) || !(fabs(read) <= (double)FLT_MAX))
        return -1;
    *number = (float)read;
    return 0;
}

static int decode_top(const json_t *doc, struct prediction *p) {
    const json_t *top = json_object_get(doc, "predictions");
    if (!json_is_array(top) || json_array_size(top) > PREDICTION_TOP_MAX)
        return -1;
    for (size_t i = 0; i < json_array_size(top); i++) {
        const json_t *entry = json_array_get(top, i);
        const char *label = json_string_value(json_object_get(entry, "label"));
        const json_t *score = json_object_get(entry, "score");
        json_int_t index;
        if (!label || read_float(score, &p->top[i].score) < 0 ||
            number_in(entry, "index", 0, INT32_MAX, &index) < 0)
            return -1;
        p->top[i].label = strdup(label);
        if (!p->top[i].label)
            return -1;
        p->top[i].index = (int)index;
        p->top_count++;
    }
    return 0;
}

static int decode_maps(const json_t *maps, struct prediction *p) {
    const json_t *region = json_object_get(maps, "region");
    const json_t *labels = json_object_get(maps, "labels");
    const json_t *cells = json_object_get(maps, "cells");
    json_int_t width, height;
    size_t count = json_array_size(labels), size = 0;
    if (number_in(maps, "width", 1, PREDICTION_MAP_CELLS, &width) < 0 ||
        number_in(maps, "height", 1, PREDICTION_MAP_CELLS, &height) < 0 ||
        width * height > PREDICTION_MAP_CELLS || count < 1 ||
        count > PREDICTION_MAPS_MAX || count > (size_t)p->top_count ||
        json_array_size(region) != 4 || !json_is_string(cells))
        return -1;
    p->maps = base64_decode(json_string_value(cells), json_string_length(cells),
                            &size);
    if (!p->maps || size != count * (size_t)(width * height))
        return -1;
    for (size_t i = 0; i < 4; i++)
        if (read_float(json_array_get(region, i), &p->map_region[i]) < 0)
            return -1;
    p->map_count = (int)count;
    p->map_width = (int)width;
    p->map_height = (int)height;
    return 0;
}

static int decode_outcome(const json_t *doc, struct prediction *p) {
    const json_t *error = json_object_get(doc, "error");
    const json_t *maps = json_object_get(doc, "maps");
    char status[16];
    if (copy_text(doc, "status", status, sizeof status) < 0)
        return -1;
    p->succeeded = strcmp(status, "succeeded") == 0;
    const json_t *confident = json_object_get(doc, "confident");
    if (confident)
        p->confidence =
            json_is_true(confident) ? CONFIDENCE_HIGH : CONFIDENCE_LOW;
    if (p->succeeded)
        return decode_top(doc, p) < 0 || (maps && decode_maps(maps, p) < 0) ? -1
                                                                            : 0;
    p->permanent = json_is_true(json_object_get(doc, "permanent"));
    return strcmp(status, "failed") == 0 &&
                   copy_text(error, "problem", p->problem, sizeof p->problem) ==
                       0 &&
                   copy_text(error, "detail", p->detail, sizeof p->detail) == 0
               ? 0
               : -1;
}

static int decode_times(const json_t *doc, struct prediction *p) {
    const json_t *timings = json_object_get(doc, "timings");
    const struct {
        const char *key;
        double *value;
    } fields[] = {{"queue_ms", &p->queue_ms},
                  {"decode_ms", &p->decode_ms},
                  {"infer_ms", &p->infer_ms},
                  {"total_ms", &p->total_ms}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(timings, fields[i].key);
        if (!json_is_number(value))
            return -1;
        *fields[i].value = json_number_value(value);
    }
    char created[CLOCK_TEXT_MAX], completed[CLOCK_TEXT_MAX];
    if (copy_text(doc, "created_at", created, sizeof created) < 0 ||
        copy_text(doc, "completed_at", completed, sizeof completed) < 0)
        return -1;
    p->created_ms = clock_parse(created);
    p->completed_ms = clock_parse(completed);
    return p->created_ms < 0 || p->completed_ms < 0 ? -1 : 0;
}

int prediction_decode(const char *json, size_t len, struct prediction *p,
                      struct err *err) {
    memset(p, 0, sizeof *p);
    json_error_t error;
    json_t *doc = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!doc)
        return err_set(err, "stored prediction: %s", error.text);
    const char *id = json_string_value(json_object_get(doc, "id"));
    json_int_t attempts = 0;
    const char *broken = NULL;
    if (!id || id_parse(id, &p->id) < 0)
        broken = "id";
    else if (copy_text(json_object_get(doc, "model"), "name", p->model_name,
                       sizeof p->model_name) < 0)
        broken = "model";
    else if (decode_image(doc, p) < 0)
        broken = "image";
    else if (decode_outcome(doc, p) < 0)
        broken = "outcome";
    else if (decode_times(doc, p) < 0)
        broken = "times";
    else if (number_in(doc, "attempts", 0, 1000000, &attempts) < 0)
        broken = "attempts";
    p->attempts = (int)attempts;
    json_decref(doc);
    if (!broken)
        return 0;
    prediction_free(p);
    return err_set(err, "stored prediction: %s missing or malformed", broken);
}

void prediction_free(struct prediction *p) {
    for (int i = 0; i < p->top_count; i++)
        free(p->top[i].label);
    free(p->maps);
    memset(p, 0, sizeof *p);
}

/* ---- at a glance --------------------------------------------------------- */

/* What follows `key` in the document, cut to fit. A quote within a string is
 * escaped, so a key with its quotes is found at its own place alone. */
static bool copy_after(const char *json, size_t len, const char *key, char *out,
                       size_t size) {
    const char *at = memmem(json, len, key, strlen(key));
    if (!at)
        return false;
    at += strlen(key);
    size_t left = (size_t)(json + len - at);
    snprintf(out, size, "%.*s", (int)(left < size ? left : size - 1), at);
    return true;
}

bool prediction_outcome(const char *json, size_t len,
                        struct prediction_outcome *outcome) {
    char timings[160];
    memset(outcome, 0, sizeof *outcome);
    if (copy_after(json, len, "\"error\":{\"problem\":\"", outcome->problem,
                   sizeof outcome->problem))
        outcome->problem[strcspn(outcome->problem, "\"")] = 0;
    return copy_after(json, len, "\"timings\":{", timings, sizeof timings) &&
           sscanf(timings,
                  "\"queue_ms\":%lf,\"decode_ms\":%lf,\"infer_ms\":%lf,"
                  "\"total_ms\":%lf",
                  &outcome->queue_ms, &outcome->decode_ms, &outcome->infer_ms,
                  &outcome->total_ms) == 4;
}
