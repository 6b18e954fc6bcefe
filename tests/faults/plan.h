/*
 * plan: one schedule: what is done to the service, and when. Made of a seed,
 * so that it can be made again.
 *
 *     struct plan plan;
 *     plan_make(&plan, seed, first, 0);    `first`: a kind that it must have
 *     plan_run(&plan, &stage);             takes its time, then heals all
 *
 * Each kind of fault is a row of the table in plan.c.
 */
#ifndef CONVOY_TEST_PLAN_H
#define CONVOY_TEST_PLAN_H

#include "tests/faults/steps.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAN_STEPS_MAX 48
#define PLAN_FAULTS_MAX 4
struct plan {
    uint64_t seed;
    struct step steps[PLAN_STEPS_MAX];
    int step_count;
    int kinds[PLAN_FAULTS_MAX];
    int kind_count;
    int load_ms;  /* so long clients submit */
    int least_ms; /* and at least so long */
    int harm;     /* attempts that its faults can cost one image */
    bool clear;   /* recoveries can be measured: only processes die */
    bool strict;  /* no client may notice, see PACE_STRICT */
    int flood_ms; /* so long an overload lasts */
};

int plan_kinds(void);
const char *plan_kind_name(int kind);
int plan_kind_find(const char *name); /* -1: there is none */

/* `flood_ms` 0: as usual, 1.2 s. */
void plan_make(struct plan *plan, uint64_t seed, int first, int flood_ms);

/* One that kills whoever passes that fault point, and no more than it needs. */
void plan_make_point(struct plan *plan, uint64_t seed, int point);

void plan_describe(const struct plan *plan, char *text, size_t size);
void plan_run(const struct plan *plan, struct stage *stage);

/* The names of fault points, by enum fault_point. */
const char *plan_point_name(int point);

#endif
