/*
 * One mutex guards the rows of the parts; a thread of its own, the keeper,
 * looks every 10 ms who has ended and starts again who is due. A part is
 * signalled under the mutex and reaped by the keeper alone, so that no pid is
 * ever another's.
 */
#include "tests/faults/service.h"

#include "tests/faults/http.h"
#include "tests/faults/verdict.h"
#include "tests/integration/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US 10000
#define MEASURE_EVERY 20 /* looks */
#define STARTING_US 1000000
#define PIDS_MAX 4096 /* processes that parts have been */
#define DEATHS_MAX 64

struct row {
    pid_t pid; /* 0: it does not run */
    int64_t due_us, started_us, terminated_us;
    bool killed, stopped;
    struct rlimit files; /* before it was limited; 0: it is not */
};

struct service {
    struct part_programs programs;
    struct board *board;
    pthread_t keeper;
    pthread_mutex_t mutex;
    bool closing;
    struct row rows[PART_COUNT];
    struct {
        pid_t pid;
        enum part part;
    } pids[PIDS_MAX];
    int pid_count;
    struct death deaths[DEATHS_MAX];
    int death_count;
    struct service_counts counts;
    int64_t late_us;
};

struct board *service_board(struct service *service) {
    return service->board;
}

/* ---- the keeper ---------------------------------------------------------- */

/* Returns once the part's program runs: until then the process is a copy of
 * this one, whose memory is not what a front promises. */
static void start(struct service *service, enum part part) {
    struct row *row = &service->rows[part];
    int running[2] = {-1, -1}; /* closed by exec */
    char none;
    if (part == PART_REDIS)
        unlink(SERVICE_REDIS);
    if (pipe2(running, O_CLOEXEC) < 0)
        verdict_against("no pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        part_become(&service->programs, part);
    close(running[1]);
    while (read(running[0], &none, 1) < 0 && errno == EINTR)
        ;
    close(running[0]);
    memset(row, 0, sizeof *row);
    row->pid = pid > 0 ? pid : 0;
    row->started_us = now_us();
    int place = service->pid_count++ % PIDS_MAX;
    service->pids[place].pid = row->pid;
    service->pids[place].part = part;
}

/* Ends of its own are what we are here to find. */
static void judge_end(struct service *service, enum part part, int status) {
    struct row *row = &service->rows[part];
    bool ours = row->killed;
    double seconds = (double)(now_us() - row->terminated_us) / 1e6;
    if (row->terminated_us && seconds > service->counts.longest_stop_s)
        service->counts.longest_stop_s = seconds;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        ours = true; /* a fault point; nothing else kills so */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM &&
        row->terminated_us - row->started_us < STARTING_US)
        ours = true; /* it has not yet said what to do then */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && row->terminated_us)
        ours = true;
    if (ours || service->closing)
        return;
    if (WIFSIGNALED(status))
        verdict_against("%s was ended by signal %d", part_name(part),
                        WTERMSIG(status));
    else
        verdict_against("%s ended with status %d%s", part_name(part),
                        WEXITSTATUS(status),
                        row->terminated_us ? " when told to stop" : "");
}

static void look_at(struct service *service, enum part part, int64_t now) {
    struct row *row = &service->rows[part];
    int status;
    if (row->pid && waitpid(row->pid, &status, WNOHANG) == row->pid) {
        judge_end(service, part, status);
        service->counts.restarts++;
        row->pid = 0;
        row->stopped = false;
    }
    if (row->pid && row->terminated_us && !row->stopped && !row->killed &&
        now - row->terminated_us > SERVICE_STOP_LIMIT_MS * INT64_C(1000)) {
        verdict_against("%s was told to stop and still runs after %d s",
                        part_name(part), SERVICE_STOP_LIMIT_MS / 1000);
        row->killed = true;
        kill(row->pid, SIGKILL);
    }
    if (!row->pid && !service->closing && now >= row->due_us)
        start(service, part);
}

static long larger_rss_kib(const struct service *service, enum part a,
                           enum part b) {
    long one = process_rss_kib(service->rows[a].pid);
    long other = process_rss_kib(service->rows[b].pid);
    return one > other ? one : other;
}

static void measure(struct service *service) {
    long front = larger_rss_kib(service, PART_FRONT_1, PART_FRONT_2);
    long worker = larger_rss_kib(service, PART_WORKER_1, PART_WORKER_2);
    if (front > service->counts.front_rss_kib)
        service->counts.front_rss_kib = front;
    if (worker > service->counts.worker_rss_kib)
        service->counts.worker_rss_kib = worker;
}

