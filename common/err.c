#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->problem = NULL;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return -1;
}

int err_problem(struct err *err, const char *problem, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->problem = problem;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return -1;
}

int err_prefix(struct err *err, const char *format, ...) {
    if (err) {
        char old[sizeof err->text];
        memcpy(old, err->text, sizeof old);
        va_list args;
        va_start(args, format);
        int n = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->text)
            snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s",
                     (int)sizeof old - 1, old);
    }
    return -1;
}
