/*
 * worker_bench: a whole worker on the test bench. The test's own program is the
 * worker, too: main() calls bench_main() first. Around it are a private Redis
 * and a scripted front. With fake_classifier.h included there is no network;
 * without, bench.models is to be set to real models.
 *
 *     bench_start("--hands=1", "--batch=4", NULL);    ... and the front's READY
 *     struct id a = bench_send("ok 1");
 *     bench_expect(JOB_DONE, &a);                     reason in bench.body
 *     bench_stop();
 */
#ifndef CONVOY_WORKER_BENCH_H
#define CONVOY_WORKER_BENCH_H

#include "common/clock.h"
#include "common/digest.h"
#include "common/job.h"
#include "common/prediction.h"
#include "common/store.h"
#include "tests/unit/private_redis.h"
#include "worker/foreman.h"
#include "worker/nursery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <zmq.h>

#define BENCH_PATIENCE_MS 30000    /* a busy machine; nothing takes that long */
#define BENCH_MODEL "600000000000" /* the version of the model "a-fake" */

static struct bench {
    struct private_redis redis;
    struct store *store;
    void *context, *router;
    char endpoint[128], log[96], models[256];
    pid_t worker;
    zmq_msg_t peer; /* the worker's identity at the ROUTER */
    struct job_header header;
    char body[65536];
    int sent;
} bench;

/* Exits with the worker's status where the program was started as one. */
static inline void bench_main(int argc, char **argv) {
    bool nursery = argc > 1 && strcmp(argv[1], NURSERY_MODE) == 0;
    struct settings settings;
    struct err err = {0};
    if (argc < 2)
        return;
    if (settings_read(&settings, argc - nursery, argv + nursery, &err) !=
        OPTIONS_RUN) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    log_open("convoy-worker", LOG_DEBUG);
    if (nursery)
        exit(nursery_run(&settings));
    if (foreman_run(&settings, argv, &err) == 0)
        exit(0);
    log_event(LOG_ERROR, "failed", "reason", err.text, NULL);
    exit(1);
}

/* ---- the front ----------------------------------------------------------- */

