#include "tests/faults/verdict.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define PRINTED_MAX 20 /* of one schedule: one cause breaks many promises */

/* The checker's one verdict. */
static struct {
    pthread_mutex_t mutex;
    int schedule, all, here;
    char faults[256];
} verdict = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void verdict_begin(int schedule, const char *faults) {
    pthread_mutex_lock(&verdict.mutex);
    verdict.schedule = schedule;
    verdict.here = 0;
    snprintf(verdict.faults, sizeof verdict.faults, "%s", faults);
    pthread_mutex_unlock(&verdict.mutex);
}

void verdict_against(const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&verdict.mutex);
    verdict.all++;
    if (++verdict.here <= PRINTED_MAX)
        printf("BROKEN in schedule %d (%s): %s\n", verdict.schedule,
               verdict.faults, text);
    pthread_mutex_unlock(&verdict.mutex);
}

int verdict_count(void) {
    pthread_mutex_lock(&verdict.mutex);
    int count = verdict.all;
    pthread_mutex_unlock(&verdict.mutex);
    return count;
}

int verdict_schedule(void) {
    pthread_mutex_lock(&verdict.mutex);
    int count = verdict.here;
    pthread_mutex_unlock(&verdict.mutex);
    return count;
}

int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
