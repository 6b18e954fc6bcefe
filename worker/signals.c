#include "worker/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

/* In the event's count, above the stops. */
#define HANGUP ((eventfd_t)1 << 32)

/* What the handler reaches: set once. */
static int event = -1;

static void on_signal(int signal_number) {
    int saved = errno;
    eventfd_write(event, signal_number == SIGHUP ? HANGUP : 1);
    errno = saved;
}

static const int handled[] = {SIGTERM, SIGINT, SIGHUP};
#define HANDLED (sizeof handled / sizeof *handled)

static void mask(int how) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < HANDLED; i++)
        sigaddset(&set, handled[i]);
    pthread_sigmask(how, &set, NULL);
}

int signals_open(void) {
    const struct sigaction action = {.sa_handler = on_signal,
                                     .sa_flags = SA_RESTART};
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return -1;
    mask(SIG_BLOCK);
    for (size_t i = 0; i < HANDLED; i++)
        sigaction(handled[i], &action, NULL);
    return event;
}

void signals_unblock(void) {
    mask(SIG_UNBLOCK);
}

struct signals signals_take(void) {
    eventfd_t count = 0;
    if (eventfd_read(event, &count) != 0)
        return (struct signals){0};
    return (struct signals){.stops = (int)(count % HANGUP),
                            .hangups = (int)(count / HANGUP)};
}
