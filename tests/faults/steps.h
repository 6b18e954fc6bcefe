/*
 * steps: what can be done to the service, one thing at a time. A step that
 * names a part does it to that one; `number` means what the step says.
 *
 *     const struct step step = {.part = PART_REDIS, .number = 500};
 *     step_kill_part(&stage, &step);
 */
#ifndef CONVOY_TEST_STEPS_H
#define CONVOY_TEST_STEPS_H

#include "tests/faults/clients.h"
#include "tests/faults/history.h"
#include "tests/faults/service.h"

#include <stdbool.h>
#include <stdint.h>

/* What a plan acts on. */
struct stage {
    struct service *service;
    struct history *history;
    bool has_disk; /* Redis has a small disk of its own */
    bool full;     /* and it is full */
    bool filled;   /* and it was */
    bool cut;      /* Redis's log was */
    struct clients *flood;
    long flood_kib; /* what a front took once it had begun */
    int *injected;  /* (plan_kinds()): how often each kind came about */
};

struct step {
    int at_ms;
    void (*act)(struct stage *stage, const struct step *step);
    enum part part;
    int number; /* what it means is the step's own */
    int kind;   /* counted as injected when acted; -1: a heal */
};

typedef void step_act(struct stage *stage, const struct step *step);

step_act step_kill_part;
step_act step_terminate_part;
step_act step_stop_part;
step_act step_continue_part;
step_act step_reload_part;
step_act step_kill_hand;
step_act step_stop_hand;
step_act step_kill_nursery;
step_act step_cut_log;
step_act step_arm_point;
step_act step_await_point; /* that somebody dies there, for 5 s at most */
step_act step_submit_poison;
step_act step_submit_stuck;
step_act step_begin_flood;
step_act step_begin_long_flood;
step_act step_note_memory;
step_act step_end_flood;
step_act step_fill_disk;
step_act step_free_disk;
step_act step_limit_files;
step_act step_roll;

/* Fronts that start from now on have a deadline of `number` ms.
 * Nobody asks for anything until all that was accepted must have ended, and
 * only then workers come back. */
step_act step_set_deadline;
step_act step_await_deadline;

#endif
