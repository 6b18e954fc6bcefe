/*
 * fault: named points in the life of a job at which tests/faults kills the
 * process that passes there, and images that make it fail. The points exist
 * only where CONVOY_FAULTS is defined, which is in programs made for that test
 * (build/faults); anywhere else these macros are nothing.
 *
 *     FAULT_POINT(HAND_DECODED, NULL);           every process, every time
 *     FAULT_POINT(JOB_RECEIVED, id->text);       the same, and about which job
 *     FAULT_IMAGE(bytes, size);                  may not return
 */
#ifndef CONVOY_FAULT_H
#define CONVOY_FAULT_H

#include <stddef.h>

/* In the order in which a job meets them; names are in tests/faults/fault.c. */
enum fault_point {
    FAULT_RECEIVED,      /* a front has an image */
    FAULT_ACCEPT_BEFORE, /* each write to Redis has one before and one after */
    FAULT_ACCEPT_AFTER,
    FAULT_ADOPT_BEFORE,
    FAULT_ADOPT_AFTER,
    FAULT_CLAIM_BEFORE,
    FAULT_CLAIM_AFTER,
    FAULT_RENEW_BEFORE,
    FAULT_RENEW_AFTER,
    FAULT_JOB_SENT,     /* it has left the front */
    FAULT_JOB_RECEIVED, /* and reached a foreman */
    FAULT_HAND_BEGUN,   /* a hand has its batch */
    FAULT_HAND_DECODED,
    FAULT_HAND_INFERRED,
    FAULT_HAND_ANSWERED, /* for each image */
    FAULT_FINISH_BEFORE,
    FAULT_FINISH_AFTER, /* this result is the one */
    FAULT_FINISH_LATE,  /* there was another one already */
    FAULT_POINT_COUNT
};

/* An image that ends in these bytes: the hand aborts, or never comes back. */
#define FAULT_TAIL 16
#define FAULT_TAIL_POISON "convoy: poisoned"
#define FAULT_TAIL_STUCK "convoy: stuck!!!"

#ifdef CONVOY_FAULTS
/* tests/faults/point.c */
void fault_point(enum fault_point point, const char *id);
void fault_image(const void *bytes, size_t size);
#define FAULT_POINT(point, id) fault_point(FAULT_##point, id)
#define FAULT_IMAGE(bytes, size) fault_image(bytes, size)
#else
#define FAULT_POINT(point, id) ((void)0)
#define FAULT_IMAGE(bytes, size) ((void)0)
#endif

#endif
