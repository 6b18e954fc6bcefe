#include "common/address.h"
#include "common/clock.h"
#include "common/confine.h"
#include "common/descriptors.h"
#include "common/log.h"
#include "common/options.h"
#include "fcgi/request.h"
#include "fcgi/route.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1 << 20)

struct settings {
    const char *listen, *jobs, *redis, *redis_login, *curve_key, *curve_workers,
        *id_secret, *log_level;
    int plain_tcp, threads, images, pending, attempts;
    int64_t image_bytes, body_bytes, wait_ms, lease_ms, job_timeout_ms,
        orphan_ms, deadline_ms;
};

static enum options_result read_settings(struct settings *s, int argc,
                                         char **argv, struct err *err) {
    const struct option_row rows[] = {
        {"listen", "ADDRESS", OPTION_TEXT, &s->listen, 0, 0,
         "FastCGI socket: a path, unix:PATH or HOST:PORT"},
        {"jobs", "ENDPOINTS", OPTION_TEXT, &s->jobs, 0, 0,
         "for workers: ipc://PATH or tcp://HOST:PORT, by commas"},
        {"curve-key", "FILE", OPTION_TEXT, &s->curve_key, 0, 0,
         "key of the fronts, made by deploy/keys; mode 0600"},
        {"curve-workers", "FILE", OPTION_TEXT, &s->curve_workers, 0, 0,
         "public keys of the workers that are admitted"},
        {"plain-tcp", NULL, OPTION_FLAG, &s->plain_tcp, 0, 0,
         "allow workers without keys, and nginx, on other machines"},
        {"redis", "ADDRESS", OPTION_TEXT, &s->redis, 0, 0,
         "unix:PATH, HOST:PORT or redis://HOST:PORT"},
        {"redis-login", "FILE", OPTION_TEXT, &s->redis_login, 0, 0,
         "USER:PASSWORD or :PASSWORD for Redis; mode 0600"},
        {"id-secret", "FILE", OPTION_TEXT, &s->id_secret, 0, 0,
         "makes ids that nobody outside can compute; 16 bytes or more"},
        {"threads", "N", OPTION_INT, &s->threads, 2, 4096,
         "connections of nginx at a time; a quarter may wait for an answer"},
        {"max-image", "SIZE", OPTION_SIZE, &s->image_bytes, 1, 64 * MIB,
         "largest image"},
        {"max-body", "SIZE", OPTION_SIZE, &s->body_bytes, 1, 1024 * MIB,
         "largest request"},
        {"max-images", "N", OPTION_INT, &s->images, 1, 256,
         "images in one request"},
        {"max-pending", "N", OPTION_INT, &s->pending, 1, 1000000,
         "images that wait for an answer"},
        {"max-wait", "TIME", OPTION_TIME, &s->wait_ms, 0, 3600000,
         "longest time that Prefer: wait is granted"},
        {"attempts", "N", OPTION_INT, &s->attempts, 1, 100,
         "how often an image is given to a worker before it has failed"},
        {"lease", "TIME", OPTION_TIME, &s->lease_ms, 1000, 3600000,
         "after so long another front takes over what this one left"},
        {"job-timeout", "TIME", OPTION_TIME, &s->job_timeout_ms, 100, 3600000,
         "after so long an image is taken from a worker"},
        {"orphan-timeout", "TIME", OPTION_TIME, &s->orphan_ms, 1000, 86400000,
         "so long an image waits for a worker that has its model"},
        {"deadline", "TIME", OPTION_TIME, &s->deadline_ms, 1000, 604800000,
         "so long after it was accepted an image is answered, or has failed"},
        {"log-level", "LEVEL", OPTION_TEXT, &s->log_level, 0, 0,
         "least level to log: debug, info, warn or error"},
    };
    const struct options options = {
        .program = "convoy-fcgi",
        .summary = "the front of Convoy: its HTTP API, over FastCGI",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
    };
    return options_read(&options, argc, argv, err);
}

/* ---- a thread's state for the handlers --------------------------------- */

