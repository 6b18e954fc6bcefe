#include "tests/integration/stack.h"
#include "tests/integration/http.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES_MAX 4096

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

/* The parent of a process; 0 where it has ended (zombies have). */
static pid_t parent_of(pid_t pid) {
    char path[64], line[512], state = 'Z';
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end && sscanf(end + 1, " %c %d", &state, &parent) != 2)
        parent = 0;
    fclose(file);
    return state == 'Z' ? 0 : parent;
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
    return pid > 0 && parent_of(pid) ? pid : 0;
}

/* ---- the tree of processes ----------------------------------------------- */

struct processes {
    int count;
    struct {
        pid_t pid, parent;
    } all[PROCESSES_MAX];
};

static void read_processes(struct processes *processes) {
    processes->count = 0;
    DIR *folder = opendir("/proc");
    if (!folder)
        abort();
    for (struct dirent *entry; (entry = readdir(folder));) {
        pid_t pid = atoi(entry->d_name); /* 0 for what is no process */
        pid_t parent = pid ? parent_of(pid) : 0;
        if (parent && processes->count < PROCESSES_MAX) {
            processes->all[processes->count].pid = pid;
            processes->all[processes->count++].parent = parent;
        }
    }
    closedir(folder);
}

/* `root` and what descends from it, parents first. */
static int tree(const struct processes *processes, pid_t root, pid_t *out,
                int max) {
    int count = 0;
    out[count++] = root;
    for (int done = 0; done < count; done++)
        for (int i = 0; i < processes->count; i++)
            if (processes->all[i].parent == out[done] && count < max)
                out[count++] = processes->all[i].pid;
    return count;
}

void stack_signal(const char *part, int signal) {
    struct processes processes;
    pid_t pids[256];
    pid_t root = stack_pid(part);
    assert_int_not_equal(root, 0);
    read_processes(&processes);
    int count = tree(&processes, root, pids, 256);
    for (int i = 0; i < count; i++)
        kill(pids[i], signal);
}

void stack_kill(const char *part) {
    pid_t pid = stack_pid(part);
    assert_int_not_equal(pid, 0);
    kill(pid, SIGKILL);
    assert_int_equal(stack_await_end(pid), 0);
}

int stack_await_end(pid_t pid) {
    for (int i = 0; i < 1000 && parent_of(pid); i++)
        usleep(10000);
    return parent_of(pid) ? -1 : 0;
}

int stack_hands(pid_t *hands, int max) {
    struct processes processes;
    pid_t pids[256];
    int found = 0;
    pid_t root = stack_pid("worker");
    assert_int_not_equal(root, 0);
    read_processes(&processes);
    int count = tree(&processes, root, pids, 256);
    for (int i = 1; i < count; i++) {
        int children = 0;
        for (int j = 0; j < processes.count; j++)
            children += processes.all[j].parent == pids[i];
        if (children == 0 && found < max)
            hands[found++] = pids[i];
    }
    return found;
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

void stack_hide_redis(int hidden) {
    char here[512], away[512];
    in_run(here, "", "redis-server");
    in_run(away, "", "redis-server.away");
    assert_int_equal(hidden ? rename(here, away) : rename(away, here), 0);
}
