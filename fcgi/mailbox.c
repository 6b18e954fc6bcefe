#include "fcgi/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t mutex;
    struct note *first, **last;
    int fd; /* eventfd */
};

struct note *note_new(enum note_kind kind) {
    struct note *note = calloc(1, sizeof *note);
    if (note)
        note->kind = kind;
    return note;
}

struct note *note_about(enum note_kind kind, const struct id *id) {
    struct note *note = note_new(kind);
    if (note)
        note->job.id = *id;
    return note;
}

void note_free(struct note *note) {
    if (!note)
        return;
    store_job_free(&note->job);
    free(note->ids);
    free(note->text);
    free(note);
}

struct mailbox *mailbox_open(struct err *err) {
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox) {
        err_set(err, "out of memory");
        return NULL;
    }
    mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->fd < 0) {
        err_set(err, "eventfd: %s", strerror(errno));
        free(mailbox);
        return NULL;
    }
    pthread_mutex_init(&mailbox->mutex, NULL);
    mailbox->last = &mailbox->first;
    return mailbox;
}

void mailbox_close(struct mailbox *mailbox) {
    if (!mailbox)
        return;
    while (mailbox->first) {
        struct note *note = mailbox->first;
        mailbox->first = note->next;
        note_free(note);
    }
    close(mailbox->fd);
    pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox);
}

void mailbox_nudge(struct mailbox *mailbox) {
    const uint64_t one = 1;
    /* Fails only where the counter is full, and then it is readable. */
    ssize_t written = write(mailbox->fd, &one, sizeof one);
    (void)written;
}

void mailbox_put(struct mailbox *mailbox, struct note *note) {
    if (!note)
        return;
    note->next = NULL;
    pthread_mutex_lock(&mailbox->mutex);
    bool was_empty = !mailbox->first;
    *mailbox->last = note;
    mailbox->last = &note->next;
    pthread_mutex_unlock(&mailbox->mutex);
    if (was_empty)
        mailbox_nudge(mailbox);
}

int mailbox_fd(const struct mailbox *mailbox) {
    return mailbox->fd;
}

struct note *mailbox_take(struct mailbox *mailbox) {
    uint64_t count;
    /* The counter first: a note that comes after is announced anew. */
    ssize_t got = read(mailbox->fd, &count, sizeof count);
    (void)got;
    pthread_mutex_lock(&mailbox->mutex);
    struct note *first = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    pthread_mutex_unlock(&mailbox->mutex);
    return first;
}