struct context {
    const struct service *service;
    const char *redis;
};

struct thread_state {
    const struct service *service;
    struct store *store;
};

static void *begin(void *arg) {
    const struct context *context = arg;
    struct thread_state *state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    state->service = context->service;
    state->store = store_open(context->redis, NULL);
    if (!state->store) {
        free(state);
        return NULL;
    }
    return state;
}

static void handle(void *arg, struct request *request,
                   struct response *response) {
    struct thread_state *state = arg;
    struct call call = {state->service, state->store, request, response};
    route(&call);
}

static void sent(void *arg, const struct request *request,
                 const struct response *response) {
    struct thread_state *state = arg;
    metrics_request(state->service->metrics, request->route, response->status);
}

static void end(void *arg) {
    struct thread_state *state = arg;
    store_close(state->store);
    free(state);
}

/* ---- the life of the process ------------------------------------------- */

/* Memory goes back to the system: images are large and come in bursts. A fixed
 * threshold keeps glibc from raising it to the largest image seen. */
static void tune_memory(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 64 << 10);
}

/* All threads inherit the mask, so only sigwait() sees these. */
static void block_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* 1: there are keys, 0: there are none. */
static int read_keys(const struct settings *s, struct curve_pair *key,
                     struct err *err) {
    if (!*s->curve_key != !*s->curve_workers)
        return err_set(err, "--curve-key and --curve-workers go together");
    if (!*s->curve_key)
        return 0;
    return curve_read_pair(s->curve_key, key, err) < 0 ? -1 : 1;
}

static struct dispatch *open_dispatch(const struct settings *s,
                                      const struct service *service,
                                      struct err *err) {
    struct curve_pair key;
    int keyed = read_keys(s, &key, err);
    if (keyed < 0)
        return NULL;
    const struct dispatch_options options = {
        .endpoints = s->jobs,
        .key = keyed ? &key : NULL,
        .workers = s->curve_workers,
        .plain_tcp = s->plain_tcp,
        .redis = s->redis,
        .sweep_ms = 1000,
        .stop_ms = 3000,
        .schedule = {.lease_ms = s->lease_ms,
                     .job_timeout_ms = s->job_timeout_ms,
                     .orphan_ms = s->orphan_ms,
                     .deadline_ms = s->deadline_ms,
                     .attempts_max = s->attempts,
                     .pending_max = s->pending,
                     .keep_bytes = 8 * MIB,
                     .out_bytes = 8 * MIB,
                     .metrics = service->metrics},
    };
    return dispatch_open(&options, service->catalogue, service->waiters, err);
}

static int serve(const struct settings *s, struct service *service,
                 const sigset_t *signals, struct err *err) {
    struct context context = {service, s->redis};
    const struct request_pool_options options = {
        .address = s->listen,
        .threads = s->threads,
        .body_max = (size_t)s->body_bytes,
        .body_memory = 16 * MIB,
        .handler = {&context, begin, handle, end, sent},
    };
    struct request_pool *pool = request_pool_open(&options, err);
    if (!pool)
        return -1;
    log_event(LOG_INFO, "ready", "listen", s->listen, "jobs", s->jobs,
              "threads", log_number(s->threads, 0), NULL);
    int signal = 0;
    sigwait(signals, &signal);
    log_event(LOG_INFO, "stopping", "signal", strsignal(signal), NULL);
    request_pool_stop(pool);
    waiters_stop(service->waiters);
    request_pool_close(pool);
    return 0;
}

/* A short one could be found by trying, from one image and its id. */
#define ID_SECRET_LEAST 16

static int read_id_secret(const char *path, struct secret *secret,
                          struct err *err) {
    if (secret_read(path, secret, err) < 0)
        return err_prefix(err, "--id-secret");
    if (secret->size < ID_SECRET_LEAST)
        return err_set(err, "--id-secret: %s has fewer than %d bytes", path,
                       ID_SECRET_LEAST);
    return 0;
}

