/*
 * address: where Redis is, and the login to it, which stands in a file and
 * never on the command line, where all users of a machine can read it.
 *
 *     char *address = address_with_login("unix:redis.sock", "login", &err);
 *     store_open(address, &err); ... free(address) once no store is opened
 *
 * The file is a secret (common/secret.h) of one line, USER:PASSWORD or
 * :PASSWORD.
 */
#ifndef CONVOY_ADDRESS_H
#define CONVOY_ADDRESS_H

#include "common/err.h"

/* Owned by the caller, as store_open() takes it. Without a file ("") it is the
 * address itself. */
char *address_with_login(const char *address, const char *login_file,
                         struct err *err);

/* -1 where the address holds a login and stands among the words of the command
 * line. (What options_read() gives points into them or the environment.) */
int address_check(const char *address, int argc, char *const *argv,
                  struct err *err);

#endif
