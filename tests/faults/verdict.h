/*
 * verdict: what was promised and not kept, counted and printed at once. Safe
 * from any thread.
 *
 *     verdict_begin(17, "kill-hand stop-redis");
 *     verdict_against("%s was accepted and has no answer", id);
 *     if (verdict_count() > 0) ...
 */
#ifndef CONVOY_TEST_VERDICT_H
#define CONVOY_TEST_VERDICT_H

#include <stdint.h>

/* From here on things are said about that schedule. */
void verdict_begin(int schedule, const char *faults);

void verdict_against(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

int verdict_count(void);    /* in all */
int verdict_schedule(void); /* since verdict_begin() */

int64_t now_us(void); /* monotonic, as on the board */

#endif
