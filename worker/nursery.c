#include "worker/nursery.h"

#include "common/log.h"
#include "worker/shelf.h"
#include "worker/frame.h"
#include "worker/hand.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct nursery {
    const struct settings *settings;
    struct shelf *shelf;
    struct frame_reader reader;
    int children; /* signalfd: one of them ended */
};

/* Ctrl-C and a supervisor's SIGTERM reach the whole group: the foreman finishes
 * what runs and then closes our socket, so we and the hands let them pass. */
static int arrange_signals(void) {
    sigset_t child;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- hands --------------------------------------------------------------- */

_Noreturn static void become_hand(struct nursery *nursery, pid_t parent,
                                  int fd) {
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "convoy-hand");
    if (getppid() != parent)
        _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(NURSERY_FD);
    hand_run(nursery->shelf, fd, nursery->settings);
}

static int fork_hand(struct nursery *nursery, struct err *err) {
    struct frame_process hand = {0};
    int ends[2] = {-1, -1};
    pid_t parent = getpid(), pid = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0)
        pid = fork();
    if (pid == 0)
        become_hand(nursery, parent, ends[1]);
    if (pid > 0)
        hand.pid = pid;
    else
        log_event(LOG_ERROR, "no-hand-forked", "reason", strerror(errno), NULL);
    int status = frame_send(NURSERY_FD, FRAME_HAND, &hand, sizeof hand,
                            pid > 0 ? ends[0] : -1, err);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
    return status;
}

/* A pid may belong to someone else once its process was waited for; ours alone
 * can be waited for. */
static void kill_hand(const struct frame *frame) {
    struct frame_process hand;
    siginfo_t info;
    if (frame->size != sizeof hand)
        return;
    memcpy(&hand, frame->body, sizeof hand);
    if (waitid(P_PID, (id_t)hand.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        kill(hand.pid, SIGKILL);
}

static int report_dead(struct nursery *nursery, struct err *err) {
    struct signalfd_siginfo info;
    while (read(nursery->children, &info, sizeof info) > 0)
        continue;
    struct frame_process hand;
    int status;
    while ((hand.pid = waitpid(-1, &status, WNOHANG)) > 0) {
        hand.status = status;
        if (frame_send(NURSERY_FD, FRAME_DIED, &hand, sizeof hand, -1, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the foreman's wishes ------------------------------------------------ */

static int obey(struct nursery *nursery, struct err *err) {
    struct frame frame;
    if (frame_read(&nursery->reader, NURSERY_FD, &frame, err) < 0)
        return -1;
    switch (frame.type) {
    case FRAME_FORK:
        return fork_hand(nursery, err);
    case FRAME_KILL:
        kill_hand(&frame);
        return 0;
    default:
        return err_set(err, "the nursery was sent a message of type %d",
                       (int)frame.type);
    }
}

static int announce(const struct nursery *nursery, struct err *err) {
    const struct settings *s = nursery->settings;
    char *advert = shelf_advert(nursery->shelf, s->name, s->hands, s->batch);
    if (!advert)
        return err_set(err, "no memory for the advertisement");
    int status =
        frame_send(NURSERY_FD, FRAME_MODELS, advert, strlen(advert), -1, err);
    free(advert);
    return status;
}

/* Until the foreman is gone. */
static void serve(struct nursery *nursery, struct err *err) {
    struct pollfd fds[] = {{.fd = NURSERY_FD, .events = POLLIN},
                           {.fd = nursery->children, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[1].revents && report_dead(nursery, err) < 0)
            return;
        if (fds[0].revents && obey(nursery, err) < 0)
            return;
    }
}

int nursery_run(const struct settings *settings) {
    struct nursery nursery = {.settings = settings,
                              .reader =
                                  FRAME_READER(sizeof(struct frame_process))};
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(NURSERY_FD + 1, ~0u, 0);
    nursery.children = arrange_signals();
    prctl(PR_SET_NAME, "convoy-nursery");
    nursery.shelf = shelf_open(settings->models, settings->default_model,
                               settings->batch, &err);
    int status = 0;
    if (!nursery.shelf) {
        log_event(LOG_ERROR, "no-model", "reason", err.text, NULL);
        return NURSERY_NO_MODEL;
    }
    if (announce(&nursery, &err) == 0) {
        if (shelf_count(nursery.shelf) > 0)
            serve(&nursery, &err);
        else
            status = NURSERY_NO_MODEL;
    }
    frame_reader_free(&nursery.reader);
    shelf_free(nursery.shelf);
    close(nursery.children);
    return status;
}
