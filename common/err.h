/*
 * err: the one shape of an error.
 *
 *     struct err err = {0};
 *     if (store_ping(store, &err) < 0)
 *         log_error("redis", "error=%s", err.text);
 *
 * A function that can fail returns 0 or -1 (or a pointer or NULL) and fills the
 * caller's `struct err` with a sentence that a person can act on: what is
 * wrong, where, and what to do. The caller owns it; passing NULL is allowed
 * where the reason is of no interest. On success it is left alone.
 */
#ifndef CONVOY_ERR_H
#define CONVOY_ERR_H

struct err {
    const char *problem; /* slug of an API problem ("corrupt-image"), a string
                            with static lifetime, or NULL */
    char text[512];
};

/* Formats the sentence; returns -1 so that `return err_set(...)` reads well. */
int err_set(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with a problem slug, for errors that reach an API client. */
int err_problem(struct err *err, const char *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence; returns -1. */
int err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
