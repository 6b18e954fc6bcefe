#include "fcgi/prefer.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define DAY_S 86400

/* Past the preference at p, to the comma behind it or the end. */
static const char *skip(const char *p) {
    for (bool quoted = false; *p && (quoted || *p != ','); p++) {
        if (quoted && *p == '\\' && p[1])
            p++;
        else if (*p == '"')
            quoted = !quoted;
    }
    return p;
}

/* The number behind "wait" at p; -1 where it is none. */
static int read_seconds(const char *p) {
    p += strspn(p, " \t");
    if (*p++ != '=')
        return -1;
    p += strspn(p, " \t");
    bool quoted = *p == '"';
    p += quoted;
    if (*p < '0' || *p > '9')
        return -1;
    int seconds = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (seconds < DAY_S)
            seconds = seconds * 10 + (*p - '0');
    if (quoted && *p++ != '"')
        return -1;
    p += strspn(p, " \t");
    if (*p && *p != ',' && *p != ';')
        return -1;
    return seconds < DAY_S ? seconds : DAY_S;
}

int prefer_wait(const char *prefer) {
    const char *p = prefer;
    while (*p) {
        p += strspn(p, " \t,");
        size_t len = strcspn(p, " \t=,;");
        if (len == 4 && strncasecmp(p, "wait", 4) == 0)
            return read_seconds(p + 4);
        p = skip(p);
    }
    return -1;
}
