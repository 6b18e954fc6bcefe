/*
 * A large batch of large maps leaves the second cache from one step to the
 * next; a small part of it does not, but then the weights pass by once for each
 * part. So early steps, where maps are large and weights few, want small parts,
 * late ones the whole batch. Parts are powers of two and the batch itself;
 * which steps take which follows from an estimate of time, the least sum over
 * all steps being found by dynamic programming.
 */
#include "models/nn/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_CACHE ((double)(3 << 19)) /* bytes, of maps among others */
#define SECONDS_A_FAR_BYTE 0.04e-9       /* from the third cache */
#define SECONDS_A_CALL 1e-6              /* of a step, whatever it does */

#define CHOICES_MAX 16 /* powers of two up to PLAN_BATCH_MAX, and the batch */

struct division {
    const struct plan *plan;
    int images[CHOICES_MAX]; /* ascending; the last one is the batch */
    int choices;
    double *seconds;       /* (steps, choices), INFINITY: cannot run so */
    double *border;        /* (steps): of changing the choice before a step */
    unsigned char *before; /* (steps, choices): the best choice before that */
};

/* ---- what a step costs -------------------------------------------------- */

/* Images that lie behind each other, and nothing else grows with the batch. */
static bool has_images(const struct plan *plan, int slot) {
    const struct tensor *one = &plan_tensors(plan, 1)[slot];
    const struct tensor *all = &plan_tensors(plan, plan->batch_max)[slot];
    return one->rank > 0 && one->rank == all->rank && one->dims[0] == 1 &&
           all->dims[0] == plan->batch_max &&
           memcmp(one->dims + 1, all->dims + 1,
                  (size_t)(one->rank - 1) * sizeof *one->dims) == 0;
}

static bool is_given(const struct plan *plan, int slot) {
    const struct slot *root = &plan->slots[plan->slots[slot].root];
    return plan->slots[slot].constant || root->constant || root->known;
}

static bool divides(const struct plan *plan, const struct step *step) {
    bool apart =
        step->kind == &step_operator
            ? step->node->op->traits & (OP_IMAGES_APART | OP_ELEMENTWISE)
            : step->kind->images_apart;
    for (int i = 0; apart && i < step->input_count; i++) {
        int slot = step->inputs[i];
        apart = slot < 0 || is_given(plan, slot) || has_images(plan, slot);
    }
    for (int i = 0; apart && i < step->output_count; i++)
        apart = has_images(plan, step->outputs[i]);
    return apart;
}

/* Bytes that have left the cache when they are used again: with `bytes` in
 * turn, and a cache that replaces at random, what does not fit. */
static double far_bytes(double bytes) {
    return bytes > SECOND_CACHE ? bytes - SECOND_CACHE : 0;
}

static double slot_seconds(const struct plan *plan, int slot, int images) {
    if (slot < 0 || is_given(plan, slot))
        return 0;
    return SECONDS_A_FAR_BYTE *
           far_bytes((double)tensor_bytes(&plan_tensors(plan, images)[slot]));
}

/* Of a whole batch in parts of `images`. */
static double step_seconds(const struct plan *plan, const struct step *step,
                           int images) {
    double seconds = SECONDS_A_CALL;
    if (step->kind->estimate)
        seconds += step->kind->estimate(step, plan_tensors(plan, images));
    for (int i = 0; i < step->input_count; i++)
        seconds += slot_seconds(plan, step->inputs[i], images);
    for (int i = 0; i < step->output_count; i++)
        seconds += slot_seconds(plan, step->outputs[i], images);
    seconds += slot_seconds(plan, step->residual_slot, images);
    return seconds * plan->batch_max / images;
}

/* ---- what a border costs ------------------------------------------------ */

/* All images of what lives across a border lie in memory, to be written and
 * read. */
