/*
 * command: the command line of `convoy-model train`.
 *
 *     struct command c;
 *     command_init(&c);
 *     switch (command_read(&c, argc, argv, &err)) { ... }
 *     command_resume(&c, "DIR/checkpoint", argc, argv, &err);    --resume
 *     command_text(&c, text);                 the same run, written out
 *     command_free(&c);
 *
 * One row an option. The rows that are settings are kept in checkpoints:
 * --resume goes by them, and an option that would change one is refused.
 */
#ifndef CONVOY_TRAIN_COMMAND_H
#define CONVOY_TRAIN_COMMAND_H

#include "common/options.h"
#include "models/train/photos.h"
#include "models/train/trainer.h"

#define COMMAND_PROGRAM "convoy-model train"
#define COMMAND_TEXT 16384                 /* of three long paths */
#define COMMAND_BUNDLED "cifar10-airbench" /* what photos begin with */
#define COMMAND_THREADS_MAX 256
#define COMMAND_FROM_MAX 8

struct command {
    struct settings settings; /* 0 or -1: by the data, command_fit() */
    int seed, flip;           /* of settings, as options have them */
    const char *folder, *out, *architecture;
    struct option_list files, from, augment;
    double temperature, threshold; /* 0: to be fitted */
    int threads;
    int scratch, export_labels, resume, export, json;
};

void command_init(struct command *c);
void command_free(struct command *c);

/* Reads and checks; for a folder, over the defaults for one. */
enum options_result command_read(struct command *c, int argc, char **argv,
                                 struct err *err);

/* The checkpoint's settings become the defaults, and the command line, read
 * over them once more, must not change any. */
int command_resume(struct command *c, const char *checkpoint, int argc,
                   char **argv, struct err *err);

/* What the photos decide: epochs, batch, how far images are moved. */
void command_fit(struct command *c, const struct photos *photos);

/* The models of --from without their folders, as settings.from has them. */
void command_from(const struct command *c, char from[64]);

/* The command that trains the same network again, for a shell: every setting
 * written out, paths as they were given. */
void command_text(struct command *c, char text[COMMAND_TEXT]);

#endif
