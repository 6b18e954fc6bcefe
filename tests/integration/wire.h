/*
 * wire: bytes as they are, for what libcurl would never send.
 *
 *     int fd = wire_open(ATTACKER);
 *     wire_send(fd, "GET / HTTP/1.1\r\n...");
 *     char answer[4096];
 *     wire_read(fd, answer, sizeof answer, 5000);
 *
 * A client's address is one of the loopback network, so that what nginx counts
 * by address can be seen.
 */
#ifndef CONVOY_TEST_WIRE_H
#define CONVOY_TEST_WIRE_H

#include <stddef.h>

/* A connection to the service from that address (127.0.0.3); -1: refused. */
int wire_open(const char *from);

/* To the front's own FastCGI socket, past nginx. */
int wire_open_front(void);

/* All of it, or -1 where the other end has closed. */
int wire_send_bytes(int fd, const void *bytes, size_t size);
int wire_send(int fd, const char *text);

/* Up to the end of the connection or until nothing came for so long; how many
 * bytes, with a NUL behind them. */
size_t wire_read(int fd, char *answer, size_t size, int patience_ms);

/* Sends a request of its own connection; the status, 0 where there was no
 * answer. */
int wire_ask(const char *from, const void *bytes, size_t size);

/* The status of the answer at `text`; 0 where there is none. */
int wire_status(const char *text);

/* True once the other end has closed. */
int wire_is_closed(int fd);

#endif
