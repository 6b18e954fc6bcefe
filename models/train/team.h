/*
 * team: threads that share the items of one job.
 *
 *     struct team *team = team_open(2, &err);
 *     team_run(team, slices, forward_slice, &job);    returns when all are done
 *     team_close(team);
 *
 * The caller is one of the threads. Whoever is free takes the next item, so a
 * thread that the machine holds up delays the others by one item at most; an
 * item must therefore not care which thread runs it or in which order, only
 * use the scratch memory of the thread number that it is given.
 */
#ifndef CONVOY_TRAIN_TEAM_H
#define CONVOY_TRAIN_TEAM_H

#include "common/err.h"

typedef void team_fn(void *arg, int item, int thread);

struct team *team_open(int threads, struct err *err);
void team_close(struct team *team);
int team_threads(const struct team *team);
void team_run(struct team *team, int items, team_fn *fn, void *arg);

#endif