static void *keep(void *argument) {
    struct service *service = argument;
    int64_t slept_us = 0;
    for (int round = 0;; round++) {
        pthread_mutex_lock(&service->mutex);
        if (slept_us > 2 * LOOK_US)
            service->late_us += slept_us - LOOK_US;
        bool closing = service->closing;
        for (int part = 0; part < PART_COUNT; part++)
            look_at(service, (enum part)part, now_us());
        if (round % MEASURE_EVERY == 0)
            measure(service);
        pthread_mutex_unlock(&service->mutex);
        if (closing)
            return NULL;
        int64_t begun = now_us();
        usleep(LOOK_US);
        slept_us = now_us() - begun;
    }
}

/* ---- opening and closing ------------------------------------------------- */

static struct board *open_board(struct err *err) {
    int fd = open("board", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *board = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct board)) == 0)
        board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
                     MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (board != MAP_FAILED)
        return board;
    err_set(err, "the board: %s", strerror(errno));
    return NULL;
}

struct service *service_open(const char *root, const char *model,
                             struct err *err) {
    char path[600];
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        abort();
    service->programs = (struct part_programs){
        .root = root, .model = model, .deadline_ms = PART_DEADLINE_MS};
    pthread_mutex_init(&service->mutex, NULL);
    service->board = open_board(err);
    if (!service->board || !getcwd(path, sizeof path - 6)) {
        free(service);
        return NULL;
    }
    strcat(path, "/board");
    setenv("CONVOY_FAULT_BOARD", path, 1);
    if (pthread_create(&service->keeper, NULL, keep, service)) {
        err_set(err, "cannot start a thread");
        free(service);
        return NULL;
    }
    return service;
}

void service_kill_all(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    service->closing = true;
    for (int part = 0; part < PART_COUNT; part++)
        if (service->rows[part].pid)
            process_signal_tree(service->rows[part].pid, SIGKILL);
    pthread_mutex_unlock(&service->mutex);
}

void service_close(struct service *service) {
    service_kill_all(service);
    pthread_join(service->keeper, NULL);
    for (int part = 0; part < PART_COUNT; part++)
        if (service->rows[part].pid)
            waitpid(service->rows[part].pid, NULL, 0);
    munmap(service->board, sizeof *service->board);
    pthread_mutex_destroy(&service->mutex);
    free(service);
}

/* ---- who is who ---------------------------------------------------------- */

pid_t service_pid(struct service *service, enum part part) {
    pthread_mutex_lock(&service->mutex);
    pid_t pid = service->rows[part].pid;
    pthread_mutex_unlock(&service->mutex);
    return pid;
}

int service_part_of(struct service *service, pid_t pid) {
    int part = -1;
    pthread_mutex_lock(&service->mutex);
    for (int i = 0; i < PIDS_MAX && i < service->pid_count; i++)
        if (service->pids[i].pid == pid)
            part = (int)service->pids[i].part;
    pthread_mutex_unlock(&service->mutex);
    return part;
}

pid_t service_nursery(struct service *service, enum part worker) {
    pid_t nursery = 0, pid = service_pid(service, worker);
    return pid && process_children(pid, &nursery, 1) ? nursery : 0;
}

pid_t service_hand(struct service *service, enum part worker, int pick) {
    pid_t hands[16], nursery = service_nursery(service, worker);
    int count = nursery ? process_children(nursery, hands, 16) : 0;
    return count ? hands[pick % count] : 0;
}

/* ---- faults -------------------------------------------------------------- */

/* With the mutex. */
static void note_death(struct service *service, enum loss loss, pid_t pid) {
    if (service->death_count < DEATHS_MAX)
        service->deaths[service->death_count++] =
            (struct death){loss, pid, now_us()};
}

void service_note_death(struct service *service, enum loss loss, pid_t pid) {
    pthread_mutex_lock(&service->mutex);
    note_death(service, loss, pid);
    pthread_mutex_unlock(&service->mutex);
}

int service_take_deaths(struct service *service, struct death *deaths,
                        int max) {
    pthread_mutex_lock(&service->mutex);
    int count = service->death_count < max ? service->death_count : max;
    memcpy(deaths, service->deaths, (size_t)count * sizeof *deaths);
    service->death_count = 0;
    pthread_mutex_unlock(&service->mutex);
    return count;
}

void service_kill(struct service *service, enum part part) {
    pthread_mutex_lock(&service->mutex);
    struct row *row = &service->rows[part];
    if (row->pid) {
        row->killed = true;
        if (part == PART_WORKER_1 || part == PART_WORKER_2)
            note_death(service, LOSS_WORKER, row->pid);
        if (part == PART_FRONT_1 || part == PART_FRONT_2)
            note_death(service, LOSS_FRONT, row->pid);
        kill(row->pid, SIGKILL);
    }
    pthread_mutex_unlock(&service->mutex);
}

void service_terminate(struct service *service, enum part part) {
    pthread_mutex_lock(&service->mutex);
    struct row *row = &service->rows[part];
    if (row->pid && !row->terminated_us) {
        row->terminated_us = now_us();
        kill(row->pid, SIGTERM);
    }
    pthread_mutex_unlock(&service->mutex);
}

