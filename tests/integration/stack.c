#include "tests/integration/stack.h"
#include "tests/integration/http.h"
#include "tests/integration/process.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void stack_enter(char **argv) {
    char *under[] = {"tests/integration/stack", argv[0], NULL};
    signal(SIGPIPE, SIG_IGN);
    if (getenv("CONVOY_RUN"))
        return;
    execv(under[0], under);
    perror(under[0]);
    exit(1);
}

static const char *in_run(char path[512], const char *folder,
                          const char *name) {
    const char *run = getenv("CONVOY_RUN");
    snprintf(path, 512, "%s/%s%s", run ? run : "", folder, name);
    return path;
}

pid_t stack_pid(const char *part) {
    char path[512];
    int pid = 0;
    FILE *file = fopen(in_run(path, "pid/", part), "r");
    if (file) {
        if (fscanf(file, "%d", &pid) != 1)
            pid = 0;
        fclose(file);
    }
    return pid > 0 && process_lives(pid) ? pid : 0;
}

/* ---- processes ----------------------------------------------------------- */

void stack_signal(const char *part, int signal) {
    pid_t pid = stack_pid(part);
    assert_int_not_equal(pid, 0);
    process_signal_tree(pid, signal);
}

void stack_kill(const char *part) {
    pid_t pid = stack_pid(part);
    assert_int_not_equal(pid, 0);
    kill(pid, SIGKILL);
    assert_int_equal(stack_await_end(pid), 0);
}

/* A minute: what waits for a disk that has stalled ends, killed or not, no
 * sooner than the disk goes on. */
int stack_await_end(pid_t pid) {
    for (int i = 0; i < 6000 && process_lives(pid); i++)
        usleep(10000);
    return process_lives(pid) ? -1 : 0;
}

int stack_hands(pid_t *hands, int max) {
    pid_t nurseries[8];
    int hand_count = 0;
    pid_t worker = stack_pid("worker");
    assert_int_not_equal(worker, 0);
    int count = process_children(worker, nurseries, 8);
    for (int i = 0; i < count; i++)
        hand_count += process_children(nurseries[i], hands + hand_count,
                                       max - hand_count);
    return hand_count;
}

void stack_await_ready(void) {
    static const char *const parts[] = {"redis", "worker", "front", "nginx"};
    for (int i = 0; i < 600; i++) {
        int running = 0;
        for (int part = 0; part < 4; part++)
            running += stack_pid(parts[part]) != 0;
        if (running == 4 && await_status("/readyz", 200, 0) == 0)
            return;
        usleep(50000);
    }
    fail_msg("the service is not ready after 30 s");
}

/* ---- logs and Redis's program -------------------------------------------- */

int stack_log_lines(const char *part, const char *one, const char *other) {
    char path[512], name[64], line[8192];
    int count = 0;
    snprintf(name, sizeof name, "%s.log", part);
    FILE *file = fopen(in_run(path, "log/", name), "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        count += (!one || strstr(line, one)) && (!other || strstr(line, other));
    fclose(file);
    return count;
}

void stack_await_log(const char *part, const char *text) {
    for (int i = 0; i < 500; i++, usleep(10000))
        if (stack_log_lines(part, text, NULL) > 0)
            return;
    fail_msg("the log of %s has no line with %s after 5 s", part, text);
}

void stack_hide_redis(int hidden) {
    char here[512], away[512];
    in_run(here, "redis/", "users.acl");
    in_run(away, "redis/", "users.acl.away");
    assert_int_equal(hidden ? rename(here, away) : rename(away, here), 0);
}
