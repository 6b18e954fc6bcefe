/*
 * train_command: `convoy-model train` as a person runs it, a child process
 * that ends with the test.
 *
 *     struct train_command run = {.words = {"train", "--folder", ...}};
 *     train_command_open(&run, top, "trees");     run.out is top/trees
 *     pid_t child = start(&run, "--epochs 9");    words, then these
 *     kill(child, SIGINT);
 *     assert_int_equal(finish(&run, child), 130); run.text is what it printed
 *     expect(&run, "--resume", 0, "of 8 held-out images");
 */
#ifndef CONVOY_TEST_TRAIN_COMMAND_H
#define CONVOY_TEST_TRAIN_COMMAND_H

#include "common/file.h"
#include "models/train/train.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TRAIN_COMMAND_WORDS = 64 };

struct train_command {
    const char *words[TRAIN_COMMAND_WORDS]; /* NULL behind the last */
    char out[128];                          /* the model folder */
    char printed[128];                      /* the file that stdout goes to */
    char text[16384];                       /* what the last one printed */
};

static inline void train_command_open(struct train_command *run,
                                      const char *top, const char *model) {
    snprintf(run->out, sizeof run->out, "%s/%s", top, model);
    snprintf(run->printed, sizeof run->printed, "%s/printed", top);
}

/* Of a file in the model folder; valid until the next call. */
static inline const char *path_of(const struct train_command *run,
                                  const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", run->out, name);
    return path;
}

/* With the words of `options`, spaces between. */
static inline pid_t start(const struct train_command *run,
                          const char *options) {
    char words[512], *argv[TRAIN_COMMAND_WORDS + 2] = {0};
    int argc = 0;
    for (; run->words[argc]; argc++)
        argv[argc] = (char *)run->words[argc];
    argv[argc++] = "--out";
    argv[argc++] = (char *)run->out;
    snprintf(words, sizeof words, "%s", options);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where an assertion fails */
        if (!freopen(run->printed, "w", stdout) || dup2(1, 2) < 0)
            _exit(99);
        int status = train_main(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    return child;
}

/* The exit status, or minus the signal that ended it. */
static inline int finish(struct train_command *run, pid_t child) {
    struct err err = {0};
    int status;
    size_t size;
    assert_int_equal(waitpid(child, &status, 0), child);
    char *text = file_read(run->printed, sizeof run->text - 1, &size, &err);
    if (!text)
        fail_msg("%s", err.text);
    memcpy(run->text, text, size + 1);
    free(text);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline void expect(struct train_command *run, const char *options,
                          int status, const char *said) {
    int got = finish(run, start(run, options));
    if (got != status || !strstr(run->text, said))
        fail_msg("%s: status %d, not %d with \"%s\":\n%s", options, got, status,
                 said, run->text);
}

static inline void wait_for(const char *path) {
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < 30000 && !file_exists(path); i++) /* a minute */
        nanosleep(&pause, NULL);
    assert_true(file_exists(path));
}

/* A file of the model folder, owned by the caller. */
static inline char *slurp(const struct train_command *run, const char *name,
                          size_t *size) {
    struct err err = {0};
    char *bytes = file_read(path_of(run, name), 1 << 26, size, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    return bytes;
}

#endif