void service_reload(struct service *service, enum part part) {
    pid_t pid = service_pid(service, part);
    if (pid)
        kill(pid, SIGHUP);
}

void service_stop(struct service *service, enum part part) {
    pthread_mutex_lock(&service->mutex);
    struct row *row = &service->rows[part];
    if (row->pid) {
        row->stopped = true;
        process_signal_tree(row->pid, SIGSTOP);
    }
    pthread_mutex_unlock(&service->mutex);
}

void service_continue(struct service *service, enum part part) {
    pthread_mutex_lock(&service->mutex);
    struct row *row = &service->rows[part];
    if (row->pid && row->stopped) {
        row->stopped = false;
        if (row->terminated_us)
            row->terminated_us = now_us(); /* it hears of that only now */
        process_signal_tree(row->pid, SIGCONT);
    }
    pthread_mutex_unlock(&service->mutex);
}

void service_hold(struct service *service, enum part part, int ms) {
    pthread_mutex_lock(&service->mutex);
    service->rows[part].due_us = now_us() + ms * INT64_C(1000);
    pthread_mutex_unlock(&service->mutex);
}

bool service_await_other(struct service *service, enum part part, pid_t pid) {
    for (int i = 0; i < 1500; i++) {
        pid_t present = service_pid(service, part);
        if (present && present != pid)
            return true;
        usleep(LOOK_US);
    }
    return false;
}

void service_limit_files(struct service *service, enum part part, int more) {
    pthread_mutex_lock(&service->mutex);
    struct row *row = &service->rows[part];
    struct rlimit limit = row->files;
    if (row->pid && more >= 0 && limit.rlim_cur == 0) {
        prlimit(row->pid, RLIMIT_NOFILE, NULL, &row->files);
        limit = row->files;
        limit.rlim_cur = (rlim_t)(process_files(row->pid) + more);
        prlimit(row->pid, RLIMIT_NOFILE, &limit, NULL);
    } else if (row->pid && more < 0 && limit.rlim_cur) {
        prlimit(row->pid, RLIMIT_NOFILE, &limit, NULL);
        memset(&row->files, 0, sizeof row->files);
    }
    pthread_mutex_unlock(&service->mutex);
}

void service_set_deadline(struct service *service, int deadline_ms) {
    pthread_mutex_lock(&service->mutex);
    service->programs.deadline_ms = deadline_ms;
    pthread_mutex_unlock(&service->mutex);
}

/* ---- readiness, counts, logs --------------------------------------------- */

/* Redis answers this front, and both workers are there for it. */
static bool front_ready(const char *probe) {
    struct http *http = http_open(probe);
    struct reply ready, models;
    http_get(http, "/readyz", &ready);
    http_get(http, "/api/v1/models", &models);
    const json_t *model =
        json_array_get(json_object_get(models.json, "models"), 0);
    bool both = json_integer_value(json_object_get(model, "workers")) == 2;
    bool answers = ready.status == 200;
    reply_free(&ready);
    reply_free(&models);
    http_close(http);
    return answers && both;
}

bool service_ready(struct service *service) {
    for (int part = 0; part < PART_COUNT; part++)
        if (!service_pid(service, (enum part)part))
            return false;
    return front_ready("probe1.sock") && front_ready("probe2.sock");
}

bool service_await_ready(struct service *service, int seconds) {
    int64_t end = now_us() + seconds * INT64_C(1000000);
    while (!service_ready(service)) {
        if (now_us() > end)
            return false;
        usleep(20000);
    }
    return true;
}

long service_front_rss_kib(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    long kib = larger_rss_kib(service, PART_FRONT_1, PART_FRONT_2);
    pthread_mutex_unlock(&service->mutex);
    return kib;
}

struct service_counts service_counts(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    struct service_counts counts = service->counts;
    pthread_mutex_unlock(&service->mutex);
    return counts;
}

int64_t service_take_late_us(struct service *service) {
    pthread_mutex_lock(&service->mutex);
    int64_t late_us = service->late_us;
    service->late_us = 0;
    pthread_mutex_unlock(&service->mutex);
    return late_us;
}

void service_clear_logs(struct service *service) {
    char path[64];
    (void)service;
    for (int part = 0; part < PART_COUNT; part++) {
        snprintf(path, sizeof path, "log/%s.log", part_name(part));
        if (truncate(path, 0) < 0)
            continue; /* not there yet */
    }
}

void service_keep_logs(struct service *service, const char *name) {
    char command[1400];
    snprintf(command, sizeof command,
             "mkdir -p '%s/build/faults/kept/%s' && "
             "cp log/*.log '%s/build/faults/kept/%s/'",
             service->programs.root, name, service->programs.root, name);
    if (system(command) == 0)
        printf("The logs of all parts are in build/faults/kept/%s\n", name);
}
