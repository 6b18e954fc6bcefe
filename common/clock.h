/*
 * clock: milliseconds. Wall time for what is stored and shown, monotonic time
 * for what is measured and waited for.
 */
#ifndef CONVOY_CLOCK_H
#define CONVOY_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);
int64_t clock_ms(void);     /* monotonic */
double clock_seconds(void); /* monotonic, with fraction */

/* RFC 3339, UTC, milliseconds: "2026-11-24T10:00:00.123Z". */
#define CLOCK_TEXT_MAX 32
void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_MAX]);

/* The other way, for exactly that form; -1 where it is none. */
int64_t clock_parse(const char *text);

#endif
