#include "common/address.h"

#include "common/secret.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *join(const char *scheme, const char *login, const char *rest,
                  struct err *err) {
    char *address = NULL;
    if (asprintf(&address, "%s%s@%s", scheme, login, rest) >= 0)
        return address;
    err_set(err, "out of memory");
    return NULL;
}

char *address_with_login(const char *address, const char *login_file,
                         struct err *err) {
    struct secret secret;
    char *whole = NULL;
    if (!*login_file) {
        whole = strdup(address);
        if (!whole)
            err_set(err, "out of memory");
        return whole;
    }
    if (strchr(address, '@')) {
        err_set(err, "--redis holds a login already, so --redis-login is one "
                     "too many");
        return NULL;
    }
    if (secret_read(login_file, &secret, err) < 0) {
        err_prefix(err, "--redis-login");
        return NULL;
    }
    if (!strchr(secret.text, ':') || strlen(secret.text) != secret.size ||
        strpbrk(secret.text, "\r\n"))
        err_set(err, "--redis-login: %s is not one line, USER:PASSWORD",
                login_file);
    else if (strncmp(address, "unix:", 5) == 0)
        whole = join("unix://", secret.text, address + 5, err);
    else
        whole = join(
            "redis://", secret.text,
            strncmp(address, "redis://", 8) == 0 ? address + 8 : address, err);
    secret_forget(&secret);
    return whole;
}

int address_check(const char *address, int argc, char *const *argv,
                  struct err *err) {
    uintptr_t at = (uintptr_t)address;
    if (!strchr(address, '@'))
        return 0;
    for (int i = 0; i < argc; i++)
        if (at >= (uintptr_t)argv[i] &&
            at <= (uintptr_t)argv[i] + strlen(argv[i]))
            return err_set(err,
                           "--redis: a password on the command line can be "
                           "read by all users of this machine; put "
                           "USER:PASSWORD into a file (--redis-login)");
    return 0;
}
