/*
 * document: JSON that is whole or not there. jansson says of each value whether
 * it could be put in; who does not look, and goes on where memory has run out,
 * stores half a document for a month.
 *
 *     json_t *doc = json_object(), *list = json_array();
 *     document_add(&list, json_integer(1));
 *     document_set(&doc, "list", list);          takes over, NULL too
 *     document_set(&doc, "label", document_text(label));
 *     if (!doc) ... out of memory
 *
 * Once a value is missing the document is freed and NULL, and stays so.
 */
#ifndef CONVOY_DOCUMENT_H
#define CONVOY_DOCUMENT_H

#include <jansson.h>

void document_set(json_t **object, const char *key, json_t *value);
void document_add(json_t **array, json_t *value);

/* Bytes that are no UTF-8 become "?", one each. */
void document_make_utf8(char *text);
/* A text that need not be UTF-8, made so; NULL: no memory. */
json_t *document_text(const char *text);

/* The text, to be freed; NULL: no document, or no memory. (json_dumps() leaves
 * out what did not fit into its buffer, and goes on: jansson 2.14.) */
char *document_print(const json_t *document, size_t flags);

#endif
