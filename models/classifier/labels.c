#include "models/classifier/labels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* One block: the pointers, then the texts behind each other. */
static int build(struct labels *labels, const char **texts, int count,
                 struct err *err) {
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += sizeof *labels->text + strlen(texts[i]) + 1;
    labels->text = malloc(size ? size : 1);
    if (!labels->text)
        return err_set(err, "not enough memory for %d labels", count);
    labels->count = count;
    char *at = (char *)(labels->text + count);
    for (int i = 0; i < count; i++) {
        labels->text[i] = at;
        at = stpcpy(at, texts[i]) + 1;
    }
    return 0;
}

static int refuse_count(const char *path, const char *key, size_t have,
                        int classes, struct err *err) {
    return err_set(err,
                   "%s: %s%shas %zu labels, but the network gives %d scores",
                   path, key, *key ? " " : "", have, classes);
}

/* "17" -> 17; -1 for anything that is no number below `count`. */
static int to_index(const char *text, int count) {
    char *end;
    long index = strtol(text, &end, 10);
    bool digit = *text >= '0' && *text <= '9';
    return digit && !*end && index < count ? (int)index : -1;
}

static int from_id2label(const char **texts, const json_t *id2label,
                         const char *path, int classes, struct err *err) {
    const char *key;
    json_t *value;
    if (json_object_size(id2label) != (size_t)classes)
        return refuse_count(path, "id2label", json_object_size(id2label),
                            classes, err);
    json_object_foreach((json_t *)id2label, key, value) {
        int index = to_index(key, classes);
        if (index < 0 || texts[index])
            return err_set(err,
                           "%s: id2label: \"%.40s\" should be one of the "
                           "numbers 0 to %d, each once",
                           path, key, classes - 1);
        texts[index] = json_string_value(value);
        if (!texts[index] || !*texts[index])
            return err_set(err, "%s: id2label: \"%s\" should be a text", path,
                           key);
    }
    return 0;
}

static int from_label2id(const char **texts, const json_t *label2id,
                         const char *path, int classes, struct err *err) {
    const char *key;
    json_t *value;
    if (json_object_size(label2id) != (size_t)classes)
        return refuse_count(path, "label2id", json_object_size(label2id),
                            classes, err);
    json_object_foreach((json_t *)label2id, key, value) {
        json_int_t index = json_integer_value(value);
        if (!json_is_integer(value) || index < 0 || index >= classes ||
            texts[index])
            return err_set(err,
                           "%s: label2id: \"%.80s\" should be one of the "
                           "numbers 0 to %d, each once",
                           path, key, classes - 1);
        texts[index] = key;
    }
    return 0;
}

/* Names that stand for several classes ("crane") are once in label2id, so it
 * may be the shorter of the two. */
static int compare(const char **texts, const json_t *label2id, const char *path,
                   int classes, struct err *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)label2id, key, value) {
        json_int_t index = json_integer_value(value);
        if (!json_is_integer(value) || index < 0 || index >= classes ||
            strcmp(texts[index], key) != 0)
            return err_set(err,
                           "%s: id2label and label2id disagree about "
                           "\"%.80s\"",
                           path, key);
    }
    return 0;
}

static int read_maps(const char **texts, const json_t *root, const char *path,
                     int classes, bool *found, struct err *err) {
    const json_t *id2label = json_object_get(root, "id2label");
    const json_t *label2id = json_object_get(root, "label2id");
    *found = json_is_object(id2label) || json_is_object(label2id);
    if (json_is_object(id2label)) {
        if (from_id2label(texts, id2label, path, classes, err) < 0)
            return -1;
        return compare(texts, label2id, path, classes, err);
    }
    if (json_is_object(label2id))
        return from_label2id(texts, label2id, path, classes, err);
    return 0;
}

int labels_read_config(struct labels *labels, const char *json, size_t size,
                       const char *path, int classes, bool *found,
                       struct err *err) {
    int status = -1;
    json_error_t where;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    const char **texts = calloc((size_t)classes, sizeof *texts);
    *found = false;
    if (!root)
        err_set(err, "%s: line %d: %s", path, where.line, where.text);
    else if (!json_is_object(root))
        err_set(err, "%s: should be one JSON object", path);
    else if (!texts)
        err_set(err, "not enough memory for %d labels", classes);
    else
        status = read_maps(texts, root, path, classes, found, err);
    if (status == 0 && *found)
        status = build(labels, texts, classes, err);
    free(texts);
    json_decref(root);
    return status;
}

/* The next line of [*at, end) without its line end; NULL at the end. */
static const char *next_line(const char **at, const char *end, size_t *length) {
    if (*at == end)
        return NULL;
    const char *line = *at;
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    *at = stop ? stop + 1 : end;
    if (!stop)
        stop = end;
    if (stop > line && stop[-1] == '\r')
        stop--;
    *length = (size_t)(stop - line);
    return line;
}

int labels_read_text(struct labels *labels, const char *text, size_t size,
                     const char *path, int classes, struct err *err) {
    if (memchr(text, 0, size))
        return err_set(err, "%s: is not a text file", path);
    char *copy = malloc(size + 1);
    const char **texts = calloc((size_t)classes, sizeof *texts);
    size_t count = 0, length, used = 0;
    const char *at = text, *line;
    int status = -1;
    if (!copy || !texts) {
        err_set(err, "not enough memory for %d labels", classes);
        goto done;
    }
    while ((line = next_line(&at, text + size, &length))) {
        if (length == 0 && at == text + size)
            break; /* an empty last line */
        if (count < (size_t)classes) {
            texts[count] = memcpy(copy + used, line, length);
            copy[used + length] = 0;
            used += length + 1;
        }
        count++;
    }
    if (count != (size_t)classes)
        refuse_count(path, "", count, classes, err);
    else
        status = build(labels, texts, classes, err);
done:
    free(texts);
    free(copy);
    return status;
}

int labels_number(struct labels *labels, int classes, struct err *err) {
    enum { LONGEST = 24 };
    size_t size = (size_t)classes * (sizeof *labels->text + LONGEST);
    labels->text = malloc(size);
    if (!labels->text)
        return err_set(err, "not enough memory for %d labels", classes);
    labels->count = classes;
    char *at = (char *)(labels->text + classes);
    for (int i = 0; i < classes; i++, at += LONGEST) {
        labels->text[i] = at;
        snprintf(at, LONGEST, "class %d", i);
    }
    return 0;
}

void labels_free(struct labels *labels) {
    free(labels->text);
    *labels = (struct labels){0};
}
