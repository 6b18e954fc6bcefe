/*
 * settings: what convoy-worker can be told, by flags or CONVOY_* variables.
 *
 *     struct settings settings;
 *     switch (settings_read(&settings, argc, argv, &err)) { ... }
 *
 * The nursery is started with the same words and reads them again, so that
 * there is no second format to hand them on. Texts point into argv or the
 * environment.
 */
#ifndef CONVOY_WORKER_SETTINGS_H
#define CONVOY_WORKER_SETTINGS_H

#include "common/log.h"
#include "common/options.h"

#include <stdint.h>

struct settings {
    const char *models;      /* list of folders, see stock.h */
    int64_t models_check_ms; /* how often they are looked at; 0: never */
    int64_t retire_after_ms; /* what a replaced model waits for jobs */
    const char *default_model;
    const char *fronts;                  /* list of endpoints */
    const char *curve_key, *curve_front; /* files, or "" */
    int plain_tcp;
    const char *redis, *redis_login;
    int hands;
    int batch;
    char name[128];
    int64_t result_ttl_ms;
    int64_t job_timeout_ms;
    int64_t decode_timeout_ms;
    int64_t redis_patience_ms;
    int64_t drain_timeout_ms;
    int64_t hand_memory; /* bytes */
    enum log_level log_level;
    int make_key, probe_sandbox; /* to do that alone */
};

/* Bad settings that the table of options cannot tell are OPTIONS_BAD, too. */
enum options_result settings_read(struct settings *settings, int argc,
                                  char *const *argv, struct err *err);

#endif
