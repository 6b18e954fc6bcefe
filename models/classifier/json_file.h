/*
 * json_file: the object in a JSON file of a model folder.
 *
 *     json_t *root = json_file_parse(json, size, "config.json", &err);
 *     ...
 *     json_decref(root);
 *
 * A byte order mark is passed over. The error names the file and the line;
 * NaN and Infinity, which Python writes into JSON and nobody else reads, are
 * called what they are.
 */
#ifndef CONVOY_CLASSIFIER_JSON_FILE_H
#define CONVOY_CLASSIFIER_JSON_FILE_H

#include "common/err.h"

#include <stddef.h>

#include <jansson.h>

json_t *json_file_parse(const char *json, size_t size, const char *path,
                        struct err *err);

/* Past the byte order mark, where there is one; *size shrinks by it. */
const char *json_file_skip_mark(const char *text, size_t *size);

#endif
