#include "fcgi/query.h"

#include <stdlib.h>
#include <string.h>

static const char *find(const char *query, const char *name) {
    size_t len = strlen(name);
    for (const char *p = query; *p; p += *p == '&') {
        if (strncmp(p, name, len) == 0 && p[len] == '=')
            return p + len + 1;
        p += strcspn(p, "&");
    }
    return NULL;
}

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes up to '&' or the end; -1 where it is malformed or does not fit. */
static int decode(const char *in, char *out, size_t size) {
    size_t len = 0;
    for (; *in && *in != '&'; in++) {
        int c = (unsigned char)*in;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);
            if (low < 0)
                return -1;
            c = high << 4 | low;
            in += 2;
        }
        if (c == 0 || len + 1 >= size)
            return -1;
        out[len++] = (char)c;
    }
    out[len] = 0;
    return 0;
}

int query_text(const char *query, const char *name, char *out, size_t size,
               struct err *err) {
    const char *value = find(query, name);
    if (!value)
        return 0;
    if (decode(value, out, size) < 0)
        return err_problem(err, "bad-parameter",
                           "The parameter %s is malformed or too long.", name);
    return 1;
}

int query_number(const char *query, const char *name, int least, int most,
                 int *out, struct err *err) {
    char text[16] = "";
    int found = query_text(query, name, text, sizeof text, err);
    if (found <= 0)
        return found;
    size_t digits = strspn(text, "0123456789");
    long value = digits > 0 && digits <= 9 && !text[digits]
                     ? strtol(text, NULL, 10)
                     : -1;
    if (value < least || value > most)
        return err_problem(err, "bad-parameter",
                           "The parameter %s must be a number from %d to %d.",
                           name, least, most);
    *out = (int)value;
    return 1;
}
