#include "worker/link.h"

#include "common/clock.h"
#include "common/log.h"
#include "worker/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define LINGER_MS 1000       /* for the last words at the end */
#define RECONNECT_MS 50      /* doubled up to: */
#define RECONNECT_MAX_MS 250 /* what a front's restart may cost in time */

struct front {
    int64_t number;
    char endpoint[ENDPOINT_LEN];
    void *socket;  /* NULL: could not be made; tried again */
    bool up;       /* READY was said on the present connection */
    bool wanted;   /* still among the resolver's endpoints */
    int open_jobs; /* received and not yet reported */
    int64_t heard_ms, said_ms;
};

struct link {
    void *context;
    bool keyed;
    struct link_keys keys;
    struct resolver *resolver;
    struct front fronts[ENDPOINTS_MAX];
    int front_count;
    int64_t last_number, ticked_ms;
    int turn; /* whose message is taken next */
    char *advert;
    size_t advert_len;
    int credits;
    bool admits; /* jobs are wanted */
};

/* ---- sockets ------------------------------------------------------------- */

static int join_front(const struct link *link, const struct front *front,
                      struct err *err) {
    if (link->keyed &&
        curve_join(front->socket, &link->keys.ours, link->keys.front, err) < 0)
        return -1;
    if (zmq_connect(front->socket, front->endpoint) < 0)
        return err_set(err, "%s", zmq_strerror(errno));
    return 0;
}

static void connect_front(struct link *link, struct front *front) {
    static const struct {
        int option, value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1},
        {ZMQ_IPV6, 1},
        {ZMQ_RCVHWM, 0}, /* credits bound it */
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
    };
    int64_t most = JOB_BODY_MAX;
    front->up = false;
    front->heard_ms = clock_ms();
    front->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (!front->socket)
        return;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        zmq_setsockopt(front->socket, options[i].option, &options[i].value,
                       sizeof options[i].value);
    zmq_setsockopt(front->socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
    struct err err = {0};
    if (join_front(link, front, &err) == 0)
        return;
    log_event(LOG_ERROR, "front-not-connected", "front", front->endpoint,
              "reason", err.text, NULL);
    zmq_close(front->socket);
    front->socket = NULL;
}

static void disconnect_front(struct front *front, int linger_ms) {
    if (front->socket) {
        zmq_setsockopt(front->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(front->socket);
    }
    front->socket = NULL;
    front->up = false;
}

struct link *link_open(const char *fronts, const struct link_keys *keys,
                       struct err *err) {
    struct link *link = calloc(1, sizeof *link);
    if (!link) {
        err_set(err, "no memory for the link");
        return NULL;
    }
    link->keyed = keys != NULL;
    if (keys)
        link->keys = *keys;
    link->resolver = resolver_open(fronts, err);
    if (!link->resolver)
        goto fail;
    link->context = zmq_ctx_new();
    if (!link->context) {
        err_set(err, "ZeroMQ: %s", zmq_strerror(errno));
        goto fail;
    }
    return link;
fail:
    link_close(link);
    return NULL;
}

void link_close(struct link *link) {
    if (!link)
        return;
    for (int i = 0; i < link->front_count; i++)
        disconnect_front(&link->fronts[i], LINGER_MS);
    if (link->context)
        zmq_ctx_term(link->context);
    resolver_close(link->resolver);
    free(link->advert);
    free(link);
}

/* ---- saying -------------------------------------------------------------- */

/* A front that takes nothing is not connected: once it is again, READY comes
 * first. What it misses it learns from Redis. */
static void say(struct front *front, const struct job_header *header,
                const void *body, size_t size) {
    uint8_t bytes[JOB_HEADER_MAX];
    size_t len = job_encode(header, bytes);
    if (!front->socket)
        return;
    if (zmq_send(front->socket, bytes, len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
        zmq_send(front->socket, body, size, ZMQ_DONTWAIT) < 0) {
        front->up = false;
        return;
    }
    front->said_ms = clock_ms();
}

static void say_type(struct front *front, enum job_type type) {
    say(front, &(struct job_header){.type = type}, NULL, 0);
}

/* Jobs that a front has out give their credit back when they end, so they
 * count against what it is granted. */
static void say_ready(struct link *link, struct front *front) {
    int credits = link->credits - front->open_jobs;
    struct job_header header = {.type = JOB_READY,
                                .number = credits > 0 ? (uint32_t)credits : 0};
    front->up = true;
    front->heard_ms = clock_ms();
    say(front, &header, link->advert, link->advert_len);
    log_event(LOG_INFO, "ready-for-front", "front", front->endpoint, "credits",
              log_number(header.number, 0), NULL);
}

int link_serve(struct link *link, const char *advert, int credits,
               struct err *err) {
    char *copy = strdup(advert);
    if (!copy)
        return err_set(err, "no memory for the advertisement");
    free(link->advert);
    link->advert = copy;
    link->advert_len = strlen(copy);
    link->credits = credits < JOB_CREDITS_MAX ? credits : JOB_CREDITS_MAX;
    for (int i = 0; i < link->front_count && link->admits; i++)
        if (link->fronts[i].up)
            say_ready(link, &link->fronts[i]);
    return 0;
}

void link_admit(struct link *link, bool admits) {
    if (admits == link->admits)
        return;
    link->admits = admits;
    for (int i = 0; i < link->front_count; i++) {
        struct front *front = &link->fronts[i];
        front->heard_ms = clock_ms(); /* nobody answers who said nothing */
        if (front->up && admits)
            say_ready(link, front);
        else if (front->up)
            say_type(front, JOB_DRAIN);
    }
}

/* Has READY to be said to fronts that have not heard it? */
static bool is_serving(const struct link *link) {
    return link->advert && link->admits;
}

static struct front *front_by_number(struct link *link, int64_t number) {
    for (int i = 0; i < link->front_count; i++)
        if (link->fronts[i].number == number)
            return &link->fronts[i];
    return NULL;
}

static void report(struct front *front, const struct job_header *job,
                   const struct answer *answer) {
    struct job_header header = {.type = answer->failed ? JOB_FAILED : JOB_DONE,
                                .id = job->id,
                                .attempt = job->attempt};
    memcpy(header.request, job->request, sizeof header.request);
    front->open_jobs--;
    say(front, &header, answer->text ? answer->text : "", answer->len);
}

void link_report(struct link *link, const struct task *task) {
    struct front *front = front_by_number(link, task->front);
    if (front) /* else its address is gone, and so is it */
        report(front, &task->header, &task->answer);
}

/* ---- fronts that come and go --------------------------------------------- */

static bool is_listed(const struct endpoints *list, const char *endpoint) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->text[i], endpoint) == 0)
            return true;
    return false;
}

