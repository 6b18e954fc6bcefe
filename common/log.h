/*
 * log: one line of logfmt to stderr per event.
 *
 *     log_open("convoy-fcgi", LOG_INFO);
 *     log_event(LOG_INFO, "accepted", "request", request_id, "id", id, NULL);
 *     -> time=2026-11-24T10:00:00.123Z level=info program=convoy-fcgi
 *        event=accepted request=ab12 id=9f86...
 *
 * Pairs of strings end with NULL; values are quoted and escaped where they
 * need it, so what a stranger sent can never forge a line. log_number() makes
 * a value of a number in place. A line is written by one write(2), so lines of
 * several threads and processes do not mix. Safe from any thread.
 */
#ifndef CONVOY_LOG_H
#define CONVOY_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* `program` must live as long as the process. */
void log_open(const char *program, enum log_level least);

/* "debug", "info", "warn", "error" -> the level; -1 where it is none. */
int log_level_parse(const char *text);

void log_event(enum log_level level, const char *event, ...)
    __attribute__((sentinel));

/* A number as text, for a value: log_number(3.25, 2) is "3.25". The text
 * lives until the end of the enclosing block. */
struct log_text {
    char text[32];
};
struct log_text log_format_number(double value, int decimals);
#define log_number(value, decimals)                                            \
    (log_format_number((value), (decimals)).text)

#endif
