#include "worker/hand.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/prediction.h"
#include "worker/batch.h"
#include "worker/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DECODE_WAITS 8 /* times the processor time, by the clock */

struct hand {
    const struct shelf *shelf;
    int fd;
    int64_t decode_timeout_ms;
    struct frame_reader reader;
    /* Of the batch at work, (BATCH_MAX). */
    struct classifier_image *images;
    struct classification *out;
    uint8_t maps[PREDICTION_MAPS_MAX * PREDICTION_MAP_CELLS];
};

/* Failures that lie in the image: the same bytes always give them. */
static bool is_permanent(const char *problem) {
    static const char *const problems[] = {"corrupt-image", "image-too-large",
                                           "unsupported-image"};
    for (size_t i = 0; problem && i < sizeof problems / sizeof *problems; i++)
        if (strcmp(problem, problems[i]) == 0)
            return true;
    return false;
}

/* ---- from a classification to the stored prediction ---------------------- */

/* The labels stay the classifier's: the prediction is not to be freed. */
static void fill_top(struct prediction *p, const struct classifier *classifier,
                     const struct classification *c) {
    p->top_count = c->top_count;
    for (int i = 0; i < c->top_count; i++) {
        p->top[i].label = (char *)classifier_label(classifier, c->top[i].index);
        p->top[i].index = c->top[i].index;
        p->top[i].score = c->top[i].score;
    }
    p->confidence = classifier_confidence(classifier, c);
}

/* Maps lie a fixed distance apart there, one behind the other here. */
static void fill_maps(struct hand *hand, struct prediction *p,
                      const struct classification *c) {
    size_t cells = (size_t)c->map_width * (size_t)c->map_height;
    for (int i = 0; i < c->map_count; i++)
        memcpy(hand->maps + (size_t)i * cells, c->maps[i], cells);
    p->map_count = c->map_count;
    p->map_width = c->map_width;
    p->map_height = c->map_height;
    p->maps = c->map_count ? hand->maps : NULL;
    memcpy(p->map_region, c->map_region, sizeof p->map_region);
}

static char *encode(struct hand *hand, int model, const struct batch_item *item,
                    const struct classification *c,
                    const struct batch_answer *answer, int64_t completed_ms) {
    const struct classifier *classifier = shelf_classifier(hand->shelf, model);
    struct prediction p = {
        .id = item->id,
        .succeeded = !c->failed,
        .permanent = c->failed,
        .image = {.width = c->width, .height = c->height, .bytes = item->size},
        .queue_ms = answer->total_ms - (c->decode_ms + c->infer_ms),
        .decode_ms = c->decode_ms,
        .infer_ms = c->infer_ms,
        .total_ms = answer->total_ms,
        .created_ms = item->created_ms,
        .completed_ms = completed_ms,
        .attempts = item->attempt,
    };
    if (p.queue_ms < 0)
        p.queue_ms = 0;
    snprintf(p.model_name, sizeof p.model_name, "%s",
             shelf_name(hand->shelf, model));
    snprintf(p.image.format, sizeof p.image.format, "%s",
             c->format ? c->format : "");
    if (c->failed) {
        snprintf(p.problem, sizeof p.problem, "%s", c->err.problem);
        snprintf(p.detail, sizeof p.detail, "%s", c->err.text);
    } else {
        fill_top(&p, classifier, c);
        fill_maps(hand, &p, c);
    }
    return prediction_encode(&p);
}

/* ---- a batch ------------------------------------------------------------- */

static int send_answer(const struct hand *hand,
                       const struct batch_answer *answer, const char *text,
                       struct err *err) {
    size_t len = strlen(text);
    struct frame_head head = {FRAME_ANSWER, (uint32_t)(sizeof *answer + len)};
    struct iovec storage[3] = {{&head, sizeof head},
                               {(void *)answer, sizeof *answer},
                               {(void *)text, len}};
    struct iovec *parts = storage;
    int count = 3;
    return frame_write(hand->fd, &parts, &count, err) == 1 ? 0 : -1;
}

/* ---- a decoder that is stuck --------------------------------------------- */

/* For the signal: the socket, and the image at work, or -1. */
static volatile sig_atomic_t alarm_fd, alarm_image = -1;

/* Nothing is sent while images are decoded, so no answer is cut in two. */
static void on_alarm(int number) {
    static const char why[] = "decoding the image took too long";
    const struct hand hand = {.fd = alarm_fd};
    struct batch_answer answer = {
        .index = alarm_image,
        .failed = number == SIGPROF ? BATCH_TOO_MUCH_WORK : BATCH_FAILED};
    if (alarm_image < 0) /* it was done just now */
        return;
    send_answer(&hand, &answer, why, NULL);
    _exit(HAND_STUCK);
}

static void set_timer(int which, int64_t ms) {
    const struct itimerval once = {
        .it_value = {ms / 1000, (suseconds_t)(ms % 1000 * 1000)}};
    setitimer(which, &once, NULL);
}

