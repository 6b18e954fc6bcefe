/*
 * nursery: the process that holds the loaded models and forks hands from
 * itself, so that all share the weights' memory.
 *
 *     if (argc > 1 && strcmp(argv[1], NURSERY_MODE) == 0)
 *         return nursery_run(&settings);                 first thing in main()
 *
 * The foreman starts it by executing its own program (nursery_client.h), with
 * a socket as NURSERY_FD. It stays single-threaded for life, so a fork of it
 * never finds a lock held by a thread that is not there. It says on that
 * socket (frame.h) what models there are and which were refused, forks a hand
 * whenever asked, and reports each that ends. It ends with the foreman, or at
 * once where there is no model to serve.
 */
#ifndef CONVOY_WORKER_NURSERY_H
#define CONVOY_WORKER_NURSERY_H

#include "worker/settings.h"

#define NURSERY_MODE "nursery"
#define NURSERY_FD 3

enum { NURSERY_NO_MODEL = 3 }; /* exit status; the reasons were logged */

/* Returns the exit status. */
int nursery_run(const struct settings *settings);

#endif
