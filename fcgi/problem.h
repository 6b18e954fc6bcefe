/*
 * problem: what can go wrong, as the client is told (RFC 9457). Every type has
 * a row here and a page at static/problems/<slug>.html.
 *
 *     response_problem(response, request, "unknown-model",
 *                      "There is no model %s.", name);
 *
 * Rows that will pass by themselves carry Retry-After.
 */
#ifndef CONVOY_PROBLEM_H
#define CONVOY_PROBLEM_H

#include "common/err.h"
#include "fcgi/http.h"

struct problem {
    const char *slug, *title;
    int status;
    int retry_after_s; /* 0: trying again does not help */
};

/* NULL: there is no such row. Row 0 and on: NULL behind the last. */
#define PROBLEMS_MAX 48
const struct problem *problem_find(const char *slug);
const struct problem *problem_row(int i);

/* The row of a slug; of one that has none that of internal-error. */
int problem_index(const char *slug);

/* type, title, status, detail. A slug that has no row (a newer worker's) keeps
 * its type, under the title and status of internal-error. */
json_t *problem_json(const char *slug, const char *detail);
int problem_status(const char *slug);

/* The whole answer is this problem. */
void response_problem(struct response *response, const struct request *request,
                      const char *slug, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds a member to a problem that response_problem() made; takes value over. */
void response_problem_member(struct response *response, const char *name,
                             json_t *value);

/* The same of an error; one without a slug is an internal-error. Errors of the
 * service are logged in full; see problem_detail(). */
void response_error(struct response *response, const struct request *request,
                    const struct err *err);

/* Did Redis not answer? */
bool problem_is_store_away(const struct err *err);

/* What a client reads of an error: that of the store names no address. */
const char *problem_detail(const struct err *err);

#endif
