#include "tests/faults/parts.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[PART_COUNT] = {"redis",  "nginx",   "front1",
                                              "front2", "worker1", "worker2"};

const char *part_name(enum part part) {
    return names[part];
}

#define WORDS_MAX 32

/* The words of the command line, in `text`. */
static void command_of(const struct part_programs *programs, enum part part,
                       char *text, size_t size) {
    int number = part == PART_FRONT_2 || part == PART_WORKER_2 ? 2 : 1;
    switch (part) {
    case PART_REDIS:
        snprintf(text, size,
                 "%s/deploy/redis-start %s/deploy/redis.conf "
                 "--maxmemory 512mb "
                 "--auto-aof-rewrite-min-size 12mb",
                 programs->root, programs->root);
        break;
    case PART_NGINX:
        snprintf(text, size, "nginx -p . -c nginx/nginx.conf -e log/nginx.log");
        break;
    case PART_FRONT_1:
    case PART_FRONT_2:
        snprintf(text, size,
                 "%s/build/faults/bin/convoy-fcgi --listen front%d.sock --jobs "
                 "ipc://jobs%d.sock"
                 " --redis unix:" SERVICE_REDIS " --lease %dms --attempts 3"
                 " --job-timeout 6s --max-pending 96 --max-wait 5s"
                 " --deadline %dms",
                 programs->root, number, number, SERVICE_LEASE_MS,
                 programs->deadline_ms);
        break;
    default:
        snprintf(text, size,
                 "%s/build/faults/bin/convoy-worker --fronts "
                 "ipc://jobs1.sock,ipc://jobs2.sock"
                 " --redis unix:" SERVICE_REDIS " --hands 2 --batch 8"
                 " --job-timeout 1500ms --redis-patience 3s --models %s",
                 programs->root, programs->model);
    }
}

/* nginx's worker processes are www-data where we are root, see
 * deploy/configure: what a front listens on is open to that group. */
static void join_group(void) {
    struct stat run;
    const struct group *group = getgrnam("www-data");
    if (!group || stat(".", &run) < 0 || run.st_gid != group->gr_gid)
        return;
    if (setgroups(0, NULL) < 0 || setgid(group->gr_gid) < 0)
        _exit(126);
    umask(007);
}

_Noreturn void part_become(const struct part_programs *programs,
                           enum part part) {
    char text[2048], path[64], *words[WORDS_MAX], *save = NULL;
    int count = 0;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    snprintf(path, sizeof path, "log/%s.log", names[part]);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC); /* open until then, see start */
    umask(077);
    if (part == PART_FRONT_1 || part == PART_FRONT_2)
        join_group();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of groups takes it back */
    if (part == PART_REDIS && chdir("redis") < 0)
        _exit(126);
    command_of(programs, part, text, sizeof text);
    for (char *word = strtok_r(text, " ", &save); word && count < WORDS_MAX - 1;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    words[count] = NULL;
    execvp(words[0], words);
    perror(words[0]);
    _exit(127);
}
