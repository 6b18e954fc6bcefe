/*
 * convoy-worker: one program for all three kinds of process. Started by hand it
 * is the foreman; the foreman starts it again as the nursery, which forks the
 * hands.
 */
#include "common/confine.h"
#include "common/curve.h"
#include "common/descriptors.h"
#include "models/classifier/classifier.h"
#include "worker/foreman.h"
#include "worker/nursery.h"
#include "worker/probe.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* Fixed thresholds: malloc would otherwise raise them after the first large
 * image and keep what the next ones free. */
static void arrange_memory(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

/* For deploy/keys: a secret key and the public one, a line each. */
static int make_key(void) {
    struct curve_pair pair;
    struct err err = {0};
    if (curve_make(&pair, &err) < 0) {
        fprintf(stderr, "convoy-worker: %s\n", err.text);
        return 1;
    }
    printf("%s\n%s\n", pair.secret, pair.public);
    return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv) {
    bool nursery = argc > 1 && strcmp(argv[1], NURSERY_MODE) == 0;
    struct settings settings;
    struct err err = {0};
    classifier_choose_kernels(argv);
    prctl(PR_SET_NAME, "convoy-worker");
    arrange_memory();
    switch (settings_read(&settings, argc - nursery, argv + nursery, &err)) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_BAD:
        fprintf(stderr, "convoy-worker: %s\n", err.text);
        return 2;
    case OPTIONS_RUN:
        break;
    }
    if (settings.make_key)
        return make_key();
    if (settings.probe_sandbox)
        return probe_sandbox(stdout);
    log_open("convoy-worker", settings.log_level);
    if (nursery)
        return nursery_run(&settings);
    if (descriptors_allow(2 * settings.hands + 64, &err) == 0 &&
        confine(CONFINE_FOREMAN, &err) == 0 &&
        foreman_run(&settings, argv, &err) == 0)
        return 0;
    log_event(LOG_ERROR, "failed", "reason", err.text, NULL);
    return 1;
}
