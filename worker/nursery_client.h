/*
 * nursery_client: the foreman's end of the nursery.
 *
 *     struct nursery_client *n = nursery_client_open(argv, name);
 *     nursery_client_start(n, &err);
 *     poll() on nursery_client_fd(n), then
 *     while (nursery_client_read(n, &frame, &err) > 0) ...
 *     nursery_client_ask(n, FRAME_FORK, 0, &err);
 *
 * Starting executes this very program (/proc/self/exe) with the mode word of
 * nursery.h before the words it was started with itself. Reading says -1 once
 * the nursery is gone: nursery_client_end() then says how it ended, and it may
 * be started again.
 */
#ifndef CONVOY_WORKER_NURSERY_CLIENT_H
#define CONVOY_WORKER_NURSERY_CLIENT_H

#include "worker/frame.h"

#include <sys/types.h>

/* `argv` is borrowed; `name` is the worker's, which the nursery is to use. */
struct nursery_client *nursery_client_open(char *const *argv, const char *name);
void nursery_client_close(struct nursery_client *client); /* ends it, too */

int nursery_client_start(struct nursery_client *client, struct err *err);
int nursery_client_fd(const struct nursery_client *client); /* -1: not there */

/* As frame_read(). */
int nursery_client_read(struct nursery_client *client, struct frame *frame,
                        struct err *err);

/* FRAME_FORK, or FRAME_KILL with the hand's pid. */
int nursery_client_ask(struct nursery_client *client, enum frame_type type,
                       pid_t pid, struct err *err);

/* Ends it where it still lives; the status as of waitpid(). */
int nursery_client_end(struct nursery_client *client);

/* "was killed by signal 9 (Killed)", "ended with status 3". */
void nursery_client_explain(int status, char *text, size_t size);

#endif
