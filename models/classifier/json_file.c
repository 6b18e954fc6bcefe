#include "models/classifier/json_file.h"

#include <string.h>

#define NEAR 10 /* bytes; "-Infinity" has 9 */

const char *json_file_skip_mark(const char *text, size_t *size) {
    if (*size < 3 || memcmp(text, "\xef\xbb\xbf", 3) != 0)
        return text;
    *size -= 3;
    return text + 3;
}

/* "NaN", "Infinity", or NULL: whether it stopped at one of them. */
static const char *python_number(const char *json, size_t size, size_t at) {
    static const char *const words[] = {"NaN", "Infinity"};
    size_t first = at > NEAR ? at - NEAR : 0;
    size_t count = at + NEAR < size ? at + NEAR - first : size - first;
    for (int i = 0; first < size && i < 2; i++)
        if (memmem(json + first, count, words[i], strlen(words[i])))
            return words[i];
    return NULL;
}

json_t *json_file_parse(const char *json, size_t size, const char *path,
                        struct err *err) {
    json_error_t where;
    json = json_file_skip_mark(json, &size);
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(root))
        return root;
    const char *word =
        root ? NULL : python_number(json, size, (size_t)where.position);
    if (root)
        err_set(err, "%s: should be one JSON object", path);
    else if (word)
        err_set(err,
                "%s: line %d: %s is no JSON, though Python writes it; put null "
                "or a number there, or take the line out",
                path, where.line, word);
    else
        err_set(err, "%s: line %d: %s", path, where.line, where.text);
    json_decref(root);
    return NULL;
}
