/*
 * stop: SIGTERM and SIGINT as something to poll().
 *
 *     int fd = stop_open();              before there are threads
 *     ... start threads ...
 *     stop_unblock();                    from now on the calling thread has
 * them poll() on fd, then int times = stop_take();           how often we were
 * told since
 *
 * A handler and not signalfd(): that takes all threads to have the signals
 * blocked, and libraries (OpenBLAS) start some before main(), which would let
 * the signal end the process.
 */
#ifndef CONVOY_WORKER_STOP_H
#define CONVOY_WORKER_STOP_H

int stop_open(void); /* once in a process; -1: cannot */
void stop_unblock(void);
int stop_take(void);

#endif
