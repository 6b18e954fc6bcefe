/*
 * signals: SIGTERM, SIGINT and SIGHUP as something to poll().
 *
 *     int fd = signals_open();           before there are threads
 *     ... start threads ...
 *     signals_unblock();                 the calling thread gets them
 *     poll() on fd, then
 *     struct signals told = signals_take();          what came in since
 *
 * A handler and not signalfd(): that takes all threads to have the signals
 * blocked, and libraries (OpenBLAS) start some before main(), which would let
 * the signal end the process.
 */
#ifndef CONVOY_WORKER_SIGNALS_H
#define CONVOY_WORKER_SIGNALS_H

struct signals {
    int stops;   /* SIGTERM and SIGINT */
    int hangups; /* SIGHUP */
};

int signals_open(void); /* once in a process; -1: cannot */
void signals_unblock(void);
struct signals signals_take(void);

#endif