static void add_front(struct link *link, const char *endpoint) {
    for (int i = 0; i < link->front_count; i++)
        if (strcmp(link->fronts[i].endpoint, endpoint) == 0)
            return;
    if (link->front_count == ENDPOINTS_MAX)
        return;
    struct front *front = &link->fronts[link->front_count++];
    *front = (struct front){.number = ++link->last_number, .wanted = true};
    strcpy(front->endpoint, endpoint);
    connect_front(link, front);
}

static void follow_resolver(struct link *link) {
    struct endpoints list;
    if (!resolver_take(link->resolver, &list))
        return;
    for (int i = 0; i < link->front_count; i++)
        link->fronts[i].wanted = is_listed(&list, link->fronts[i].endpoint);
    for (int i = 0; i < list.count; i++)
        add_front(link, list.text[i]);
}

/* One whose address is no longer listed goes when its jobs are done. */
static void drop_unwanted(struct link *link) {
    for (int i = 0; i < link->front_count; i++) {
        struct front *front = &link->fronts[i];
        if (front->wanted || (front->up && front->open_jobs > 0))
            continue;
        log_event(LOG_INFO, "front-gone", "front", front->endpoint, NULL);
        disconnect_front(front, 0);
        *front = link->fronts[--link->front_count];
        i--;
    }
}

static const char *why_silent(const struct front *front) {
    if (front->up)
        return "it was there, and says nothing any more";
    if (!front->socket)
        return "the last try to connect failed";
    return "it is away, or does not admit this worker's key (deploy/keys), or "
           "has another key than --curve-front";
}

static void tick(struct link *link) {
    int64_t now = clock_ms();
    if (now - link->ticked_ms < 100)
        return;
    link->ticked_ms = now;
    follow_resolver(link);
    drop_unwanted(link);
    for (int i = 0; i < link->front_count; i++) {
        struct front *front = &link->fronts[i];
        bool silent = now - front->heard_ms >= JOB_SILENCE_MS;
        /* ZeroMQ does not try again where a front refused the key. */
        if (silent && (front->up || !front->socket ||
                       (link->keyed && is_serving(link)))) {
            log_event(LOG_WARN, "front-silent", "front", front->endpoint,
                      "reason", why_silent(front), NULL);
            disconnect_front(front, 0);
            connect_front(link, front);
        } else if (front->up && now - front->said_ms >= JOB_HEARTBEAT_MS) {
            say_type(front, JOB_HEARTBEAT);
        }
    }
}

/* ---- hearing ------------------------------------------------------------- */

/* ZeroMQ's names for poll()'s events have other values. */
static short translate(short events, short in, short to_in, short out,
                       short to_out) {
    return (short)((events & in ? to_in : 0) | (events & out ? to_out : 0));
}

