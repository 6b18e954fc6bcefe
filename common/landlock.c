/*
 * By bare system calls and numbers of our own: the C library has no wrapper,
 * and the headers of the machine that builds may be older than the kernel that
 * runs. A version of the interface knows all that earlier ones know and refuses
 * what it does not, so the kernel is asked for its version first.
 */
#include "common/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all of Linux' architectures but alpha. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define ASK_VERSION 1u

/* struct landlock_ruleset_attr: it grew at its end. */
struct ruleset {
    uint64_t files, ports, scopes;
};

/* What can be forbidden from which version on, and how long the struct is. */
static const struct {
    int version;
    struct ruleset forbids;
    size_t size;
} versions[] = {
    {1, {0x1fff, 0, 0}, 8},    /* read, write, execute, make and remove */
    {2, {0x3fff, 0, 0}, 8},    /* and link between folders */
    {3, {0x7fff, 0, 0}, 8},    /* and truncate */
    {4, {0x7fff, 0x3, 0}, 16}, /* and bind and connect TCP */
    {5, {0xffff, 0x3, 0}, 16}, /* and ioctl on devices */
    /* and abstract Unix sockets and signals of who is outside */
    {6, {0xffff, 0x3, 0x3}, 24},
};

/* Of files: execute 0x1, write 0x2, remove folders 0x10, make devices, folders,
 * files, pipes and links 0x1dc0 (not sockets, 0x200), move 0x2000, truncate
 * 0x4000. */
#define CHANGES 0x7dd3u

int landlock_forbid(enum landlock_realm realm, struct err *err) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
    if (version < 1) /* ENOSYS: too old; EOPNOTSUPP: not turned on */
        return 0;
    size_t row = sizeof versions / sizeof *versions - 1;
    while (row > 0 && versions[row].version > version)
        row--;
    struct ruleset forbids = versions[row].forbids;
    if (realm == LANDLOCK_CHANGES)
        forbids = (struct ruleset){.files = forbids.files & CHANGES};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &forbids,
                          versions[row].size, 0);
    if (fd < 0)
        return err_set(err, "landlock %ld: %s", version, strerror(errno));
    long status = syscall(SYS_landlock_restrict_self, fd, 0);
    int why = errno;
    close(fd);
    return status == 0 ? 1 : err_set(err, "landlock: %s", strerror(why));
}
