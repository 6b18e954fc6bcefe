#include "worker/settings.h"

#include "common/address.h"
#include "common/job.h"
#include "worker/batch.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define HANDS_MAX 512

/* The cores that this process may use: a container has fewer than the host. */
static int core_count(void) {
    cpu_set_t set;
    int cores =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return cores < HANDS_MAX ? cores : HANDS_MAX;
}

/* "host.pid", which no other worker has; of a host's name only what may stand
 * in a key and a log line. */
static void default_name(char out[128]) {
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++) {
        char one[2] = {*c, 0};
        if (!job_name_valid(one))
            *c = '-';
    }
    snprintf(out, 128, "%s.%d", *host ? host : "worker", (int)getpid());
}

static int check(struct settings *s, const char *name, const char *log,
                 struct err *err) {
    if (*name && !job_name_valid(name))
        return err_set(
            err, "--name: \"%s\" is not 1 to 127 of A-Z a-z 0-9 . _ -", name);
    if (*name)
        snprintf(s->name, sizeof s->name, "%s", name);
    int level = log_level_parse(log);
    if (level < 0)
        return err_set(
            err, "--log-level: \"%s\" is not debug, info, warn or error", log);
    s->log_level = (enum log_level)level;
    return 0;
}

enum options_result settings_read(struct settings *s, int argc,
                                  char *const *argv, struct err *err) {
    const char *name = "", *log = "info";
    *s = (struct settings){
        .models = "models/zoo",
        .models_check_ms = 1000,
        .retire_after_ms = 60000,
        .default_model = "",
        .fronts = "ipc://run/jobs.sock",
        .redis = "unix:run/redis/redis.sock",
        .redis_login = "",
        .curve_key = "",
        .curve_front = "",
        .hands = core_count(),
        .batch = 8,
        .result_ttl_ms = 30 * DAY_MS,
        .job_timeout_ms = 20000,
        .decode_timeout_ms = 2000,
        .redis_patience_ms = 10000,
        .drain_timeout_ms = 6000,
        .hand_memory = INT64_C(2) << 30,
    };
    default_name(s->name);
    const struct option_row rows[] = {
        {"models", "DIR,...", OPTION_TEXT, &s->models, 0, 0,
         "model folders, or folders of them"},
        {"models-check", "TIME", OPTION_TIME, &s->models_check_ms, 0, DAY_MS,
         "how often they are looked at for changes; 0: on SIGHUP alone"},
        {"retire-after", "TIME", OPTION_TIME, &s->retire_after_ms, 0, DAY_MS,
         "a replaced model is kept for so long after its last job"},
        {"default-model", "NAME", OPTION_TEXT, &s->default_model, 0, 0,
         "for who names no model; else the first"},
        {"fronts", "ENDPOINT,...", OPTION_TEXT, &s->fronts, 0, 0,
         "who sends jobs: tcp://HOST:PORT or ipc://PATH"},
        {"curve-key", "FILE", OPTION_TEXT, &s->curve_key, 0, 0,
         "key of this worker, made by deploy/keys; mode 0600"},
        {"curve-front", "FILE", OPTION_TEXT, &s->curve_front, 0, 0,
         "public key of the fronts"},
        {"plain-tcp", NULL, OPTION_FLAG, &s->plain_tcp, 0, 0,
         "allow fronts on other machines without keys"},
        {"redis", "ADDRESS", OPTION_TEXT, &s->redis, 0, 0,
         "unix:PATH, HOST:PORT or redis://HOST:PORT"},
        {"redis-login", "FILE", OPTION_TEXT, &s->redis_login, 0, 0,
         "USER:PASSWORD or :PASSWORD for Redis; mode 0600"},
        {"hands", "N", OPTION_INT, &s->hands, 1, HANDS_MAX,
         "processes that classify, one a core"},
        {"batch", "N", OPTION_INT, &s->batch, 1, BATCH_MAX,
         "images that a hand takes at a time"},
        {"name", "NAME", OPTION_TEXT, &name, 0, 0,
         "of this worker, else HOST.PID"},
        {"result-ttl", "TIME", OPTION_TIME, &s->result_ttl_ms, 1000,
         3650 * DAY_MS, "how long results are kept"},
        {"job-timeout", "TIME", OPTION_TIME, &s->job_timeout_ms, 100, DAY_MS,
         "a hand that takes longer for a batch is ended"},
        {"decode-timeout", "TIME", OPTION_TIME, &s->decode_timeout_ms, 1,
         DAY_MS, "processor time that decoding an image may take"},
        {"redis-patience", "TIME", OPTION_TIME, &s->redis_patience_ms, 0,
         DAY_MS, "how long a result waits for Redis to come back"},
        {"drain-timeout", "TIME", OPTION_TIME, &s->drain_timeout_ms, 0, DAY_MS,
         "how long work that runs may take after SIGTERM"},
        {"hand-memory", "SIZE", OPTION_SIZE, &s->hand_memory, 64 << 20,
         INT64_C(1) << 40, "what a hand may take beside the models"},
        {"log-level", "LEVEL", OPTION_TEXT, &log, 0, 0,
         "least level: debug, info, warn, error"},
        {"make-key", NULL, OPTION_FLAG, &s->make_key, 0, 0,
         "print a new pair of keys, secret and public, and end"},
        {"probe-sandbox", NULL, OPTION_FLAG, &s->probe_sandbox, 0, 0,
         "try what a hand may not do, print what was denied, and end"},
    };
    const struct options options = {
        "convoy-worker", "the pool of Convoy's processes that classify", rows,
        sizeof rows / sizeof *rows};
    enum options_result result = options_read(&options, argc, argv, err);
    if (result == OPTIONS_RUN &&
        (address_check(s->redis, argc, argv, err) < 0 ||
         check(s, name, log, err) < 0))
        return OPTIONS_BAD;
    return result;
}
