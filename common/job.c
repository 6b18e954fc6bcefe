#include "common/job.h"

#include "common/document.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const char magic[4] = {'C', 'V', 'Y', '1'};

enum { AT_TYPE = 4, AT_ID = 5, AT_ATTEMPT = 82, AT_NUMBER = 84 };
enum { AT_CREATED = 88, AT_REQUEST_LEN = 96, HEADER_MIN = 97 };

enum field {
    ID = 1,
    ATTEMPT = 2,
    NUMBER = 4,
    CREATED = 8,
    REQUEST = 16,
};

/* What a message of a type must have, and what it may have besides. */
static const struct rule {
    const char *name;
    int must, may;
    uint32_t number_max;
} rules[] = {
    [JOB_READY] = {"ready", 0, NUMBER, JOB_CREDITS_MAX},
    [JOB_CREDIT] = {"credit", NUMBER, 0, JOB_CREDITS_MAX},
    [JOB_DONE] = {"done", ID, ATTEMPT | REQUEST, 0},
    [JOB_FAILED] = {"failed", ID, ATTEMPT | REQUEST, 0},
    [JOB_HEARTBEAT] = {"heartbeat", 0, 0, 0},
    [JOB_DRAIN] = {"drain", 0, 0, 0},
    [JOB_JOB] = {"job", ID | ATTEMPT | CREATED, NUMBER | REQUEST, UINT32_MAX},
    [JOB_WHO] = {"who", 0, 0, 0},
};

static const struct rule *rule_of(unsigned type) {
    if (type >= sizeof rules / sizeof *rules || !rules[type].name)
        return NULL;
    return &rules[type];
}

const char *job_type_name(enum job_type type) {
    const struct rule *rule = rule_of((unsigned)type);
    return rule ? rule->name : "unknown";
}

