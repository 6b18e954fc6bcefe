#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads up to `size` bytes; a file that shrinks meanwhile gives fewer. */
static ssize_t read_fully(int fd, char *bytes, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, bytes + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

#define HUGE_PAGE ((size_t)2 << 20)

/* A model of 100 MB in pages of 4 KiB is 25,000 faults. */
static void wish_for_huge_pages(void *block, size_t size) {
    uintptr_t first = ((uintptr_t)block + HUGE_PAGE - 1) / HUGE_PAGE;
    uintptr_t end = ((uintptr_t)block + size) / HUGE_PAGE;
    if (end > first)
        madvise((void *)(first * HUGE_PAGE), (end - first) * HUGE_PAGE,
                MADV_HUGEPAGE); /* not a need: the result is no matter */
}

/* A descriptor of a regular file, and its size; -1: an error was set. */
static int open_whole(const char *path, size_t most, size_t *size,
                      struct err *err) {
    struct stat st;
    /* Not to wait for somebody to write to a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0)
        err_set(err, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(err, "%s: is not a regular file", path);
    else if (st.st_size < 0 || (size_t)st.st_size > most)
        err_set(err, "%s: has %lld bytes, at most %zu are accepted", path,
                (long long)st.st_size, most);
    else {
        *size = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

void *file_read(const char *path, size_t most, size_t *size, struct err *err) {
    size_t room;
    int fd = open_whole(path, most, &room, err);
    if (fd < 0)
        return NULL;
    char *bytes = malloc(room + 1);
    if (!bytes) {
        err_set(err, "%s: not enough memory for its %zu bytes", path, room);
        goto fail;
    }
    wish_for_huge_pages(bytes, room);
    ssize_t n = read_fully(fd, bytes, room);
    if (n < 0) {
        err_set(err, "%s: %s", path, strerror(errno));
        goto fail;
    }
    bytes[n] = 0;
    *size = (size_t)n;
    close(fd);
    return bytes;
fail:
    free(bytes);
    close(fd);
    return NULL;
}

void *file_map(const char *path, size_t most, size_t *size, struct err *err) {
    int fd = open_whole(path, most, size, err);
    if (fd < 0)
        return NULL;
    if (*size == 0) {
        err_set(err, "%s: is empty", path);
        close(fd);
        return NULL;
    }
    void *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        err_set(err, "%s: cannot be mapped: %s", path, strerror(errno));
    close(fd); /* the mapping keeps the file */
    return bytes == MAP_FAILED ? NULL : bytes;
}

static int write_fully(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_write(const char *path, const void *bytes, size_t size,
               struct err *err) {
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return err_set(err, "%s: the name is too long", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(err, "%s: %s", beside, strerror(errno));
    if (write_fully(fd, bytes, size) < 0 || fsync(fd) < 0)
        goto fail;
    int rc = close(fd);
    fd = -1;
    if (rc < 0 || rename(beside, path) < 0)
        goto fail;
    return 0;
fail:
    err_set(err, "%s: cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    unlink(beside);
    return -1;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
