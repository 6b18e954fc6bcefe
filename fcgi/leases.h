/*
 * leases: what the dispatch thread wants of Redis, done on a thread of its own,
 * so that a Redis that hangs keeps nobody from answering heartbeats.
 *
 *     struct leases *leases = leases_open(&options, reports, &err);
 *     leases_ask(leases, note_about(NOTE_CLAIM, &id));
 *     ... NOTE_CLAIMED, NOTE_GONE or NOTE_UNAVAILABLE comes to `reports` ...
 *     leases_sweep(leases, 0);         adopts jobs whose lease has run out
 *     leases_close(leases);            once all that was asked is done
 *
 *   asked         answered
 *   NOTE_CLAIM    NOTE_CLAIMED, NOTE_GONE or NOTE_UNAVAILABLE
 *   NOTE_ADOPT    NOTE_ADOPTED, or nothing
 *   NOTE_RENEW    nothing
 *   NOTE_FAIL     NOTE_FAILED or NOTE_NOT_FAILED
 *
 * Everything is done in the order in which it was asked.
 */
#ifndef CONVOY_LEASES_H
#define CONVOY_LEASES_H

#include "common/err.h"
#include "fcgi/mailbox.h"

#include <stdint.h>

/* Of a failure that lies in the service: for whoever asks later; it is replaced
 * where the image is sent again. */
#define LEASES_FAILURE_TTL_S 86400

struct leases_options {
    const char *redis;
    int64_t lease_ms;
    int64_t sweep_ms; /* how often it looks for jobs to adopt */
};

struct leases;
struct leases *leases_open(const struct leases_options *options,
                           struct mailbox *reports, struct err *err);
void leases_ask(struct leases *leases, struct note *note); /* takes it over */

/* Which jobs it adopts: those whose lease ran out so long ago, or none. */
#define LEASES_SWEEP_NONE (-1)
void leases_sweep(struct leases *leases, int64_t since_ms);

void leases_close(struct leases *leases);

#endif
