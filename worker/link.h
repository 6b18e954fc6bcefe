/*
 * link: the connections to the fronts, and the only file that knows ZeroMQ.
 * What is said there is common/job.h's protocol; what comes out of here is
 * jobs, and what goes in is what became of them.
 *
 *     struct link *link = link_open("tcp://front:5555", &keys, &err);
 *     link_serve(link, advert, credits, &err);
 *     link_admit(link, true);                   from now on fronts send jobs
 *     link_wait(link, fds, count, timeout_ms);  poll() of fronts and fds
 *     while ((task = link_take(link))) ...      tasks are the caller's
 *     link_report(link, task);                  DONE, or FAILED with the reason
 *
 * One DEALER a front: a socket connected to several would deal its credits out
 * in turn. Heartbeats, fronts that fall silent or come back, and names that
 * change their addresses are all seen to by link_take(), which is to be called
 * at least once a second. Nothing blocks but link_wait().
 *
 * A front is told of as `task->front`, a number that stands for an endpoint for
 * as long as it is in use, whatever becomes of the connection.
 */
#ifndef CONVOY_WORKER_LINK_H
#define CONVOY_WORKER_LINK_H

#include "common/curve.h"
#include "worker/task.h"

#include <poll.h>

struct link_keys {
    struct curve_pair ours;
    char front[CURVE_TEXT]; /* public */
};

/* Keys are copied; NULL: fronts that need none. */
struct link *link_open(const char *fronts, const struct link_keys *keys,
                       struct err *err);

/* Lets what was said go out, for a second at most. */
void link_close(struct link *link);

/* Grants each front `credits` jobs at a time; again where models change. The
 * advert is copied. */
int link_serve(struct link *link, const char *advert, int credits,
               struct err *err);

/* Whether there are to be jobs: false at first. When it ends, those on their
 * way still come. */
void link_admit(struct link *link, bool admits);

/* -1: for as long as it takes. Up to LINK_FDS_MAX fds: five times 512 hands
 * (crew.h), and a few. */
#define LINK_FDS_MAX 2600
void link_wait(struct link *link, struct pollfd *fds, int count,
               int timeout_ms);

struct task *link_take(struct link *link); /* NULL: none now */

void link_report(struct link *link, const struct task *task);

int link_front_count(const struct link *link); /* that answer */

#endif
