/*
 * secret: a file that only its owner may read, such as a key or a password.
 *
 *     struct secret secret;
 *     if (secret_read("/etc/convoy/id-secret", &secret, &err) < 0) ...
 *     ... secret.text, secret.size ...
 *     secret_forget(&secret);
 *
 * What others could read is refused, not read with a warning: mode 0600 or
 * less, and owned by root or by whom the program runs as.
 */
#ifndef CONVOY_SECRET_H
#define CONVOY_SECRET_H

#include "common/err.h"

#include <stddef.h>

#define SECRET_MAX 4096

/* Without line ends behind it; NUL-terminated, but any byte may be in it. */
struct secret {
    char text[SECRET_MAX + 1];
    size_t size;
};

/* -1 where there is no such file, it is empty or longer, or others may read
 * it. */
int secret_read(const char *path, struct secret *secret, struct err *err);

/* The file itself, in any form: 0 where only its owner may read it. */
int secret_check(int fd, const char *path, struct err *err);

void secret_forget(struct secret *secret);

#endif
