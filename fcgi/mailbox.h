/*
 * mailbox: notes from any thread to one that polls.
 *
 *     struct note *note = note_new(NOTE_SUBMITTED);
 *     mailbox_put(mailbox, note);               the note is the mailbox's now
 *
 *     poll mailbox_fd() for input, then
 *     for (struct note *note = mailbox_take(mailbox), *next; note; note = next)
 *         ... next = note->next; ...; note_free(note);
 *
 * Requests and leases write to dispatch, dispatch writes to leases: two
 * mailboxes instead of state that is shared.
 */
#ifndef CONVOY_MAILBOX_H
#define CONVOY_MAILBOX_H

#include "common/store.h"

#include <stdbool.h>
#include <stdint.h>

enum note_kind {
    /* to dispatch, from requests */
    NOTE_SUBMITTED, /* job: accepted just now */
    NOTE_ORPHAN,    /* id: pending, but its lease has run out */
    /* to leases, from dispatch */
    NOTE_CLAIM, /* id; with_bytes */
    NOTE_ADOPT, /* id */
    NOTE_RENEW, /* ids, count, lease_ms */
    NOTE_FAIL,  /* job, text: why; model name in name */
    /* to dispatch, from leases */
    NOTE_CLAIMED,     /* job: to be handed to a worker, attempt counted */
    NOTE_GONE,        /* id: no longer pending */
    NOTE_UNAVAILABLE, /* id: Redis is away, so it is not claimed */
    NOTE_ADOPTED,     /* job: another front's, ours from now on */
    NOTE_FAILED,      /* id: its failed prediction is written */
    NOTE_NOT_FAILED,  /* id: Redis is away, so it is not */
};

struct note {
    enum note_kind kind;
    struct store_job job; /* or only its id */
    bool with_bytes;
    struct id *ids; /* owned */
    int count;
    int64_t lease_ms;
    char name[128];
    char *text; /* owned */
    struct note *next;
};

struct note *note_new(enum note_kind kind); /* NULL: out of memory */
struct note *note_about(enum note_kind kind, const struct id *id);
void note_free(struct note *note); /* and what it owns */

struct mailbox;
struct mailbox *mailbox_open(struct err *err);
void mailbox_close(struct mailbox *mailbox);
void mailbox_put(struct mailbox *mailbox, struct note *note); /* NULL: none */
void mailbox_nudge(struct mailbox *mailbox); /* readable, without a note */
int mailbox_fd(const struct mailbox *mailbox);

/* All notes, oldest first, linked by next; no longer readable then. */
struct note *mailbox_take(struct mailbox *mailbox);

#endif
