/*
 * foreman: the process in charge. It owns the sockets, makes batches, brings
 * answers home, and sees to it that everything that came in gets an answer.
 *
 *     int status = foreman_run(&settings, argv, &err);
 *
 * One thread runs one loop; what could make it wait is elsewhere: Redis in the
 * writer, DNS in the resolver, strangers' images in the hands. The way of a
 * job, each arrow a change of who owns its task:
 *
 *     link -> batcher -> hand -> writer -> link (DONE)
 *                          |
 *                          +-> link (FAILED), or the batcher again
 *
 * SIGHUP, or model folders that have changed: crew.h loads them anew.
 *
 * SIGTERM or SIGINT: no more jobs are asked for, what is here is finished, then
 * it ends. A second one ends it at once.
 */
#ifndef CONVOY_WORKER_FOREMAN_H
#define CONVOY_WORKER_FOREMAN_H

#include "worker/settings.h"

/* Returns when all is done, 0; -1 where it cannot go on or was told twice. */
int foreman_run(const struct settings *settings, char *const *argv,
                struct err *err);

#endif
