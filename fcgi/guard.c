#include "fcgi/guard.h"

#include "common/clock.h"
#include "common/curve.h"
#include "common/file.h"
#include "common/log.h"
#include "fcgi/frames.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#define LIST_MAX (1u << 20)
#define LOOK_MS 1000 /* how soon a change of the list counts */

struct guard {
    char *path;
    void *socket;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    /* under the mutex */
    char *list; /* the file, as it was read last */
    struct timespec changed;
    int64_t looked_ms;
};

/* ---- the list ------------------------------------------------------------ */

static bool is_remark(const char *line) {
    return *line == '\n' || *line == '\r' || !*line ||
           strncmp(line, "# ", 2) == 0;
}

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

static int check_list(const char *path, const char *list, struct err *err) {
    int number = 1;
    for (const char *line = list; *line; line = next_line(line), number++)
        if (!is_remark(line) && !curve_is_key(line))
            return err_set(err, "%s, line %d: no key stands there", path,
                           number);
    return 0;
}

/* 1 read, 0 where it is as it was. A list that is broken, for it is being
 * written perhaps, changes nothing. (Its time is taken first: what is written
 * in between is read the next time.) */
static int read_list(struct guard *guard, struct err *err) {
    struct stat file;
    size_t size;
    if (stat(guard->path, &file) < 0)
        return err_set(err, "%s: %s", guard->path, strerror(errno));
    if (guard->list &&
        memcmp(&file.st_mtim, &guard->changed, sizeof guard->changed) == 0)
        return 0;
    char *list = file_read(guard->path, LIST_MAX, &size, err);
    if (!list || check_list(guard->path, list, err) < 0) {
        free(list);
        return -1;
    }
    free(guard->list);
    guard->list = list;
    guard->changed = file.st_mtim;
    return 1;
}

static void look_again(struct guard *guard) {
    struct err err = {0};
    int64_t now = clock_ms();
    if (now - guard->looked_ms < LOOK_MS)
        return;
    guard->looked_ms = now;
    int status = read_list(guard, &err);
    if (status < 0)
        log_event(LOG_ERROR, "worker-keys", "error", err.text, NULL);
    else if (status > 0)
        log_event(LOG_INFO, "worker-keys", "list", guard->path, NULL);
}

static bool is_listed(const char *list, const char *key) {
    for (const char *line = list; *line; line = next_line(line))
        if (strncmp(line, key, CURVE_LEN) == 0)
            return true;
    return false;
}

bool guard_admits(struct guard *guard, const char *key) {
    if (!key || strlen(key) != CURVE_LEN)
        return false;
    pthread_mutex_lock(&guard->mutex);
    look_again(guard);
    bool listed = is_listed(guard->list, key);
    pthread_mutex_unlock(&guard->mutex);
    return listed;
}

/* ---- ZAP ----------------------------------------------------------------- */

enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY, FRAMES };

static bool holds(zmq_msg_t *frame, const char *text) {
    return zmq_msg_size(frame) == strlen(text) &&
           memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

static void send_text(void *socket, const char *text, int flags) {
    zmq_send(socket, text, strlen(text), flags);
}

static void answer(struct guard *guard, zmq_msg_t frame[FRAMES], int count) {
    char key[CURVE_TEXT] = "";
    bool asked = count == FRAMES && holds(&frame[VERSION], "1.0") &&
                 holds(&frame[MECHANISM], "CURVE") &&
                 zmq_msg_size(&frame[KEY]) == CURVE_BYTES;
    if (asked)
        curve_text(zmq_msg_data(&frame[KEY]), key);
    bool admitted = asked && guard_admits(guard, key);
    if (!admitted) {
        char from[128] = "";
        size_t len = zmq_msg_size(&frame[ADDRESS]);
        memcpy(from, zmq_msg_data(&frame[ADDRESS]),
               len < sizeof from ? len : sizeof from - 1);
        log_event(LOG_WARN, "worker-not-admitted", "key", key, "address", from,
                  NULL);
    }
    send_text(guard->socket, "1.0", ZMQ_SNDMORE);
    zmq_send(guard->socket, zmq_msg_data(&frame[REQUEST]),
             zmq_msg_size(&frame[REQUEST]), ZMQ_SNDMORE);
    send_text(guard->socket, admitted ? "200" : "400", ZMQ_SNDMORE);
    send_text(guard->socket, admitted ? "" : "not on the list", ZMQ_SNDMORE);
    send_text(guard->socket, admitted ? key : "", ZMQ_SNDMORE);
    send_text(guard->socket, "", 0); /* no metadata */
}

static void *run(void *arg) {
    struct guard *guard = arg;
    int count = 0;
    while (count >= 0) { /* -1: the context is shut down */
        zmq_msg_t frame[FRAMES];
        count = frames_receive(guard->socket, frame, FRAMES, 0);
        if (count > 0)
            answer(guard, frame, count);
        frames_close(frame, FRAMES);
    }
    zmq_close(guard->socket); /* its context waits for that */
    return NULL;
}

/* ---- opening and closing ------------------------------------------------- */

struct guard *guard_open(void *context, const char *path, struct err *err) {
    struct guard *guard = calloc(1, sizeof *guard);
    if (!guard) {
        err_set(err, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&guard->mutex, NULL);
    guard->path = strdup(path);
    if (!guard->path || read_list(guard, err) < 0)
        goto fail;
    guard->socket = zmq_socket(context, ZMQ_REP);
    if (!guard->socket ||
        zmq_bind(guard->socket, "inproc://zeromq.zap.01") < 0) {
        err_set(err, "ZeroMQ: %s", zmq_strerror(errno));
        goto fail;
    }
    int status = pthread_create(&guard->thread, NULL, run, guard);
    if (status) {
        err_set(err, "cannot start a thread: %s", strerror(status));
        goto fail;
    }
    guard->started = true;
    return guard;
fail:
    guard_close(guard);
    return NULL;
}

void guard_close(struct guard *guard) {
    if (!guard)
        return;
    if (guard->started)
        pthread_join(guard->thread, NULL);
    else if (guard->socket)
        zmq_close(guard->socket);
    pthread_mutex_destroy(&guard->mutex);
    free(guard->list);
    free(guard->path);
    free(guard);
}
