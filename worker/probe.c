/*
 * An attempt returns 0 where it succeeded, -1 with errno where it was refused,
 * or does not return: the filter ends it by SIGSYS. By bare system calls, lest
 * the C library takes a way around.
 */
#include "worker/probe.h"

#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY ((int64_t)256 << 20) /* as --hand-memory, for the probe */

struct attempt {
    int fd; /* the hand's socket */
    pid_t parent;
};

static int success(long result) {
    return result < 0 ? -1 : 0;
}

/* ---- what a hand needs --------------------------------------------------- */

static int send_and_take_memory(const struct attempt *a) {
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    size_t size = (size_t)MEMORY / 4;
    char *memory = malloc(size);
    if (!memory)
        return -1;
    memset(memory, 1, size);
    free(memory);
    return success(sendmsg(a->fd, &message, 0));
}

static int set_alarm(const struct attempt *a) {
    const struct itimerval second = {.it_value = {1, 0}}, none = {0};
    struct timespec now;
    (void)a;
    if (setitimer(ITIMER_REAL, &second, NULL) < 0 ||
        setitimer(ITIMER_REAL, &none, NULL) < 0)
        return -1;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
}

/* ---- files --------------------------------------------------------------- */

static int open_to_read(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static int open_to_write(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_openat, AT_FDCWD, "/tmp/convoy-probe",
                           O_CREAT | O_WRONLY, 0600));
}

static int read_other_file(const struct attempt *a) {
    char byte;
    return success(syscall(SYS_read, a->fd + 1, &byte, 1));
}

static int write_to_standard_output(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_write, STDOUT_FILENO, "x", 1));
}

static int unlink_file(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_unlinkat, AT_FDCWD, "/tmp/convoy-probe", 0));
}

static int make_nameless_file(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_memfd_create, "probe", 0));
}

static int set_ring_up(const struct attempt *a) {
    char parameters[256] = {0};
    (void)a;
    return success(syscall(SYS_io_uring_setup, 1, parameters));
}

/* ---- the network --------------------------------------------------------- */

static int make_socket(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static int make_unix_socket(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static int connect_somewhere(const struct attempt *a) {
    struct sockaddr address = {.sa_family = AF_UNSPEC};
    return success(syscall(SYS_connect, a->fd, &address, sizeof address));
}

/* ---- processes ----------------------------------------------------------- */

static int execute(const struct attempt *a) {
    char *const argv[] = {"true", NULL}, *const env[] = {NULL};
    (void)a;
    return success(syscall(SYS_execve, "/bin/true", argv, env));
}

static int start_process(const struct attempt *a) {
    (void)a;
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return success(child);
}

static int start_process_anew(const struct attempt *a) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    (void)a;
    long child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0)
        _exit(0);
    return success(child);
}

static int trace_parent(const struct attempt *a) {
    return success(
        syscall(SYS_ptrace, PTRACE_ATTACH, (long)a->parent, NULL, NULL));
}

static int read_parent_memory(const struct attempt *a) {
    char byte;
    struct iovec to = {&byte, 1}, from = {(void *)&success, 1};
    return success(
        syscall(SYS_process_vm_readv, a->parent, &to, 1, &from, 1, 0));
}

/* Signal 0 does no harm where it is let through. */
static int kill_parent(const struct attempt *a) {
    return success(syscall(SYS_kill, a->parent, 0));
}

static int kill_parent_thread(const struct attempt *a) {
    return success(syscall(SYS_tgkill, a->parent, a->parent, 0));
}

static int kill_group(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_kill, 0, 0));
}

/* ---- rights -------------------------------------------------------------- */

static int make_memory_executable(const struct attempt *a) {
    (void)a;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -1;
    return success(syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC));
}

static int take_executable_memory(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int take_much_memory(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_mmap, NULL, 2 * MEMORY, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static int become_root(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_setresuid, 0, 0, 0));
}

