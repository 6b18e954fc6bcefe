/*
 * One thread owns the socket and all that is decided; others leave notes in its
 * mailbox. It never waits for anything but its poll: Redis has a thread of its
 * own (leases), and sends never block (ROUTER_MANDATORY with DONTWAIT: a worker
 * that is gone or does not read is an error at once). A message to a ROUTER is
 * dropped or refused with its first frame, so the others go out unchecked.
 */
#include "fcgi/dispatch.h"

#include "common/clock.h"
#include "common/curve.h"
#include "common/fault.h"
#include "common/log.h"
#include "fcgi/frames.h"
#include "fcgi/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#define TICK_MS 100
#define MESSAGES_AT_ONCE 256   /* then the mailbox has its turn */
#define QUEUE_OF_A_WORKER 4096 /* messages; credits keep it far below */

struct dispatch {
    struct dispatch_options options;
    struct mailbox *notes;
    struct leases *leases;
    struct schedule *schedule;
    void *context, *socket;
    struct guard *guard; /* NULL: all that can connect are admitted */
    pthread_t thread;
    atomic_bool stopping;
    int64_t quiet_until_ms; /* refused messages are logged once a second */
    int refused;            /* since then */
};

/* ---- sending ----------------------------------------------------------- */

/* An image that ZeroMQ holds. */
struct parcel {
    struct dispatch *dispatch;
    void *bytes;
    size_t size;
};

/* Called by ZeroMQ's own thread. */
static void parcel_gone(void *bytes, void *hint) {
    struct parcel *parcel = hint;
    free(bytes);
    jobs_released(schedule_jobs(parcel->dispatch->schedule), parcel->size);
    mailbox_nudge(parcel->dispatch->notes);
    free(parcel);
}

