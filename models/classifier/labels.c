#include "models/classifier/labels.h"

#include "common/document.h"
#include "common/job.h"
#include "models/classifier/json_file.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being read. */
struct reading {
    const char *path;
    const char *key; /* "": the file is a list */
    const char **texts;
    int count;
    struct err *err;
};

static int refuse_count(const struct reading *r, size_t have) {
    return err_set(r->err,
                   "%s: %s%shas %zu labels, but the network gives %d scores",
                   r->path, r->key, *r->key ? " " : "", have, r->count);
}

/* One block: the pointers, then the texts behind each other. */
static int build(struct labels *labels, const struct reading *r) {
    size_t size = 0;
    for (int i = 0; i < r->count; i++) {
        size_t length = strlen(r->texts[i]);
        if (length > JOB_LABEL_MAX)
            return err_set(r->err,
                           "%s: label %d, \"%.40s...\", has %zu bytes; a label "
                           "may have %d",
                           r->path, i, r->texts[i], length, JOB_LABEL_MAX);
        size += sizeof *labels->text + length + 1;
    }
    labels->text = malloc(size ? size : 1);
    if (!labels->text)
        return err_set(r->err, "not enough memory for %d labels", r->count);
    labels->count = r->count;
    char *at = (char *)(labels->text + r->count);
    for (int i = 0; i < r->count; i++) {
        labels->text[i] = at;
        at = stpcpy(at, r->texts[i]) + 1;
        document_make_utf8(labels->text[i]);
    }
    return 0;
}

/* r->texts for as many as there should be, or are. */
static int begin(struct reading *r, int classes, size_t have) {
    if (have > JOB_LABELS_MAX)
        return err_set(r->err, "%s: %s%shas %zu labels; at most %d are served",
                       r->path, r->key, *r->key ? " " : "", have,
                       JOB_LABELS_MAX);
    if (have == 0 && classes == 0)
        return err_set(r->err, "%s: %s%shas no labels", r->path, r->key,
                       *r->key ? " " : "");
    r->count = classes ? classes : (int)have;
    if ((size_t)r->count != have)
        return refuse_count(r, have);
    r->texts = calloc(have + 1, sizeof *r->texts);
    if (!r->texts)
        return err_set(r->err, "not enough memory for %zu labels", have);
    return 0;
}

/* "17" -> 17; -1 for anything that is no number below `count`. */
static int to_index(const char *text, int count) {
    char *end;
    long index = strtol(text, &end, 10);
    bool digit = *text >= '0' && *text <= '9';
    return digit && !*end && index < count ? (int)index : -1;
}

/* The number of a class, which some write as a text; -1: it is none. */
static int index_of(const json_t *value, int count) {
    json_int_t index = json_integer_value(value);
    if (json_is_string(value))
        return to_index(json_string_value(value), count);
    return json_is_integer(value) && index >= 0 && index < count ? (int)index
                                                                 : -1;
}

static int refuse_index(const struct reading *r, const char *key) {
    return err_set(r->err,
                   "%s: %s: \"%.80s\" should be one of the numbers 0 to %d, "
                   "each once",
                   r->path, r->key, key, r->count - 1);
}

static int take(struct reading *r, int index, const json_t *value) {
    r->texts[index] = json_string_value(value);
    if (!r->texts[index] || !*r->texts[index])
        return err_set(r->err, "%s: %s: \"%d\" should be a text", r->path,
                       r->key, index);
    return 0;
}

/* {"0": "cat", "1": "dog"} */
static int from_numbers(struct reading *r, const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        int index = to_index(key, r->count);
        if (index < 0 || r->texts[index])
            return refuse_index(r, key);
        if (take(r, index, value) < 0)
            return -1;
    }
    return 0;
}

/* ["cat", "dog"] */
static int from_list(struct reading *r, const json_t *list) {
    for (int i = 0; i < r->count; i++)
        if (take(r, i, json_array_get(list, (size_t)i)) < 0)
            return -1;
    return 0;
}

/* {"cat": 0, "dog": 1} */
static int from_names(struct reading *r, const json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        int index = index_of(value, r->count);
        if (index < 0 || r->texts[index])
            return refuse_index(r, key);
        r->texts[index] = key;
    }
    return 0;
}

/* Names that stand for several classes ("crane") are once in label2id, so it
 * may be the shorter of the two. */
static void compare(const struct reading *r, const json_t *label2id,
                    struct labels *labels) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)label2id, key, value) {
        int index = index_of(value, r->count);
        if (index < 0 || strcmp(r->texts[index], key) != 0) {
            snprintf(labels->notice, sizeof labels->notice,
                     "id2label and label2id disagree about \"%.60s\"; "
                     "id2label holds",
                     key);
            document_make_utf8(labels->notice);
            return;
        }
    }
}

static const struct source {
    const char *key;
    int (*from_object)(struct reading *r, const json_t *object);
    int (*from_list)(struct reading *r, const json_t *list);
} sources[] = {
    {"id2label", from_numbers, from_list},
    {"label_names", NULL, from_list},
    {"label2id", from_names, NULL},
};

static int read_maps(struct reading *r, const json_t *root, int classes,
                     struct labels *labels, bool *found) {
    *found = false;
    for (size_t i = 0; i < sizeof sources / sizeof *sources && !*found; i++) {
        const struct source *source = &sources[i];
        const json_t *value = json_object_get(root, source->key);
        bool list = json_is_array(value) && source->from_list;
        bool object = json_is_object(value) && source->from_object;
        *found = list || object;
        r->key = source->key;
        if (*found &&
            (begin(r, classes,
                   list ? json_array_size(value) : json_object_size(value)) <
                 0 ||
             (list ? source->from_list : source->from_object)(r, value) < 0))
            return -1;
    }
    if (!*found)
        return 0;
    compare(r, json_object_get(root, "label2id"), labels);
    return build(labels, r);
}

int labels_read_config(struct labels *labels, const char *json, size_t size,
                       const char *path, int classes, bool *found,
                       struct err *err) {
    struct reading r = {.path = path, .key = "", .err = err};
    json_t *root = json_file_parse(json, size, path, err);
    *found = false;
    if (!root)
        return -1;
    int status = read_maps(&r, root, classes, labels, found);
    free(r.texts);
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

/* Without empty lines at the end. */
static size_t count_lines(const char *text, const char *end) {
    size_t length, count = 0, lines = 0;
    for (const char *at = text; next_line(&at, end, &length);) {
        lines++;
        if (length > 0)
            count = lines;
    }
    return count;
}

int labels_read_text(struct labels *labels, const char *text, size_t size,
                     const char *path, int classes, struct err *err) {
    struct reading r = {.path = path, .key = "", .err = err};
    if (memchr(text, 0, size))
        return err_set(err, "%s: is not a text file, or not in UTF-8", path);
    text = json_file_skip_mark(text, &size);
    const char *at = text, *line, *end = text + size;
    if (begin(&r, classes, count_lines(text, end)) < 0)
        return -1;
    char *copy = malloc(size + 1), *to = copy;
    size_t length = 0;
    int status = -1;
    if (!copy)
        err_set(err, "not enough memory for %d labels", r.count);
    for (int i = 0; copy && i < r.count; i++) {
        line = next_line(&at, end, &length);
        r.texts[i] = memcpy(to, line, length);
        to[length] = 0;
        to += length + 1;
    }
    if (copy)
        status = build(labels, &r);
    free(r.texts);
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
