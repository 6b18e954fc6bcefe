/*
 * frame: messages over the stream sockets between this worker's own processes:
 * a type, a length, a body, and at times an open file with it.
 *
 *     frame_send(fd, FRAME_HAND, &pid, sizeof pid, their_end, &err);
 *
 *     struct frame_reader reader = FRAME_READER(FRAME_BODY_MAX);
 *     struct frame frame;
 *     while ((got = frame_read(&reader, fd, &frame, &err)) > 0)
 *         ... frame.type, frame.body, frame.size
 *
 * Both ends run the same program on the same machine, so numbers are as the
 * machine has them. The same calls serve a blocking socket (nursery, hand) and
 * one that is not (foreman): there frame_read() says 0 where the rest of a
 * frame is still to come. What a peer sends is bounded by the reader and never
 * trusted beyond that: a hand handles strangers' files.
 */
#ifndef CONVOY_WORKER_FRAME_H
#define CONVOY_WORKER_FRAME_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum frame_type {
    FRAME_MODELS = 1, /* nursery, once: JSON advertisement of what is loaded */
    FRAME_HAND,       /* nursery: struct frame_process of a new hand, with the
                         foreman's end of its socket; pid 0: none came about */
    FRAME_DIED,       /* nursery: struct frame_process of a hand that ended */
    FRAME_FORK,       /* foreman to nursery: one more hand, please */
    FRAME_KILL,       /* foreman to nursery: end this hand at once */
    FRAME_READY,      /* hand: in its sandbox, waiting */
    FRAME_BATCH,      /* foreman to hand: see batch.h */
    FRAME_ANSWER,     /* hand: see batch.h */
};

struct frame_head {
    uint32_t type;
    uint32_t size; /* of the body */
};

struct frame_process {
    int32_t pid;
    int32_t status; /* as of waitpid() */
};

struct frame {
    enum frame_type type;
    void *body; /* the reader's, until it reads again; a NUL follows it */
    size_t size;
    int passed; /* an open file, the caller's to close; -1: none */
};

struct frame_reader {
    size_t most; /* a body that is larger is an error */
    struct frame_head head;
    size_t got; /* of head and body together */
    char *body;
    size_t capacity;
    int passed;
};
#define FRAME_READER(most_)                                                    \
    ((struct frame_reader){.most = (most_), .passed = -1})

/* 1: a frame; 0: not yet; -1: the other end is gone, or an error. */
int frame_read(struct frame_reader *reader, int fd, struct frame *frame,
               struct err *err);
void frame_reader_free(struct frame_reader *reader);

/* Sends a small frame whole, waiting for room where there is none; `pass` is
 * an open file to send along, or -1. */
int frame_send(int fd, enum frame_type type, const void *body, size_t size,
               int pass, struct err *err);

/* Sends what fits now and moves *parts and *count along: 1 all of it, 0 more
 * to send, -1 the other end is gone. */
int frame_write(int fd, struct iovec **parts, int *count, struct err *err);

#endif
