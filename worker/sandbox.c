#include "worker/sandbox.h"

#include "common/landlock.h"

#include <errno.h>
#include <grp.h>
#include <linux/close_range.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

/* AddressSanitizer reserves terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__)
#define LIMIT_ADDRESSES 0
#else
#define LIMIT_ADDRESSES 1
#endif

/* Memory, time, and how a process ends or aborts; that it aborts as itself
 * (SIGABRT, SIGSEGV) is what the foreman's reports live on. */
static const int allowed[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sigaltstack),
};

/* What libraries try and can do without. */
static const int refused[] = {
    SCMP_SYS(access),     SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(fstat),      SCMP_SYS(ioctl),     SCMP_SYS(newfstatat),
    SCMP_SYS(open),       SCMP_SYS(openat),    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(stat),      SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
};

/* No user and no group of that name owns anything: Debian's nobody. */
#define NOBODY 65534

/* Calls on a file, and the one file that each is for. */
static int allow_files(scmp_filter_ctx filter, int fd) {
    const struct {
        int call, file;
    } rows[] = {
        {SCMP_SYS(recvmsg), fd},
        {SCMP_SYS(sendmsg), fd},
        {SCMP_SYS(write), STDERR_FILENO},
        {SCMP_SYS(writev), STDERR_FILENO},
    };
    int status = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == 0; i++)
        status =
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, rows[i].call, 1,
                             SCMP_A0_32(SCMP_CMP_EQ, (unsigned)rows[i].file));
    return status;
}

/* The alarms that end a decode, and abort(): a signal to itself alone. */
static int allow_signals(scmp_filter_ctx filter) {
    int status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  SCMP_A0_32(SCMP_CMP_EQ, (unsigned)getpid()));
    static const unsigned timers[] = {ITIMER_REAL, ITIMER_PROF};
    for (size_t i = 0; i < sizeof timers / sizeof *timers && status == 0; i++)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setitimer),
                                  1, SCMP_A0_32(SCMP_CMP_EQ, timers[i]));
    return status;
}

/* Memory of its own that is not to be executed. */
static int allow_memory(scmp_filter_ctx filter) {
    int status = seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
        SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
        SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return status;
}

static int filter_calls(int fd, struct err *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int status = filter ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !status; i++)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused && !status; i++)
        status =
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
    if (!status)
        status = allow_files(filter, fd);
    if (!status)
        status = allow_memory(filter);
    if (!status)
        status = allow_signals(filter);
    /* What the C library can do without where it is not there. */
    if (!status)
        status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                  SCMP_SYS(clone3), 0);
    if (!status)
        status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
                                  SCMP_ACT_KILL_PROCESS);
    if (!status)
        status = seccomp_load(filter);
    seccomp_release(filter);
    return status ? err_set(err, "seccomp: %s", strerror(-status)) : 0;
}

/* The addresses in use now, in bytes; 0 where /proc is not there. */
static uint64_t addresses_in_use(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%llu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(int resource, uint64_t most, const char *name,
                 struct err *err) {
    struct rlimit limits;
    if (getrlimit((__rlimit_resource_t)resource, &limits) == 0 &&
        limits.rlim_max < most)
        most = limits.rlim_max; /* whoever started us is stricter */
    limits = (struct rlimit){most, most};
    if (setrlimit((__rlimit_resource_t)resource, &limits) < 0)
        return err_set(err, "cannot limit %s: %s", name, strerror(errno));
    return 0;
}

static int limit_resources(uint64_t used, int64_t memory, struct err *err) {
    if (LIMIT_ADDRESSES && used &&
        limit(RLIMIT_AS, used + (uint64_t)memory, "memory", err) < 0)
        return -1;
    if (limit(RLIMIT_CPU, SANDBOX_CPU_MOST_S, "processor time", err) < 0 ||
        limit(RLIMIT_CORE, 0, "core files", err) < 0 ||
        limit(RLIMIT_NPROC, 0, "processes", err) < 0 ||
        limit(RLIMIT_NOFILE, 0, "open files", err) < 0)
        return -1;
    return 0;
}

static void close_files(int fd) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    if (fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
}

/* From root to nobody. What ended us with our parent is lost by that and asked
 * for again. */
static int become_nobody(struct err *err) {
    int death = 0;
    pid_t parent = getppid();
    if (geteuid() != 0)
        return 0;
    prctl(PR_GET_PDEATHSIG, &death);
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return err_set(err,
                       "root cannot become nobody (%s): start the worker as a "
                       "user of its own",
                       strerror(errno));
    prctl(PR_SET_PDEATHSIG, death);
    if (getppid() != parent)
        return err_set(err, "the process that started this one is gone");
    return 0;
}

int sandbox_enter(int fd, int64_t memory, struct err *err) {
    uint64_t used = addresses_in_use(); /* while it may be looked up */
    close_files(fd);
    if (become_nobody(err) < 0)
        return -1;
    /* Not to be traced, nor read through /proc, by who has the same user. */
    prctl(PR_SET_DUMPABLE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, "no_new_privs: %s", strerror(errno));
    if (landlock_forbid(LANDLOCK_EVERYTHING, err) < 0 ||
        limit_resources(used, memory, err) < 0)
        return -1;
    return filter_calls(fd, err);
}