/* Identity and header; the body is to follow. */
static enum jobs_sent send_head(struct dispatch *dispatch,
                                const struct worker *worker,
                                const struct job_header *header) {
    uint8_t encoded[JOB_HEADER_MAX];
    size_t len = job_encode(header, encoded);
    if (zmq_send(dispatch->socket, worker->identity, worker->identity_len,
                 ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? JOBS_BUSY : JOBS_UNREACHABLE;
    zmq_send(dispatch->socket, encoded, len, ZMQ_SNDMORE);
    return JOBS_SENT;
}

static enum jobs_sent send_job(void *context, const struct worker *worker,
                               const struct store_job *job) {
    struct dispatch *dispatch = context;
    struct job_header header = {.type = JOB_JOB,
                                .id = job->id,
                                .attempt = job->attempts,
                                .created_ms = job->created_ms};
    memcpy(header.request, job->request, sizeof header.request);
    struct parcel *parcel = malloc(sizeof *parcel);
    zmq_msg_t body;
    if (!parcel)
        return JOBS_BUSY;
    *parcel = (struct parcel){dispatch, (void *)job->bytes, job->size};
    enum jobs_sent sent = send_head(dispatch, worker, &header);
    if (sent != JOBS_SENT) {
        free(parcel);
        return sent;
    }
    /* Fails for want of memory only, and the frame is owed: an empty image
     * makes the worker refuse the attempt. */
    if (zmq_msg_init_data(&body, parcel->bytes, parcel->size, parcel_gone,
                          parcel) < 0) {
        zmq_msg_init(&body);
        parcel_gone(parcel->bytes, parcel);
    }
    zmq_msg_send(&body, dispatch->socket, 0);
    FAULT_POINT(JOB_SENT, job->id.text);
    return JOBS_SENT;
}

static enum jobs_sent send_plain(struct dispatch *dispatch,
                                 const struct worker *worker,
                                 enum job_type type) {
    struct job_header header = {.type = type};
    enum jobs_sent sent = send_head(dispatch, worker, &header);
    if (sent == JOBS_SENT)
        zmq_send(dispatch->socket, "", 0, 0);
    return sent;
}

static void send_heartbeats(struct dispatch *dispatch) {
    for (struct worker *w = schedule_workers(dispatch->schedule), *next; w;
         w = next) {
        next = w->next;
        if (send_plain(dispatch, w, JOB_HEARTBEAT) == JOBS_UNREACHABLE)
            schedule_worker_gone(dispatch->schedule, w, "has disconnected");
    }
}

static void ask_who(struct dispatch *dispatch, zmq_msg_t *identity) {
    struct worker stranger = {.identity_len = zmq_msg_size(identity)};
    memcpy(stranger.identity, zmq_msg_data(identity), stranger.identity_len);
    send_plain(dispatch, &stranger, JOB_WHO);
}

/* ---- receiving --------------------------------------------------------- */

enum { IDENTITY, HEADER, BODY, FRAMES };

static void refuse(struct dispatch *dispatch, const char *reason) {
    int64_t now = clock_ms();
    dispatch->refused++;
    if (now < dispatch->quiet_until_ms)
        return;
    log_event(LOG_WARN, "message-refused", "error", reason, "messages",
              log_number(dispatch->refused, 0), NULL);
    dispatch->refused = 0;
    dispatch->quiet_until_ms = now + 1000;
}

static void handle(struct dispatch *dispatch, int count,
                   zmq_msg_t frame[FRAMES]) {
    struct job_header header;
    struct err err = {0};
    if (zmq_msg_size(&frame[IDENTITY]) > WORKERS_IDENTITY_MAX)
        return;
    if (count != FRAMES) {
        err_set(&err, "message of %d frames, not %d", count, FRAMES);
        refuse(dispatch, err.text);
        return;
    }
    if (job_decode(zmq_msg_data(&frame[HEADER]), zmq_msg_size(&frame[HEADER]),
                   &header, &err) < 0) {
        refuse(dispatch, err.text);
        return;
    }
    if (schedule_message(dispatch->schedule, zmq_msg_data(&frame[IDENTITY]),
                         zmq_msg_size(&frame[IDENTITY]), &header,
                         zmq_msg_data(&frame[BODY]),
                         zmq_msg_size(&frame[BODY])))
        ask_who(dispatch, &frame[IDENTITY]);
}

/* A worker whose key has been taken off the list may be connected still. */
static bool is_admitted(struct dispatch *dispatch, int count,
                        zmq_msg_t frame[FRAMES]) {
    zmq_msg_t *last = &frame[count < FRAMES ? count - 1 : BODY];
    if (!dispatch->guard ||
        guard_admits(dispatch->guard, zmq_msg_gets(last, GUARD_KEY)))
        return true;
    schedule_shut_out(dispatch->schedule, zmq_msg_data(&frame[IDENTITY]),
                      zmq_msg_size(&frame[IDENTITY]));
    return false;
}

static void take_messages(struct dispatch *dispatch) {
    zmq_msg_t frame[FRAMES];
    int count = 0;
    for (int i = 0; i < MESSAGES_AT_ONCE && count >= 0; i++) {
        count = frames_receive(dispatch->socket, frame, FRAMES, ZMQ_DONTWAIT);
        if (count > 0 && is_admitted(dispatch, count, frame))
            handle(dispatch, count, frame);
        frames_close(frame, FRAMES);
    }
}

static void take_notes(struct dispatch *dispatch) {
    struct note *next;
    for (struct note *note = mailbox_take(dispatch->notes); note; note = next) {
        next = note->next;
        schedule_note(dispatch->schedule, note);
        note_free(note);
    }
}

/* ---- the thread -------------------------------------------------------- */

static void *run(void *arg) {
    struct dispatch *dispatch = arg;
    struct schedule *schedule = dispatch->schedule;
    int64_t tick_at = 0, heartbeat_at = 0, stop_at = 0;
    zmq_pollitem_t items[] = {
        {.socket = dispatch->socket, .events = ZMQ_POLLIN},
        {.fd = mailbox_fd(dispatch->notes), .events = ZMQ_POLLIN},
    };
    for (;;) {
        int64_t now = clock_ms();
        if (now >= tick_at) {
            schedule_tick(schedule);
            tick_at = now + TICK_MS;
        }
        if (now >= heartbeat_at) {
            send_heartbeats(dispatch);
            heartbeat_at = now + JOB_HEARTBEAT_MS;
        }
        if (atomic_load(&dispatch->stopping) && !stop_at) {
            take_notes(dispatch);
            schedule_stop(schedule);
            stop_at = now + dispatch->options.stop_ms;
        }
        schedule_assign(schedule);
        if (stop_at &&
            (now >= stop_at || schedule_stats(schedule).in_flight == 0))
            break;
        zmq_poll(items, 2, TICK_MS);
        take_notes(dispatch);
        take_messages(dispatch);
    }
    schedule_abandon(schedule);
    return NULL;
}

/* ---- opening and closing ----------------------------------------------- */

static int set_option(struct dispatch *dispatch, int option, int value) {
    return zmq_setsockopt(dispatch->socket, option, &value, sizeof value);
}

static int bind_one(struct dispatch *dispatch, const char *endpoint, size_t len,
                    struct err *err) {
    char text[256];
    if (len == 0 || len >= sizeof text)
        return err_set(err, "--jobs: an endpoint has 1 to 255 characters");
    memcpy(text, endpoint, len);
    text[len] = 0;
    /* nginx's group may pass to the front's socket, but it is no worker. */
    mode_t before = umask(0077);
    int status = zmq_bind(dispatch->socket, text);
    umask(before);
    if (status < 0)
        return err_set(err, "cannot bind %s for the workers: %s", text,
                       zmq_strerror(errno));
    return 0;
}

static int open_guard(struct dispatch *dispatch, struct err *err) {
    const struct dispatch_options *options = &dispatch->options;
    if (!options->key)
        return options->plain_tcp
                   ? 0
                   : curve_check_local(options->endpoints, "--jobs", err);
    dispatch->guard = guard_open(dispatch->context, options->workers, err);
    return dispatch->guard ? curve_serve(dispatch->socket, options->key, err)
                           : -1;
}

static int open_socket(struct dispatch *dispatch, struct err *err) {
    int64_t largest = JOB_ADVERT_MAX;
    dispatch->context = zmq_ctx_new();
    dispatch->socket =
        dispatch->context ? zmq_socket(dispatch->context, ZMQ_ROUTER) : NULL;
    if (!dispatch->socket || set_option(dispatch, ZMQ_LINGER, 0) < 0 ||
        set_option(dispatch, ZMQ_ROUTER_MANDATORY, 1) < 0 ||
        set_option(dispatch, ZMQ_ROUTER_HANDOVER, 1) < 0 ||
        set_option(dispatch, ZMQ_SNDHWM, QUEUE_OF_A_WORKER) < 0 ||
        set_option(dispatch, ZMQ_RCVHWM, QUEUE_OF_A_WORKER) < 0 ||
        set_option(dispatch, ZMQ_IPV6, 1) < 0 ||
        zmq_setsockopt(dispatch->socket, ZMQ_MAXMSGSIZE, &largest,
                       sizeof largest) < 0)
        return err_set(err, "ZeroMQ: %s", zmq_strerror(errno));
    if (open_guard(dispatch, err) < 0)
        return -1;
    const char *rest = dispatch->options.endpoints;
    for (;;) {
        size_t len = strcspn(rest, ",");
        if (bind_one(dispatch, rest, len, err) < 0)
            return -1;
        if (!rest[len])
            return 0;
        rest += len + 1;
    }
}

static void dispatch_free(struct dispatch *dispatch) {
    leases_close(dispatch->leases);
    if (dispatch->socket)
        zmq_close(dispatch->socket);
    if (dispatch->guard) {
        zmq_ctx_shutdown(dispatch->context);
        guard_close(dispatch->guard);
    }
    if (dispatch->context)
        zmq_ctx_term(dispatch->context); /* parcels are all gone after that */
    schedule_close(dispatch->schedule);
    mailbox_close(dispatch->notes);
    free(dispatch);
}

static int open_parts(struct dispatch *dispatch, struct catalogue *catalogue,
                      struct waiters *waiters, struct err *err) {
    const struct dispatch_options *options = &dispatch->options;
    const struct leases_options leases = {.redis = options->redis,
                                          .lease_ms =
                                              options->schedule.lease_ms,
                                          .sweep_ms = options->sweep_ms};
    const struct jobs_link link = {dispatch, send_job};
    if (!(dispatch->notes = mailbox_open(err)) ||
        !(dispatch->leases = leases_open(&leases, dispatch->notes, err)) ||
        !(dispatch->schedule =
              schedule_open(&options->schedule, &link, dispatch->leases,
                            catalogue, waiters, err)))
        return -1;
    return open_socket(dispatch, err);
}

struct dispatch *dispatch_open(const struct dispatch_options *options,
                               struct catalogue *catalogue,
                               struct waiters *waiters, struct err *err) {
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);
    if (!dispatch) {
        err_set(err, "out of memory");
        return NULL;
    }
    dispatch->options = *options;
    int status = open_parts(dispatch, catalogue, waiters, err);
    if (status == 0) {
        int error = pthread_create(&dispatch->thread, NULL, run, dispatch);
        if (error)
            status = err_set(err, "cannot start a thread: %s", strerror(error));
    }
    if (status < 0) {
        dispatch_free(dispatch);
        return NULL;
    }
    return dispatch;
}

void dispatch_close(struct dispatch *dispatch) {
    if (!dispatch)
        return;
    atomic_store(&dispatch->stopping, true);
    mailbox_nudge(dispatch->notes);
    pthread_join(dispatch->thread, NULL);
    dispatch_free(dispatch);
}

/* ---- from other threads ------------------------------------------------ */

void dispatch_submit(struct dispatch *dispatch, const struct store_job *job) {
    struct jobs *jobs = schedule_jobs(dispatch->schedule);
    struct note *note = note_new(NOTE_SUBMITTED);
    if (!note)
        return; /* its lease will run out, and the sweep finds it */
    note->job = *job;
    note->job.bytes = NULL;
    if (jobs_keep(jobs, job->size)) {
        void *copy = malloc(job->size);
        if (copy)
            note->job.bytes = memcpy(copy, job->bytes, job->size);
        else
            jobs_unkeep(jobs, job->size);
    }
    mailbox_put(dispatch->notes, note);
}

void dispatch_orphan(struct dispatch *dispatch, const struct id *id) {
    mailbox_put(dispatch->notes, note_about(NOTE_ORPHAN, id));
}

struct schedule_stats dispatch_stats(struct dispatch *dispatch) {
    return schedule_stats(dispatch->schedule);
}

json_t *dispatch_workers(struct dispatch *dispatch) {
    return schedule_describe(dispatch->schedule);
}
