/*
 * query: parameters of a URL's query, by name.
 *
 *     char model[128];
 *     int found = query_text(request->query, "model", model, sizeof model);
 *     int top_k = 5;
 *     if (query_number(query, "top_k", 1, 32, &top_k, &err) < 0) ... 400
 *
 * Names are compared as they stand; values are percent-decoded. The first of
 * several wins. Other parameters are left to others.
 */
#ifndef CONVOY_QUERY_H
#define CONVOY_QUERY_H

#include "common/err.h"

#include <stddef.h>

/* 1 found, 0 absent; -1 where the value does not fit, is malformed or holds a
 * NUL (`err`: problem "bad-parameter"). */
int query_text(const char *query, const char *name, char *out, size_t size,
               struct err *err);

/* Leaves *out as it is where the parameter is absent. */
int query_number(const char *query, const char *name, int least, int most,
                 int *out, struct err *err);

#endif