void link_wait(struct link *link, struct pollfd *fds, int count,
               int timeout_ms) {
    zmq_pollitem_t items[ENDPOINTS_MAX + LINK_FDS_MAX];
    int n = 0;
    tick(link);
    for (int i = 0; i < count && i < LINK_FDS_MAX; i++)
        items[n++] = (zmq_pollitem_t){.fd = fds[i].fd,
                                      .events = translate(fds[i].events, POLLIN,
                                                          ZMQ_POLLIN, POLLOUT,
                                                          ZMQ_POLLOUT)};
    for (int i = 0; i < link->front_count; i++) {
        const struct front *front = &link->fronts[i];
        short writable = is_serving(link) && !front->up ? ZMQ_POLLOUT : 0;
        if (front->socket)
            items[n++] =
                (zmq_pollitem_t){.socket = front->socket,
                                 .events = (short)(ZMQ_POLLIN | writable)};
    }
    if (zmq_poll(items, n, timeout_ms) < 0)
        return; /* interrupted */
    for (int i = 0; i < count && i < LINK_FDS_MAX; i++)
        fds[i].revents =
            (short)(translate(items[i].revents, ZMQ_POLLIN, POLLIN, ZMQ_POLLOUT,
                              POLLOUT) |
                    (items[i].revents & ZMQ_POLLERR ? POLLERR : 0));
}

/* A message is two frames; more are read off and make it malformed. */
static int receive(struct front *front, zmq_msg_t parts[2], int *count) {
    *count = 0;
    for (bool more = true; more;) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, front->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return -1;
        }
        more = zmq_msg_more(&part);
        if (*count < 2)
            zmq_msg_move(&parts[*count], &part);
        (*count)++;
        zmq_msg_close(&part);
    }
    return 0;
}

/* NULL where memory has run out: the front is told at once. */
static struct task *take_job(struct front *front,
                             const struct job_header *header, zmq_msg_t *body) {
    size_t size = zmq_msg_size(body);
    void *bytes = malloc(size ? size : 1);
    if (bytes)
        memcpy(bytes, zmq_msg_data(body), size);
    struct task *task =
        bytes ? task_new(front->number, header, bytes, size) : NULL;
    front->open_jobs++;
    if (!task) {
        struct answer answer = {.failed = true,
                                .text = "the worker has no memory left"};
        log_event(LOG_ERROR, "no-memory", "request", header->request, "id",
                  header->id.text, NULL);
        report(front, header, &answer);
    }
    return task;
}

static struct task *understand(struct link *link, struct front *front,
                               zmq_msg_t parts[2], int count) {
    struct job_header header;
    struct err err = {0};
    if (count != 2)
        err_set(&err, "message of %d frames, not 2", count);
    if (count != 2 || job_decode(zmq_msg_data(&parts[0]),
                                 zmq_msg_size(&parts[0]), &header, &err) < 0) {
        log_event(LOG_WARN, "message-dropped", "front", front->endpoint,
                  "reason", err.text, NULL);
        return NULL;
    }
    front->heard_ms = clock_ms();
    if (header.type == JOB_JOB)
        return take_job(front, &header, &parts[1]);
    if (header.type == JOB_WHO && is_serving(link))
        say_ready(link, front);
    return NULL;
}

/* One message of one front: 1 there was one, which may be a job. */
static int hear(struct link *link, struct front *front, struct task **task) {
    zmq_msg_t parts[2];
    int count;
    if (!front->socket)
        return 0;
    zmq_msg_init(&parts[0]);
    zmq_msg_init(&parts[1]);
    int status = receive(front, parts, &count);
    if (status == 0)
        *task = understand(link, front, parts, count);
    zmq_msg_close(&parts[0]);
    zmq_msg_close(&parts[1]);
    return status == 0;
}

/* READY goes out as soon as the connection can take it. */
static void greet(struct link *link, struct front *front) {
    int events = 0;
    size_t size = sizeof events;
    if (!front->socket || front->up || !is_serving(link))
        return;
    if (zmq_getsockopt(front->socket, ZMQ_EVENTS, &events, &size) == 0 &&
        (events & ZMQ_POLLOUT))
        say_ready(link, front);
}

struct task *link_take(struct link *link) {
    struct task *task = NULL;
    tick(link);
    for (int i = 0; i < link->front_count; i++)
        greet(link, &link->fronts[i]);
    for (int quiet = 0; quiet < link->front_count && !task;) {
        struct front *front = &link->fronts[link->turn++ % link->front_count];
        quiet = hear(link, front, &task) ? 0 : quiet + 1;
        link->turn %= link->front_count;
    }
    return task;
}

int link_front_count(const struct link *link) {
    int count = 0;
    for (int i = 0; i < link->front_count; i++)
        count += link->fronts[i].up;
    return count;
}
