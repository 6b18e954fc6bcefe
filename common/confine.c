#include "common/confine.h"

#include "common/landlock.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

/* AddressSanitizer looks for leaks by tracing its own threads. */
#if defined(__SANITIZE_ADDRESS__)
#define CONFINES 0
#else
#define CONFINES 1
#endif

#define FRONT CONFINE_FRONT
#define BOTH (CONFINE_FRONT | CONFINE_FOREMAN)

static const struct {
    int call, roles;
} refused[] = {
    /* other processes */
    {SCMP_SYS(ptrace), BOTH},
    {SCMP_SYS(process_vm_readv), BOTH},
    {SCMP_SYS(process_vm_writev), BOTH},
    {SCMP_SYS(process_madvise), BOTH},
    {SCMP_SYS(pidfd_getfd), BOTH},
    {SCMP_SYS(kcmp), BOTH},
    {SCMP_SYS(move_pages), BOTH},
    {SCMP_SYS(migrate_pages), BOTH},
    /* the kernel */
    {SCMP_SYS(bpf), BOTH},
    {SCMP_SYS(perf_event_open), BOTH},
    {SCMP_SYS(userfaultfd), BOTH},
    {SCMP_SYS(io_uring_setup), BOTH},
    {SCMP_SYS(init_module), BOTH},
    {SCMP_SYS(finit_module), BOTH},
    {SCMP_SYS(delete_module), BOTH},
    {SCMP_SYS(kexec_load), BOTH},
    {SCMP_SYS(kexec_file_load), BOTH},
    {SCMP_SYS(iopl), BOTH},
    {SCMP_SYS(ioperm), BOTH},
    {SCMP_SYS(syslog), BOTH},
    {SCMP_SYS(personality), BOTH},
    {SCMP_SYS(vhangup), BOTH},
    {SCMP_SYS(acct), BOTH},
    {SCMP_SYS(reboot), BOTH},
    {SCMP_SYS(swapon), BOTH},
    {SCMP_SYS(swapoff), BOTH},
    {SCMP_SYS(quotactl), BOTH},
    /* keys, clocks */
    {SCMP_SYS(add_key), BOTH},
    {SCMP_SYS(request_key), BOTH},
    {SCMP_SYS(keyctl), BOTH},
    {SCMP_SYS(settimeofday), BOTH},
    {SCMP_SYS(clock_settime), BOTH},
    {SCMP_SYS(clock_adjtime), BOTH},
    {SCMP_SYS(adjtimex), BOTH},
    /* file systems, namespaces */
    {SCMP_SYS(mount), BOTH},
    {SCMP_SYS(umount2), BOTH},
    {SCMP_SYS(move_mount), BOTH},
    {SCMP_SYS(open_tree), BOTH},
    {SCMP_SYS(fsopen), BOTH},
    {SCMP_SYS(fsmount), BOTH},
    {SCMP_SYS(fspick), BOTH},
    {SCMP_SYS(mount_setattr), BOTH},
    {SCMP_SYS(pivot_root), BOTH},
    {SCMP_SYS(chroot), BOTH},
    {SCMP_SYS(unshare), BOTH},
    {SCMP_SYS(setns), BOTH},
    {SCMP_SYS(sethostname), BOTH},
    {SCMP_SYS(setdomainname), BOTH},
    {SCMP_SYS(mknod), BOTH},
    {SCMP_SYS(mknodat), BOTH},
    {SCMP_SYS(open_by_handle_at), BOTH},
    {SCMP_SYS(name_to_handle_at), BOTH},
    {SCMP_SYS(fanotify_init), BOTH},
    {SCMP_SYS(memfd_create), FRONT},
    /* programs, processes, users */
    {SCMP_SYS(execve), FRONT},
    {SCMP_SYS(execveat), FRONT},
    {SCMP_SYS(fork), FRONT},
    {SCMP_SYS(vfork), FRONT},
    {SCMP_SYS(kill), FRONT},
    {SCMP_SYS(tkill), FRONT},
    {SCMP_SYS(pidfd_send_signal), FRONT},
    {SCMP_SYS(setuid), FRONT},
    {SCMP_SYS(setgid), FRONT},
    {SCMP_SYS(setresuid), FRONT},
    {SCMP_SYS(setresgid), FRONT},
    {SCMP_SYS(setgroups), FRONT},
    {SCMP_SYS(chmod), FRONT},
    {SCMP_SYS(fchmod), FRONT},
    {SCMP_SYS(fchmodat), FRONT},
    {SCMP_SYS(chown), FRONT},
    {SCMP_SYS(fchown), FRONT},
    {SCMP_SYS(lchown), FRONT},
    {SCMP_SYS(fchownat), FRONT},
};

/* Threads, yes; processes, no. What clone3 would do stands in memory where a
 * filter cannot look, so that the C library is told to use clone. */
static int refuse_processes(scmp_filter_ctx filter) {
    int status =
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return status ? status
                  : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                     SCMP_SYS(clone3), 0);
}

static int filter_calls(enum confine_role role, struct err *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int status = filter ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof refused / sizeof *refused && !status; i++)
        if (refused[i].roles & role)
            status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
                                      refused[i].call, 0);
    if (!status && role == CONFINE_FRONT)
        status = refuse_processes(filter);
    if (!status)
        status = seccomp_load(filter);
    seccomp_release(filter);
    return status ? err_set(err, "seccomp: %s", strerror(-status)) : 0;
}

int confine(enum confine_role role, struct err *err) {
    if (!CONFINES)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, "no_new_privs: %s", strerror(errno));
    if (role == CONFINE_FRONT && landlock_forbid(LANDLOCK_CHANGES, err) < 0)
        return -1;
    return filter_calls(role, err);
}