static void put_le(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

size_t job_encode(const struct job_header *header,
                  uint8_t out[JOB_HEADER_MAX]) {
    const struct rule *rule = rule_of((unsigned)header->type);
    int has = rule ? rule->must | rule->may : 0;
    memset(out, 0, HEADER_MIN);
    memcpy(out, magic, sizeof magic);
    out[AT_TYPE] = (uint8_t)header->type;
    if (has & ID)
        memcpy(out + AT_ID, header->id.text, ID_LEN);
    if (has & ATTEMPT)
        put_le(out + AT_ATTEMPT, (uint64_t)header->attempt, 2);
    if (has & NUMBER)
        put_le(out + AT_NUMBER, header->number, 4);
    if (has & CREATED)
        put_le(out + AT_CREATED, (uint64_t)header->created_ms, 8);
    size_t request = has & REQUEST
                         ? strnlen(header->request, sizeof header->request - 1)
                         : 0;
    out[AT_REQUEST_LEN] = (uint8_t)request;
    memcpy(out + HEADER_MIN, header->request, request);
    return HEADER_MIN + request;
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_name(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(text[i]))
            return false;
    return true;
}

/* The id's bytes are an id, or all zeros: then `id` is empty. */
static int decode_id(const uint8_t *bytes, struct id *id, struct err *err) {
    static const uint8_t zeros[ID_LEN];
    char text[ID_LEN + 1];
    if (memcmp(bytes, zeros, ID_LEN) == 0)
        return 0;
    memcpy(text, bytes, ID_LEN);
    text[ID_LEN] = 0;
    if (id_parse(text, id) < 0)
        return err_set(err, "message with a malformed prediction id");
    return 0;
}

static int fields_of(const struct job_header *header) {
    return (header->id.text[0] ? ID : 0) | (header->attempt ? ATTEMPT : 0) |
           (header->number ? NUMBER : 0) | (header->created_ms ? CREATED : 0) |
           (header->request[0] ? REQUEST : 0);
}

static int decode(const uint8_t *buffer, size_t len, struct job_header *header,
                  struct err *err) {
    if (len < HEADER_MIN || len > JOB_HEADER_MAX)
        return err_set(err, "message header of %zu bytes, not %d to %d", len,
                       HEADER_MIN, JOB_HEADER_MAX);
    if (memcmp(buffer, magic, sizeof magic) != 0)
        return err_set(err, "message without the magic CVY1: other protocol "
                            "or version");
    const struct rule *rule = rule_of(buffer[AT_TYPE]);
    if (!rule)
        return err_set(err, "message of unknown type %d", buffer[AT_TYPE]);
    if (len != HEADER_MIN + (size_t)buffer[AT_REQUEST_LEN])
        return err_set(err, "message header of %zu bytes says %d", len,
                       HEADER_MIN + buffer[AT_REQUEST_LEN]);
    header->type = (enum job_type)buffer[AT_TYPE];
    if (decode_id(buffer + AT_ID, &header->id, err) < 0)
        return -1;
    header->attempt = (int)get_le(buffer + AT_ATTEMPT, 2);
    header->number = (uint32_t)get_le(buffer + AT_NUMBER, 4);
    uint64_t created = get_le(buffer + AT_CREATED, 8);
    if (created > INT64_MAX)
        return err_set(err, "%s message created before 1970", rule->name);
    header->created_ms = (int64_t)created;
    if (!is_name((const char *)buffer + HEADER_MIN, buffer[AT_REQUEST_LEN]))
        return err_set(err, "%s message with a malformed request id",
                       rule->name);
    memcpy(header->request, buffer + HEADER_MIN, buffer[AT_REQUEST_LEN]);
    int has = fields_of(header);
    if ((has & rule->must) != rule->must)
        return err_set(err, "%s message lacks a field", rule->name);
    if (has & ~(rule->must | rule->may))
        return err_set(err, "%s message with a field that it does not have",
                       rule->name);
    if ((has & NUMBER) && header->number > rule->number_max)
        return err_set(err, "%s message grants %u credits, more than %d",
                       rule->name, header->number, JOB_CREDITS_MAX);
    return 0;
}

int job_decode(const uint8_t *buffer, size_t len, struct job_header *header,
               struct err *err) {
    memset(header, 0, sizeof *header);
    int status = decode(buffer, len, header, err);
    if (status < 0)
        memset(header, 0, sizeof *header);
    return status;
}

bool job_name_valid(const char *name) {
    size_t len = strnlen(name, 128);
    return len > 0 && len < 128 && is_name(name, len);
}

/* ---- the advertisement -------------------------------------------------- */

/* Bounds on what a stranger may claim. A network input beyond 8192 pixels is no
 * classifier that anybody exports. */
enum { REASON_MAX = 4096 };
enum { HANDS_MAX = 4096, BATCH_MAX = 1024, SIDE_MAX = 8192 };

static json_t *model_to_json(const struct job_model *model) {
    json_t *labels = json_array();
    for (int i = 0; i < model->label_count; i++)
        document_add(&labels, document_text(model->labels[i]));
    return json_pack(
        "{s:s, s:s, s:o, s:i, s:i, s:b, s:b, s:s*, s:b, s:I}", "name",
        model->name, "version", model->version, "labels", labels, "width",
        model->width, "height", model->height, "explainable",
        model->explainable, "default", model->is_default, "explains",
        *model->explains ? model->explains : NULL, "retiring", model->retiring,
        "placed_ms", (json_int_t)model->placed_ms);
}

char *job_advert_encode(const struct job_advert *advert) {
    json_t *models = json_array(), *refused = json_array();
    for (int i = 0; i < advert->model_count; i++)
        document_add(&models, model_to_json(&advert->models[i]));
    for (int i = 0; i < advert->refused_count; i++)
        document_add(&refused,
                     json_pack("{s:o, s:o}", "folder",
                               document_text(advert->refused[i].folder),
                               "reason",
                               document_text(advert->refused[i].reason)));
    json_t *root = json_pack("{s:s, s:i, s:i, s:o, s:o}", "name", advert->name,
                             "hands", advert->hands, "batch", advert->batch,
                             "models", models, "refused", refused);
    char *text = document_print(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static int read_name(const json_t *root, const char *key, char out[128],
                     struct err *err) {
    const char *text = json_string_value(json_object_get(root, key));
    if (!text || !job_name_valid(text))
        return err_set(err,
                       "advertisement: \"%s\" is not 1 to 127 of "
                       "A-Z a-z 0-9 . _ -",
                       key);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_int(const json_t *root, const char *key, int max, int *out,
                    struct err *err) {
    const json_t *value = json_object_get(root, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 1 || number > max)
        return err_set(err,
                       "advertisement: \"%s\" is not a number from 1 to "
                       "%d",
                       key, max);
    *out = (int)number;
    return 0;
}

static int read_bool(const json_t *root, const char *key, int *out,
                     struct err *err) {
    const json_t *value = json_object_get(root, key);
    if (!json_is_boolean(value))
        return err_set(err, "advertisement: \"%s\" is not true or false", key);
    *out = json_is_true(value);
    return 0;
}

static int read_version(const json_t *root, char out[ID_VERSION_LEN + 1],
                        struct err *err) {
    const char *text = json_string_value(json_object_get(root, "version"));
    size_t digits = text ? strspn(text, "0123456789abcdef") : 0;
    if (digits != ID_VERSION_LEN || text[digits])
        return err_set(err, "advertisement: \"version\" is not %d hex digits",
                       ID_VERSION_LEN);
    memcpy(out, text, ID_VERSION_LEN + 1);
    return 0;
}

static int read_labels(const json_t *root, struct job_model *model,
                       struct err *err) {
    const json_t *labels = json_object_get(root, "labels");
    size_t count = json_array_size(labels);
    if (count < 1 || count > JOB_LABELS_MAX)
        return err_set(err,
                       "advertisement: \"labels\" is not an array of 1 "
                       "to %d strings",
                       JOB_LABELS_MAX);
    model->labels = calloc(count, sizeof *model->labels);
    if (!model->labels)
        return err_set(err, "out of memory for %zu labels", count);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(labels, i));
        if (!text || strlen(text) > JOB_LABEL_MAX)
            return err_set(err,
                           "advertisement: label %zu is not a string of "
                           "at most %d bytes",
                           i, JOB_LABEL_MAX);
        model->labels[i] = strdup(text);
        if (!model->labels[i])
            return err_set(err, "out of memory for %zu labels", count);
        model->label_count++;
    }
    return 0;
}

static int read_model(const json_t *root, struct job_model *model,
                      struct err *err) {
    if (read_name(root, "name", model->name, err) < 0 ||
        read_version(root, model->version, err) < 0 ||
        read_labels(root, model, err) < 0 ||
        read_int(root, "width", SIDE_MAX, &model->width, err) < 0 ||
        read_int(root, "height", SIDE_MAX, &model->height, err) < 0 ||
        read_bool(root, "explainable", &model->explainable, err) < 0 ||
        read_bool(root, "default", &model->is_default, err) < 0 ||
        (json_object_get(root, "explains") &&
         read_name(root, "explains", model->explains, err) < 0))
        return -1;
    model->retiring = json_is_true(json_object_get(root, "retiring"));
    model->placed_ms = json_integer_value(json_object_get(root, "placed_ms"));
    return 0;
}

static int read_refusal(const json_t *root, struct job_refusal *refusal,
                        struct err *err) {
    const char *folder = json_string_value(json_object_get(root, "folder"));
    const char *reason = json_string_value(json_object_get(root, "reason"));
    if (!folder || !reason)
        return err_set(err, "advertisement: a refusal lacks \"folder\" or "
                            "\"reason\"");
    refusal->folder = strndup(folder, REASON_MAX);
    refusal->reason = strndup(reason, REASON_MAX);
    if (!refusal->folder || !refusal->reason)
        return err_set(err, "out of memory for a refusal");
    return 0;
}

static int read_refused(const json_t *list, struct job_advert *advert,
                        struct err *err) {
    size_t count = json_array_size(list);
    if (count > JOB_MODELS_MAX)
        return err_set(err, "advertisement: more than %d refusals",
                       JOB_MODELS_MAX);
    advert->refused = calloc(count + 1, sizeof *advert->refused);
    if (!advert->refused)
        return err_set(err, "out of memory for %zu refusals", count);
    for (size_t i = 0; i < count; i++) {
        advert->refused_count++;
        if (read_refusal(json_array_get(list, i), &advert->refused[i], err) < 0)
            return -1;
    }
    return 0;
}

static int read_advert(const json_t *root, struct job_advert *advert,
                       struct err *err) {
    if (read_name(root, "name", advert->name, err) < 0 ||
        read_int(root, "hands", HANDS_MAX, &advert->hands, err) < 0 ||
        read_int(root, "batch", BATCH_MAX, &advert->batch, err) < 0)
        return -1;
    const json_t *models = json_object_get(root, "models");
    size_t count = json_array_size(models);
    if (!json_is_array(models) || count > JOB_MODELS_MAX)
        return err_set(err,
                       "advertisement: \"models\" is not an array of up to "
                       "%d models",
                       JOB_MODELS_MAX);
    advert->models = calloc(count + 1, sizeof *advert->models);
    if (!advert->models)
        return err_set(err, "out of memory for %zu models", count);
    for (size_t i = 0; i < count; i++) {
        advert->model_count++;
        if (read_model(json_array_get(models, i), &advert->models[i], err) < 0)
            return -1;
    }
    return read_refused(json_object_get(root, "refused"), advert, err);
}

int job_advert_decode(const char *json, size_t len, struct job_advert *advert,
                      struct err *err) {
    memset(advert, 0, sizeof *advert);
    if (len > JOB_ADVERT_MAX)
        return err_set(err, "advertisement of %zu bytes, more than %u", len,
                       JOB_ADVERT_MAX);
    json_error_t error;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return err_set(err, "advertisement is not JSON: %s", error.text);
    int status = read_advert(root, advert, err);
    json_decref(root);
    if (status < 0)
        job_advert_free(advert);
    return status;
}

void job_advert_free(struct job_advert *advert) {
    for (int i = 0; i < advert->model_count; i++) {
        for (int k = 0; k < advert->models[i].label_count; k++)
            free(advert->models[i].labels[k]);
        free(advert->models[i].labels);
    }
    free(advert->models);
    for (int i = 0; i < advert->refused_count; i++) {
        free(advert->refused[i].folder);
        free(advert->refused[i].reason);
    }
    free(advert->refused);
    memset(advert, 0, sizeof *advert);
}