static inline void bench_bind(void) {
    int linger = 0, timeout = 100;
    bench.router = zmq_socket(bench.context, ZMQ_ROUTER);
    zmq_setsockopt(bench.router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(bench.router, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(zmq_bind(bench.router, bench.endpoint), 0);
}

/* One message of the worker's: 1, or 0 where none came for 100 ms. */
static inline int bench_receive(void) {
    zmq_msg_t parts[3];
    for (int i = 0; i < 3; i++) {
        zmq_msg_init(&parts[i]);
        if (zmq_msg_recv(&parts[i], bench.router, 0) < 0)
            return 0;
    }
    struct err err;
    zmq_msg_move(&bench.peer, &parts[0]);
    assert_int_equal(job_decode(zmq_msg_data(&parts[1]),
                                zmq_msg_size(&parts[1]), &bench.header, &err),
                     0);
    size_t size = zmq_msg_size(&parts[2]);
    assert_true(size < sizeof bench.body);
    memcpy(bench.body, zmq_msg_data(&parts[2]), size);
    bench.body[size] = 0;
    for (int i = 0; i < 3; i++)
        zmq_msg_close(&parts[i]);
    return 1;
}

/* The next message that is no heartbeat. */
static inline enum job_type bench_next(void) {
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    while (clock_ms() < end)
        if (bench_receive() && bench.header.type != JOB_HEARTBEAT)
            return bench.header.type;
    fail_msg("the worker says nothing; its log is %s", bench.log);
    return 0;
}

static inline void bench_expect(enum job_type type, const struct id *id) {
    assert_string_equal(job_type_name(bench_next()), job_type_name(type));
    if (id)
        assert_string_equal(bench.header.id.text, id->text);
}

/* The same after an outage of Redis, in which the worker may have asked for no
 * jobs, and then for some again. */
static inline void bench_expect_at_last(enum job_type type,
                                        const struct id *id) {
    do
        bench_next();
    while (bench.header.type == JOB_DRAIN || bench.header.type == JOB_READY);
    assert_string_equal(job_type_name(bench.header.type), job_type_name(type));
    assert_string_equal(bench.header.id.text, id->text);
}

static inline void bench_say(const void *header, size_t size, const void *body,
                             size_t body_size) {
    zmq_send(bench.router, zmq_msg_data(&bench.peer), zmq_msg_size(&bench.peer),
             ZMQ_SNDMORE);
    zmq_send(bench.router, header, size, ZMQ_SNDMORE);
    zmq_send(bench.router, body, body_size, 0);
}

/* Sends a job; the id is that of a new image. */
static inline struct id bench_send_bytes(const char *version, const void *image,
                                         size_t size, uint32_t ms_left) {
    char hex[DIGEST_HEX];
    uint8_t bytes[JOB_HEADER_MAX];
    struct job_header header = {.type = JOB_JOB,
                                .attempt = 1,
                                .number = ms_left,
                                .created_ms = clock_wall_ms()};
    bench.sent++;
    digest_sha256_hex(&bench.sent, sizeof bench.sent, hex);
    assert_int_equal(id_make(hex, version, &header.id), 0);
    snprintf(header.request, sizeof header.request, "request-%d", bench.sent);
    bench_say(bytes, job_encode(&header, bytes), image, size);
    return header.id;
}

static inline struct id bench_send_to(const char *version, const char *image,
                                      uint32_t ms_left) {
    return bench_send_bytes(version, image, strlen(image), ms_left);
}

static inline struct id bench_send(const char *image) {
    return bench_send_to(BENCH_MODEL, image, 0);
}

/* Collects what comes back of `count` jobs: DONE or FAILED, in any order. */
static inline void bench_collect(const struct id *ids, int count,
                                 enum job_type *types) {
    memset(types, 0, (size_t)count * sizeof *types);
    for (int got = 0; got < count; got++) {
        enum job_type type = bench_next();
        int i = 0;
        while (i < count && strcmp(ids[i].text, bench.header.id.text) != 0)
            i++;
        assert_true(i < count);
        assert_int_equal(types[i], 0);
        types[i] = type;
    }
}

/* The result in Redis; prediction_free() it. */
static inline struct prediction bench_result(const struct id *id) {
    struct store_state state;
    struct prediction p;
    struct err err = {0};
    assert_int_equal(store_lookup(bench.store, id, &state, &err), 0);
    assert_int_equal(state.kind, STORE_RESULT);
    assert_int_equal(prediction_decode(state.json, state.json_len, &p, &err),
                     0);
    store_state_free(&state);
    return p;
}

/* ---- the worker ---------------------------------------------------------- */

static inline void bench_run(const char *const *words) {
    char *argv[24] = {"/proc/self/exe"};
    char models[300], redis[160], fronts[160];
    int argc = 1;
    snprintf(models, sizeof models, "--models=%s", bench.models);
    snprintf(redis, sizeof redis, "--redis=%s", bench.redis.address);
    snprintf(fronts, sizeof fronts, "--fronts=%s", bench.endpoint);
    argv[argc++] = models;
    argv[argc++] = redis;
    argv[argc++] = fronts;
    while (*words)
        argv[argc++] = (char *)*words++;
    pid_t parent = getpid();
    bench.worker = fork();
    if (bench.worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || !freopen(bench.log, "w", stderr))
            _exit(1);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
}
#define bench_launch(...) bench_run((const char *const[]){__VA_ARGS__, NULL})
#define bench_start(...)                                                       \
    do {                                                                       \
        bench_launch(__VA_ARGS__);                                             \
        bench_expect(JOB_READY, NULL);                                         \
    } while (0)

/* Its status as of waitpid(). */
static inline int bench_wait(void) {
    int status = -1;
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    while (waitpid(bench.worker, &status, WNOHANG) == 0) {
        assert_true(clock_ms() < end);
        usleep(5000);
    }
    bench.worker = 0;
    return status;
}

static inline bool bench_logged(const char *text) {
    char *log = calloc(1, 1 << 20);
    FILE *file = fopen(bench.log, "r");
    assert_non_null(file);
    (void)!fread(log, 1, (1 << 20) - 1, file);
    fclose(file);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

/* The n-th child of a process, or 0. */
static inline pid_t bench_child(pid_t parent, int n) {
    char path[64];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    FILE *file = fopen(path, "r");
    for (int i = 0; file && i <= n; i++)
        if (fscanf(file, "%d", &pid) != 1)
            pid = 0;
    if (file)
        fclose(file);
    return pid;
}

static inline pid_t bench_nursery(void) {
    return bench_child(bench.worker, 0);
}

/* Hands come about a moment after READY. */
static inline pid_t bench_hand(int n) {
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    pid_t pid = 0;
    while (!(pid = bench_child(bench_nursery(), n)) && clock_ms() < end)
        usleep(5000);
    assert_true(pid > 0);
    return pid;
}

static inline void bench_await_log(const char *text) {
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    while (!bench_logged(text) && clock_ms() < end)
        usleep(2000);
    assert_true(bench_logged(text));
}

/* Waits until the last job that was sent is there. */
static inline void bench_await_received(void) {
    char text[64];
    snprintf(text, sizeof text, "event=job-received request=request-%d ",
             bench.sent);
    bench_await_log(text);
}

/* Stops the only hand and gives it a job, so that those that follow queue up;
 * bench_release() once they are here. */
static inline struct id bench_occupy(pid_t *hand) {
    char text[64];
    struct id id = bench_send("ok");
    bench_expect(JOB_DONE, &id);
    *hand = bench_hand(0);
    kill(*hand, SIGSTOP);
    id = bench_send("ok");
    snprintf(text, sizeof text, "event=job-given request=request-%d ",
             bench.sent);
    bench_await_log(text);
    return id;
}

static inline void bench_release(pid_t hand) {
    bench_await_received();
    kill(hand, SIGCONT);
}

/* Waits until a process is no more, or waits to be buried at most. */
static inline void bench_await_end(pid_t pid) {
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    for (char state = 'R'; state != 'Z' && clock_ms() < end; usleep(5000)) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *file = fopen(path, "r");
        if (!file)
            return;
        if (fscanf(file, "%*d %*s %c", &state) != 1)
            state = 'Z';
        fclose(file);
        if (state == 'Z')
            return;
    }
    fail_msg("process %d still runs", pid);
}

/* ---- set up and torn down ------------------------------------------------ */

static inline void bench_model(const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", bench.models, name);
    mkdir(path, 0700);
}

static inline int bench_open(void **state) {
    (void)state;
    struct err err = {0};
    memset(&bench, 0, sizeof bench);
    private_redis_start(&bench.redis);
    snprintf(bench.models, sizeof bench.models, "%s/models",
             bench.redis.folder);
    mkdir(bench.models, 0700);
    snprintf(bench.log, sizeof bench.log, "%s/log", bench.redis.folder);
    snprintf(bench.endpoint, sizeof bench.endpoint, "ipc://%s/jobs",
             bench.redis.folder);
    bench.store = store_open(bench.redis.address, &err);
    bench.context = zmq_ctx_new();
    zmq_msg_init(&bench.peer);
    bench_model("a-fake");
    bench_bind();
    return bench.store ? 0 : -1;
}

static inline int bench_close(void **state) {
    (void)state;
    if (bench.worker) {
        kill(bench.worker, SIGKILL);
        waitpid(bench.worker, NULL, 0);
    }
    bench.worker = 0;
    zmq_close(bench.router);
    zmq_msg_close(&bench.peer);
    zmq_ctx_term(bench.context);
    store_close(bench.store);
    private_redis_end(&bench.redis);
    return 0;
}
#define BENCH(test)                                                            \
    cmocka_unit_test_setup_teardown(test, bench_open, bench_close)

#endif
