/*
 * guard: which workers are admitted: those whose public key is on the list.
 *
 *     struct guard *guard = guard_open(context, "workers", &err);
 *     curve_serve(socket, ...), zmq_bind(socket, ...)
 *     ... if (!guard_admits(guard, key)) drop what it says ...
 *     zmq_ctx_shutdown(context);
 *     guard_close(guard);
 *
 * The list has a line a worker, its key and its name; "# " starts a remark. It
 * is read again where it has changed, so a worker is admitted or shut out
 * without a restart. ZeroMQ asks (ZAP, RFC 27) once for each connection; one
 * that is there already is asked about again with each message.
 */
#ifndef CONVOY_GUARD_H
#define CONVOY_GUARD_H

#include "common/err.h"

#include <stdbool.h>

/* What ZeroMQ calls the key with each message, see zmq_msg_gets(). */
#define GUARD_KEY "User-Id"

struct guard;
struct guard *guard_open(void *context, const char *path, struct err *err);

/* After zmq_ctx_shutdown(), which ends its thread. */
void guard_close(struct guard *guard);

/* NULL is nobody's key. From any thread. */
bool guard_admits(struct guard *guard, const char *key);

#endif
