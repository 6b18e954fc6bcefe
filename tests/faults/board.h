/*
 * board: memory that the checker shares with every process under test: which
 * fault points are armed, and what passed there. A file in the run folder that
 * $CONVOY_FAULT_BOARD names; all zero at first.
 *
 * A point that is armed with N kills the N-th process to pass it.
 */
#ifndef CONVOY_TEST_BOARD_H
#define CONVOY_TEST_BOARD_H

#include "common/fault.h"

#include <stdatomic.h>
#include <stdint.h>

#define BOARD_TRACE_MAX (1u << 19) /* beyond it nothing is kept */

struct board_event {
    int64_t us; /* monotonic; 0: not written yet */
    int32_t pid;
    int16_t point;
    int16_t killed; /* 1: the process died there */
    uint64_t image; /* the first 16 digits of the image's hash; 0: of none */
};

struct board {
    atomic_int armed[FAULT_POINT_COUNT];
    atomic_uint count; /* of events, those beyond the last place included */
    struct board_event events[BOARD_TRACE_MAX];
};

#endif
