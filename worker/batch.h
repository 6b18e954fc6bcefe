/*
 * batch: what the foreman and a hand say to each other, as bytes. Pure.
 *
 *   foreman -> hand    FRAME_BATCH   struct batch_head, then a struct
 *                                    batch_item an image, then the images
 *   hand -> foreman    FRAME_ANSWER  struct batch_answer, then the JSON of the
 *                                    stored prediction, or the reason why there
 *                                    is none; one an image, in any order
 *
 *     struct batch_message message;                 the foreman
 *     batch_encode(model, tasks, count, &message);
 *     frame_write(fd, &message.parts, &message.part_count, &err);
 *
 *     batch_decode(frame.body, frame.size, &items, &images, &err)    the hand
 *
 * Both ends run the same program, but a hand that handled a hostile image may
 * be in other hands: its answers are checked as a stranger's.
 */
#ifndef CONVOY_WORKER_BATCH_H
#define CONVOY_WORKER_BATCH_H

#include "worker/frame.h"
#include "worker/task.h"

#define BATCH_MAX 256 /* images; also the bound of --batch */

/* Larger than any prediction: 32 labels and 5 maps of 1,024 cells. */
#define BATCH_ANSWER_MAX ((size_t)256 << 10)

/* The largest batch: batcher.h's bound, or one image of the protocol's. */
#define BATCH_BYTES_MAX ((size_t)JOB_BODY_MAX + (1 << 20))

struct batch_head {
    int32_t model; /* index in the nursery's advertisement */
    int32_t count;
};

struct batch_item {
    struct id id;
    int32_t attempt;
    int64_t created_ms; /* wall clock */
    uint64_t size;      /* of the image */
};

enum {
    BATCH_ANSWERED,
    BATCH_FAILED,        /* this time */
    BATCH_TOO_MUCH_WORK, /* for good: to decode takes too much processor time */
};

struct batch_answer {
    int32_t index;  /* in the batch */
    int32_t failed; /* one of these */
    double decode_ms, infer_ms, total_ms;
};

/* The parts point into the message and at the images of the tasks. */
struct batch_message {
    struct frame_head frame;
    struct batch_head head;
    struct batch_item items[BATCH_MAX];
    struct iovec storage[3 + BATCH_MAX];
    struct iovec *parts;
    int part_count;
};
void batch_encode(int model, struct task *const *tasks, int count,
                  struct batch_message *message);

struct batch {
    int model, count;
    const struct batch_item *items; /* into the body */
    const char *images;             /* one behind the other */
};
int batch_decode(const void *body, size_t size, struct batch *batch,
                 struct err *err);

/* What an answer says goes into the task that it is about, which is returned;
 * NULL where it is malformed or about a task that is not open: open[i] is the
 * task with index i, NULL where it has been answered. */
struct task *batch_decode_answer(const void *body, size_t size,
                                 struct task *const *open, int count,
                                 struct err *err);

#endif
