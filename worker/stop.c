#include "worker/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

/* What the handler reaches: set once. */
static int event = -1;

static void on_signal(int signal_number) {
    int saved = errno;
    (void)signal_number;
    eventfd_write(event, 1);
    errno = saved;
}

static void mask(int how) {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(how, &stop, NULL);
}

int stop_open(void) {
    const struct sigaction action = {.sa_handler = on_signal,
                                     .sa_flags = SA_RESTART};
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return -1;
    mask(SIG_BLOCK);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return event;
}

void stop_unblock(void) {
    mask(SIG_UNBLOCK);
}

int stop_take(void) {
    eventfd_t times = 0;
    return eventfd_read(event, &times) == 0 ? (int)times : 0;
}
