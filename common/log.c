#include "common/log.h"

#include "common/clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"debug", "info", "warn", "error"};

/* The logger's own state: set once by log_open() before there are threads. */
static const char *program_name = "convoy";
static enum log_level least_level = LOG_INFO;

void log_open(const char *program, enum log_level least) {
    program_name = program;
    least_level = least;
}

int log_level_parse(const char *text) {
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

struct line {
    char text[4096];
    size_t len;
};

static void put(struct line *line, char c) {
    if (line->len < sizeof line->text - 1) /* one byte is kept for '\n' */
        line->text[line->len++] = c;
}

static void put_text(struct line *line, const char *text) {
    while (*text)
        put(line, *text++);
}

static bool is_plain(const char *value) {
    if (!*value)
        return false;
    for (const char *p = value; *p; p++)
        if (*p <= ' ' || *p == '"' || *p == '=' || *p == '\\' || *p == 0x7f)
            return false;
    return true;
}

static void put_value(struct line *line, const char *value) {
    if (is_plain(value)) {
        put_text(line, value);
        return;
    }
    put(line, '"');
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            put(line, '\\');
            put(line, (char)c);
        } else if (c == '\n') {
            put_text(line, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            char hex[8];
            snprintf(hex, sizeof hex, "\\x%02x", c);
            put_text(line, hex);
        } else {
            put(line, (char)c);
        }
    }
    put(line, '"');
}

static void put_time(struct line *line) {
    char text[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), text);
    put_text(line, text);
}

void log_event(enum log_level level, const char *event, ...) {
    if (level < least_level)
        return;
    struct line line = {.len = 0};
    put_text(&line, "time=");
    put_time(&line);
    put_text(&line, " level=");
    put_text(&line, names[level]);
    put_text(&line, " program=");
    put_value(&line, program_name);
    put_text(&line, " event=");
    put_value(&line, event);
    va_list args;
    va_start(args, event);
    for (const char *key; (key = va_arg(args, const char *));) {
        const char *value = va_arg(args, const char *);
        put(&line, ' ');
        put_text(&line, key);
        put(&line, '=');
        put_value(&line, value ? value : "");
    }
    va_end(args);
    line.text[line.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.len);
    (void)written; /* there is nowhere left to complain */
}

struct log_text log_format_number(double value, int decimals) {
    struct log_text out;
    snprintf(out.text, sizeof out.text, "%.*f", decimals, value);
    return out;
}
