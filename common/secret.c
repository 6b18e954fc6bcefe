#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int secret_check(int fd, const char *path, struct err *err) {
    struct stat file;
    if (fstat(fd, &file) < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(file.st_mode))
        return err_set(err, "%s is no regular file", path);
    if (file.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err,
                       "%s holds a secret, but others than its owner may use "
                       "it (mode %04o): chmod 600 it",
                       path, file.st_mode & 07777);
    if (file.st_uid != 0 && file.st_uid != geteuid())
        return err_set(err,
                       "%s holds a secret, but belongs to another user than "
                       "the one that runs this",
                       path);
    return 0;
}

/* The whole file, up to SECRET_MAX + 1 bytes: one more tells of too many. */
static int read_whole(int fd, const char *path, struct secret *secret,
                      struct err *err) {
    size_t most = sizeof secret->text;
    ssize_t got = 1;
    while (secret->size < most && got > 0) {
        got = read(fd, secret->text + secret->size, most - secret->size);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            secret->size += (size_t)got;
    }
    if (got < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    if (secret->size == most)
        return err_set(err, "%s is longer than %d bytes", path, SECRET_MAX);
    return 0;
}

int secret_read(const char *path, struct secret *secret, struct err *err) {
    memset(secret, 0, sizeof *secret);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set(err, "%s: %s", path, strerror(errno));
    int status = secret_check(fd, path, err);
    if (status == 0)
        status = read_whole(fd, path, secret, err);
    close(fd);
    while (status == 0 && secret->size > 0 &&
           strchr("\r\n", secret->text[secret->size - 1]))
        secret->size--;
    if (status == 0 && secret->size == 0)
        status = err_set(err, "%s is empty", path);
    if (status < 0)
        secret_forget(secret);
    else
        secret->text[secret->size] = 0;
    return status;
}

void secret_forget(struct secret *secret) {
    explicit_bzero(secret, sizeof *secret);
}
