#include "common/document.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void keep_if(json_t **document, bool whole) {
    if (whole)
        return;
    json_decref(*document);
    *document = NULL;
}

void document_set(json_t **object, const char *key, json_t *value) {
    keep_if(object, json_object_set_new(*object, key, value) == 0);
}

void document_add(json_t **array, json_t *value) {
    keep_if(array, json_array_append_new(*array, value) == 0);
}

/* The length of the sequence at `p`; 0: it is none (RFC 3629, section 4). */
static size_t sequence(const unsigned char *p) {
    size_t len = *p < 0x80                  ? 1
                 : *p >= 0xc2 && *p <= 0xdf ? 2
                 : *p >= 0xe0 && *p <= 0xef ? 3
                 : *p >= 0xf0 && *p <= 0xf4 ? 4
                                            : 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) /* the closing NUL as well */
            return 0;
    bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
    bool surrogate = *p == 0xed && p[1] > 0x9f;
    bool too_great = *p == 0xf4 && p[1] > 0x8f;
    return overlong || surrogate || too_great ? 0 : len;
}

void document_make_utf8(char *text) {
    while (*text) {
        size_t len = sequence((const unsigned char *)text);
        if (len == 0)
            *text = '?';
        text += len ? len : 1;
    }
}

json_t *document_text(const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return NULL;
    document_make_utf8(copy);
    json_t *value = json_string(copy);
    free(copy);
    return value;
}

/* ---- printing ------------------------------------------------------------ */

struct text {
    char *bytes;
    size_t len, room;
    bool failed;
};

static int append(const char *bytes, size_t len, void *context) {
    struct text *text = context;
    size_t room = text->room ? text->room : 1024;
    while (room <= text->len + len)
        room *= 2;
    if (room != text->room && !text->failed) {
        char *grown = realloc(text->bytes, room);
        text->failed = !grown;
        text->bytes = grown ? grown : text->bytes;
        text->room = grown ? room : text->room;
    }
    if (text->failed)
        return -1;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    return 0;
}

char *document_print(const json_t *document, size_t flags) {
    struct text text = {0};
    if (document && json_dump_callback(document, append, &text, flags) == 0 &&
        append("", 1, &text) == 0 && !text.failed)
        return text.bytes;
    free(text.bytes);
    return NULL;
}