static void find_borders(struct division *d) {
    const struct plan *plan = d->plan;
    for (int i = 0; i < plan->slot_count; i++) {
        const struct slot *slot = &plan->slots[i];
        if (slot->root != i || slot->constant || slot->known)
            continue;
        double bytes =
            (double)tensor_bytes(&plan_tensors(plan, plan->batch_max)[i]);
        for (int k = slot->first + 1; k <= slot->last && k < plan->step_count;
             k++)
            if (k > 0)
                d->border[k] += 2 * SECONDS_A_FAR_BYTE * far_bytes(bytes);
    }
}

/* ---- the least sum ------------------------------------------------------ */

static void fill_seconds(struct division *d) {
    const struct plan *plan = d->plan;
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        bool parts = divides(plan, step);
        for (int c = 0; c < d->choices; c++)
            d->seconds[i * d->choices + c] =
                parts || c == d->choices - 1
                    ? step_seconds(plan, step, d->images[c])
                    : INFINITY;
    }
}

/* Seconds become those of the best way up to and with a step. */
static void find_ways(struct division *d) {
    int n = d->choices;
    for (int i = 1; i < d->plan->step_count; i++) {
        const double *last = d->seconds + (i - 1) * n;
        int best = 0;
        for (int c = 1; c < n; c++)
            best = last[c] < last[best] ? c : best;
        for (int c = 0; c < n; c++) {
            bool stay = last[c] <= last[best] + d->border[i];
            d->before[i * n + c] = (unsigned char)(stay ? c : best);
            d->seconds[i * n + c] += stay ? last[c] : last[best] + d->border[i];
        }
    }
}

static void add_stretches(struct plan *plan, const struct division *d) {
    int n = d->choices, at = plan->step_count, c = 0;
    const double *last = d->seconds + (at - 1) * n;
    for (int i = 1; i < n; i++)
        c = last[i] <= last[c] ? i : c; /* of two, the larger part */
    plan->stretch_count = 0;
    while (at > 0) {
        struct stretch stretch = {.end = at, .images = d->images[c]};
        int before = c;
        while (--at > 0 && (before = d->before[at * n + c]) == c)
            ;
        stretch.first = at;
        c = before;
        plan->stretches[plan->stretch_count++] = stretch;
    }
    for (int i = 0; i < plan->stretch_count / 2; i++) {
        int k = plan->stretch_count - 1 - i;
        struct stretch swap = plan->stretches[i];
        plan->stretches[i] = plan->stretches[k];
        plan->stretches[k] = swap;
    }
}

static int divide(struct plan *plan, struct err *err) {
    struct division d = {.plan = plan};
    size_t steps = (size_t)plan->step_count;
    int rc = -1;
    for (int images = 1; images < plan->batch_max; images *= 2)
        d.images[d.choices++] = images;
    d.images[d.choices++] = plan->batch_max;
    d.seconds = calloc(steps * (size_t)d.choices, sizeof *d.seconds);
    d.border = calloc(steps, sizeof *d.border);
    d.before = calloc(steps, (size_t)d.choices);
    if (!d.seconds || !d.border || !d.before) {
        err_set(err, "no memory for a plan of %zu steps", steps);
        goto fail;
    }
    find_borders(&d);
    fill_seconds(&d);
    find_ways(&d);
    add_stretches(plan, &d);
    rc = 0;
fail:
    free(d.seconds);
    free(d.border);
    free(d.before);
    return rc;
}

int plan_divide(struct plan *plan, struct err *err) {
    size_t steps = (size_t)plan->step_count;
    plan->stretches = calloc(steps + 1, sizeof *plan->stretches);
    if (!plan->stretches)
        return err_set(err, "no memory for a plan of %zu steps", steps);
    plan->stretches[0] = (struct stretch){0, plan->step_count, plan->batch_max};
    plan->stretch_count = 1;
    if (plan->batch_fixed || plan->batch_max == 1 || steps == 0)
        return 0;
    return divide(plan, err);
}

bool plan_is_divided(const struct plan *plan) {
    for (int i = 0; i < plan->stretch_count; i++)
        if (plan->stretches[i].images < plan->batch_max)
            return true;
    return false;
}
