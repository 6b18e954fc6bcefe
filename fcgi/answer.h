/*
 * answer: a prediction as the API shows it.
 *
 *     struct answer answer;
 *     if (answer_ended(json, len, top_k, &answer, &err) == 0)
 *         ... answer.doc (owned), answer.etag, answer.lasting
 *     json_t *doc = answer_unfinished(&unfinished);
 *
 * The stored document has more than is shown (maps, all scores, attempts);
 * here it is cut to top_k, an error becomes a problem, and links are added.
 */
#ifndef CONVOY_ANSWER_H
#define CONVOY_ANSWER_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define ANSWER_TOP_K 5 /* unless asked otherwise */

struct answer {
    json_t *doc; /* owned: a new reference */
    char etag[160];
    bool lasting; /* never changes: succeeded, or a failure of the image */
};

int answer_ended(const char *stored, size_t len, int top_k,
                 struct answer *answer, struct err *err);

/* Without image.sha256: what stands there is no hash where ids are secret. */
void answer_hide_hash(json_t *doc);

struct unfinished {
    struct id id;
    const char *model;  /* "" where it is not known */
    const char *format; /* of the image; "" likewise */
    size_t bytes;
    int64_t created_ms;
    bool processing; /* else queued */
    int poll_after_ms;
};
json_t *answer_unfinished(const struct unfinished *unfinished);

#endif
