/*
 * prefer: how long a client would wait for the answer (RFC 7240).
 *
 *     int seconds = prefer_wait("respond-async, wait=5");     5; -1: not said
 */
#ifndef CONVOY_PREFER_H
#define CONVOY_PREFER_H

/* The first `wait` of the field counts; what is malformed is ignored, as the
 * RFC asks. Numbers beyond a day are a day. */
int prefer_wait(const char *prefer);

#endif
