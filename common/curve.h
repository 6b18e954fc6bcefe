/*
 * curve: keys for the link between fronts and workers (CurveZMQ, RFC 26): who
 * has none is not heard, and nobody else can read along.
 *
 *     struct curve_pair ours;
 *     curve_read_pair("front.key", &ours, &err);      a secret, mode 0600
 *     curve_serve(socket, &ours, &err);               the front, before bind
 *
 *     char theirs[CURVE_TEXT];
 *     curve_read_public("front.pub", theirs, &err);
 *     curve_join(socket, &ours, theirs, &err);        a worker, before connect
 *
 * A key is 40 characters of Z85 in a file of its own (deploy/keys makes them).
 * Which workers a front admits is in fcgi/guard.h.
 */
#ifndef CONVOY_CURVE_H
#define CONVOY_CURVE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define CURVE_LEN 40
#define CURVE_TEXT (CURVE_LEN + 1)
#define CURVE_BYTES 32

struct curve_pair {
    char public[CURVE_TEXT], secret[CURVE_TEXT];
};

int curve_make(struct curve_pair *pair, struct err *err);

/* The file holds the secret key; the public one follows from it. */
int curve_read_pair(const char *path, struct curve_pair *pair, struct err *err);
int curve_read_public(const char *path, char key[CURVE_TEXT], struct err *err);

/* Are the first CURVE_LEN of these characters a key, and is that all, or is the
 * next one a blank? */
bool curve_is_key(const char *text);

/* Bytes as ZeroMQ hands them out -> the key as text. */
void curve_text(const unsigned char bytes[CURVE_BYTES], char key[CURVE_TEXT]);

int curve_serve(void *socket, const struct curve_pair *ours, struct err *err);
int curve_join(void *socket, const struct curve_pair *ours, const char *theirs,
               struct err *err);

/* Does "tcp://HOST:PORT" or "ipc://PATH" (up to a comma or the end) stay on
 * this machine? */
bool curve_is_local(const char *endpoint);

/* Of a list of endpoints by commas: 0 where all of them stay on this machine
 * (ipc, or tcp on a loopback address). `option` names the list in the error. */
int curve_check_local(const char *endpoints, const char *option,
                      struct err *err);

#endif
