/*
 * options: a program's settings, one row each: a flag of the command line and
 * an environment variable of the same name. The flag wins, then the variable,
 * then what the target held before (the default).
 *
 *     int threads = 16;
 *     const char *redis = "unix:run/redis.sock";
 *     const struct option_row rows[] = {
 *         {"redis", "ADDRESS", OPTION_TEXT, &redis, 0, 0, "where Redis is"},
 *         {"threads", "N", OPTION_INT, &threads, 1, 1024, "request threads"},
 *     };
 *     const struct options options = {
 *         "convoy-fcgi", "the front of Convoy", rows, 2};
 *     switch (options_read(&options, argc, argv, &err)) {
 *     case OPTIONS_DONE: return 0;          --help or --version was printed
 *     case OPTIONS_BAD: fprintf(stderr, "%s\n", err.text); return 2;
 *     case OPTIONS_RUN: break;
 *     }
 *
 * --redis=X, --redis X and CONVOY_REDIS=X are the same; --max-image is
 * CONVOY_MAX_IMAGE. Flags and `no-` flags take no value; a variable takes 1 or
 * 0. --help is made of the rows. Texts point into argv or the environment.
 */
#ifndef CONVOY_OPTIONS_H
#define CONVOY_OPTIONS_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CONVOY_VERSION "0.1.0"

enum option_kind {
    OPTION_FLAG,   /* int: --x is 1, --no-x is 0 */
    OPTION_TEXT,   /* const char * */
    OPTION_INT,    /* int */
    OPTION_SIZE,   /* int64_t bytes: 512, 64K, 20M, 1G, also KiB, MiB, GiB */
    OPTION_TIME,   /* int64_t ms: 500ms, 30s, 5m, 2h, 30d; bare: seconds */
    OPTION_NUMBER, /* double; least and most are whole */
    OPTION_LIST,   /* struct option_list: all words up to the next option */
};

/* Words of the command line. Zero first; the array is to be freed. */
struct option_list {
    const char **items;
    int count;
};
void option_list_free(struct option_list *list);

struct option_row {
    const char *name;  /* without the dashes */
    const char *value; /* what --help calls the value; NULL for a flag */
    enum option_kind kind;
    void *target;
    int64_t least, most; /* bounds of numbers; both 0: none */
    const char *help;
};

struct options {
    const char *program;
    const char *summary;
    const struct option_row *rows;
    int row_count;
    const char *synopsis; /* the words, for --help: "MODEL IMAGE..." */
    struct option_list *words;
    int words_least, words_most;
    bool flags_only; /* no environment variables */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

enum options_result options_read(const struct options *options, int argc,
                                 char *const *argv, struct err *err);

#endif