/* By processor time, so that an image does not fail because others keep the
 * machine busy; and by the clock, for what waits and does not work. */
static void set_alarm(int64_t ms) {
    set_timer(ITIMER_PROF, ms);
    set_timer(ITIMER_REAL, ms * DECODE_WAITS);
}

static void begin_decode(void *context, int image) {
    const struct hand *hand = context;
    alarm_image = image;
    set_alarm(hand->decode_timeout_ms);
}

static void end_decode(void *context) {
    (void)context;
    alarm_image = -1;
    set_alarm(0);
}

static int arrange_alarm(const struct hand *hand, struct err *err) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    alarm_fd = hand->fd;
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        sigaction(SIGPROF, &action, NULL) < 0)
        return err_set(err, "sigaction: %s", strerror(errno));
    return 0;
}

/* ---- a batch, answered --------------------------------------------------- */

static int answer_one(struct hand *hand, const struct batch *batch, int i,
                      struct err *err) {
    const struct batch_item *item = &batch->items[i];
    const struct classification *c = &hand->out[i];
    int64_t now = clock_wall_ms();
    struct batch_answer answer = {
        .index = i, .decode_ms = c->decode_ms, .infer_ms = c->infer_ms};
    if (now > item->created_ms) /* hosts' clocks differ */
        answer.total_ms = (double)(now - item->created_ms);
    if (answer.total_ms < c->decode_ms + c->infer_ms)
        answer.total_ms = c->decode_ms + c->infer_ms;
    if (c->failed && !is_permanent(c->err.problem)) {
        answer.failed = BATCH_FAILED;
        return send_answer(hand, &answer, c->err.text, err);
    }
    char *json = encode(hand, batch->model, item, c, &answer, now);
    if (!json) {
        answer.failed = BATCH_FAILED;
        return send_answer(hand, &answer, "no memory for the answer", err);
    }
    int status = send_answer(hand, &answer, json, err);
    free(json);
    return status;
}

static int work(struct hand *hand, const struct frame *frame, struct err *err) {
    struct batch batch;
    if (frame->type != FRAME_BATCH)
        return err_set(err, "a hand was sent a message of type %d",
                       (int)frame->type);
    if (batch_decode(frame->body, frame->size, &batch, err) < 0)
        return -1;
    if (batch.model >= shelf_count(hand->shelf))
        return err_set(err, "a batch for model %d", batch.model);
    const char *bytes = batch.images;
    for (int i = 0; i < batch.count; i++) {
        hand->images[i].bytes = bytes;
        hand->images[i].size = (size_t)batch.items[i].size;
        FAULT_POINT(HAND_BEGUN, batch.items[i].id.text);
        bytes += batch.items[i].size;
    }
    const struct classifier_watch watch = {begin_decode, end_decode, hand};
    struct classifier_run *run = shelf_run(hand->shelf, batch.model);
    classifier_run_watch(run, &watch);
    if (shelf_explained(hand->shelf, batch.model))
        for (int i = 0; i < batch.count; i++)
            classifier_run_explain(run, &hand->images[i], CLASSIFIER_TOP_MAX,
                                   &hand->out[i]);
    else
        classifier_run(run, hand->images, batch.count, CLASSIFIER_TOP_MAX,
                       hand->out);
    for (int i = 0; i < batch.count; i++) {
        if (answer_one(hand, &batch, i, err) < 0)
            return -1;
        FAULT_POINT(HAND_ANSWERED, batch.items[i].id.text);
    }
    return 0;
}

_Noreturn static void leave(int status, const struct err *err) {
    log_event(LOG_ERROR, "hand-gives-up", "reason", err->text, NULL);
    _exit(status);
}

/* See SANDBOX_CPU_HONEST_S. */
static bool is_old(void) {
    struct timespec used;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0 &&
           used.tv_sec >= SANDBOX_CPU_HONEST_S;
}

_Noreturn void hand_run(const struct shelf *shelf, int fd,
                        const struct settings *settings) {
    struct hand hand = {.shelf = shelf,
                        .fd = fd,
                        .decode_timeout_ms = settings->decode_timeout_ms,
                        .reader = FRAME_READER(BATCH_BYTES_MAX)};
    struct err err = {0};
    struct frame frame;
    hand.images = calloc(BATCH_MAX, sizeof *hand.images);
    hand.out = calloc(BATCH_MAX, sizeof *hand.out);
    if (!hand.images || !hand.out) {
        err_set(&err, "no memory for a batch");
        leave(HAND_NO_MEMORY, &err);
    }
    if (arrange_alarm(&hand, &err) < 0 ||
        sandbox_enter(fd, settings->hand_memory, &err) < 0)
        leave(HAND_NO_SANDBOX, &err);
    if (frame_send(fd, FRAME_READY, NULL, 0, -1, &err) < 0)
        _exit(0);
    while (!is_old() && frame_read(&hand.reader, fd, &frame, &err) == 1)
        if (work(&hand, &frame, &err) < 0)
            leave(HAND_BAD_BATCH, &err);
    _exit(0);
}