/* FastCGI has no keys: nginx is the wall before it. */
static int check_listen(const struct settings *s, struct err *err) {
    char endpoint[256];
    bool is_path = strncmp(s->listen, "unix:", 5) == 0 ||
                   strchr(s->listen, '/') || !strchr(s->listen, ':');
    snprintf(endpoint, sizeof endpoint, "tcp://%s", s->listen);
    if (is_path || s->plain_tcp || curve_is_local(endpoint))
        return 0;
    return err_set(err,
                   "--listen %s can be reached from other machines, past nginx "
                   "and what it keeps for admins: use a path, or say "
                   "--plain-tcp where the network keeps strangers out",
                   s->listen);
}

static int run(const struct settings *s, struct err *err) {
    struct secret id_secret;
    sigset_t signals;
    if (check_listen(s, err) < 0)
        return -1;
    if (*s->id_secret && read_id_secret(s->id_secret, &id_secret, err) < 0)
        return -1;
    block_signals(&signals);
    struct service service = {
        .limits = {.image_bytes = s->image_bytes,
                   .images = s->images,
                   .pending = s->pending,
                   .wait_ms = s->wait_ms,
                   .lease_ms = s->lease_ms},
        .catalogue = catalogue_open(),
        .waiters = waiters_open(s->threads > 4 ? s->threads / 4 : 1),
        .metrics = metrics_open(),
        .id_secret = *s->id_secret ? &id_secret : NULL,
        .started_ms = clock_wall_ms(),
    };
    int status = -1;
    if (!service.catalogue || !service.waiters || !service.metrics)
        err_set(err, "out of memory");
    else if ((service.dispatch = open_dispatch(s, &service, err)))
        status = serve(s, &service, &signals, err);
    dispatch_close(service.dispatch);
    waiters_close(service.waiters);
    catalogue_close(service.catalogue);
    metrics_close(service.metrics);
    return status;
}

/* With the login, which lives in memory alone. */
static int run_with_login(struct settings *s, struct err *err) {
    char *redis = address_with_login(s->redis, s->redis_login, err);
    if (!redis)
        return -1;
    s->redis = redis;
    int status = run(s, err);
    free(redis);
    return status;
}

int main(int argc, char **argv) {
    struct settings settings = {
        .listen = "run/front.sock",
        .jobs = "ipc://run/jobs.sock",
        .redis = "unix:run/redis/redis.sock",
        .redis_login = "",
        .curve_key = "",
        .curve_workers = "",
        .id_secret = "",
        .log_level = "info",
        .threads = 128,
        .images = 32,
        .pending = 1024,
        .attempts = 3,
        .image_bytes = 20 * MIB,
        .body_bytes = 64 * MIB,
        .wait_ms = 30000,
        .lease_ms = 30000,
        .job_timeout_ms = 60000,
        .orphan_ms = 600000,
        .deadline_ms = 3600000,
    };
    struct err err = {0};
    enum options_result result = read_settings(&settings, argc, argv, &err);
    int level = log_level_parse(settings.log_level);
    if (result == OPTIONS_DONE)
        return 0;
    if (result == OPTIONS_RUN && level < 0)
        err_set(&err,
                "--log-level: \"%s\" is no level (debug, info, warn, "
                "error)",
                settings.log_level);
    if (result == OPTIONS_RUN &&
        address_check(settings.redis, argc, argv, &err) < 0)
        result = OPTIONS_BAD;
    if (result == OPTIONS_BAD || level < 0) {
        fprintf(stderr, "convoy-fcgi: %s\n", err.text);
        return 2;
    }
    tune_memory();
    log_open("convoy-fcgi", (enum log_level)level);

    if (descriptors_allow(2 * settings.threads + 128, &err) < 0 ||
        confine(CONFINE_FRONT, &err) < 0 ||
        run_with_login(&settings, &err) < 0) {
        log_event(LOG_ERROR, "failed", "error", err.text, NULL);
        return 1;
    }
    log_event(LOG_INFO, "stopped", NULL);
    return 0;
}