static int raise_limit(const struct attempt *a) {
    const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)a;
    return success(syscall(SYS_prlimit64, 0, RLIMIT_AS, &limit, NULL));
}

static int make_namespace(const struct attempt *a) {
    (void)a;
    return success(syscall(SYS_unshare, CLONE_NEWUSER));
}

static int load_program(const struct attempt *a) {
    char attributes[128] = {0};
    (void)a;
    return success(syscall(SYS_bpf, 0, attributes, sizeof attributes));
}

static const struct row {
    const char *name;
    bool allowed;
    int (*attempt)(const struct attempt *);
} rows[] = {
    {"send on its socket, take memory", true, send_and_take_memory},
    {"read the clock, set the alarm", true, set_alarm},
    {"open a file", false, open_to_read},
    {"make a file", false, open_to_write},
    {"read another descriptor", false, read_other_file},
    {"write to standard output", false, write_to_standard_output},
    {"unlink a file", false, unlink_file},
    {"memfd_create", false, make_nameless_file},
    {"io_uring_setup", false, set_ring_up},
    {"socket (TCP)", false, make_socket},
    {"socket (Unix)", false, make_unix_socket},
    {"connect", false, connect_somewhere},
    {"execve", false, execute},
    {"clone (fork)", false, start_process},
    {"clone3 (fork)", false, start_process_anew},
    {"ptrace the parent", false, trace_parent},
    {"process_vm_readv of the parent", false, read_parent_memory},
    {"kill the parent", false, kill_parent},
    {"tgkill the parent", false, kill_parent_thread},
    {"kill the process group", false, kill_group},
    {"mprotect to executable", false, make_memory_executable},
    {"mmap executable", false, take_executable_memory},
    {"mmap beyond the limit", false, take_much_memory},
    {"setresuid to root", false, become_root},
    {"prlimit", false, raise_limit},
    {"unshare a user namespace", false, make_namespace},
    {"bpf", false, load_program},
};

/* ---- one attempt --------------------------------------------------------- */

/* The exit status is 0 for success, else the errno. */
_Noreturn static void try(const struct row *row, int fd, pid_t parent) {
    struct attempt attempt = {fd, parent};
    struct err err = {0};
    if (sandbox_enter(fd, MEMORY, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(255);
    }
    _exit(row->attempt(&attempt) == 0 ? 0 : errno & 127);
}

static void tell(int status, char *text, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 0)
        snprintf(text, size, "succeeded");
    else if (WEXITSTATUS(status) == 255)
        snprintf(text, size, "not tried: there is no sandbox");
    else
        snprintf(text, size, "refused (%s)", strerror(WEXITSTATUS(status)));
}

/* Denied: refused, or ended by the filter; any other end is a bug. */
static bool as_it_should_be(const struct row *row, int status) {
    if (WIFSIGNALED(status))
        return !row->allowed && WTERMSIG(status) == SIGSYS;
    if (WEXITSTATUS(status) == 255)
        return false;
    return (WEXITSTATUS(status) == 0) == row->allowed;
}

static bool probe(const struct row *row, FILE *out) {
    int ends[2], status = 0;
    char text[128];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return false;
    fflush(out);
    pid_t child = fork();
    if (child == 0)
        try(row, ends[1], parent);
    close(ends[1]);
    bool sound = child > 0 && waitpid(child, &status, 0) == child &&
                 as_it_should_be(row, status);
    close(ends[0]);
    tell(status, text, sizeof text);
    fprintf(out, "%-6s %-34s %s\n", sound ? "ok" : "FAILED", row->name, text);
    return sound;
}

int probe_sandbox(FILE *out) {
    int failed = 0, count = (int)(sizeof rows / sizeof *rows);
    for (int i = 0; i < count; i++)
        failed += !probe(&rows[i], out);
    fprintf(out, "%d of %d as they should be\n", count - failed, count);
    return failed > 0;
}
