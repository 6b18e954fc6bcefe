#include "models/train/train.h"

#include "models/train/checkpoint.h"
#include "models/train/progress.h"
#include "models/train/trainer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 256

struct command {
    struct settings settings;
    const char *out;
    const char **files; /* into argv */
    int files_count;
    int threads;
    bool resume, help;
};

enum kind { INTEGER, NUMBER, SEED };

/* Options that set a number. `setting`: kept in checkpoints, so on --resume it
 * may only repeat what the checkpoint says. */
static const struct option {
    const char *name;
    enum kind kind;
    bool setting;
    size_t offset; /* into struct command */
    double low, high;
    const char *help;
} options[] = {
#define FIELD(f) offsetof(struct command, f)
    {"--epochs", INTEGER, true, FIELD(settings.epochs), 1, 100000,
     "times that each image is seen"},
    {"--batch", INTEGER, true, FIELD(settings.batch), 1, 65536,
     "images a step"},
    {"--lr", NUMBER, true, FIELD(settings.rate), 1e-9, 1e9,
     "peak learning rate per 1024 images"},
    {"--momentum", NUMBER, true, FIELD(settings.momentum), 0, 0.9999,
     "Nesterov momentum"},
    {"--weight-decay", NUMBER, true, FIELD(settings.weight_decay), 0, 1e9,
     "per 1024 images, independent of the rate"},
    {"--label-smoothing", NUMBER, true, FIELD(settings.smoothing), 0, 0.99,
     "share of the target spread over all classes"},
    {"--width", NUMBER, true, FIELD(settings.width), 0.01, 64,
     "times the channels of the blocks"},
    {"--validation", INTEGER, true, FIELD(settings.validation), 0, 1e9,
     "images held out, from the end of the last file"},
    {"--seed", SEED, true, FIELD(settings.seed), 0, 0, "of everything random"},
    {"--threads", INTEGER, false, FIELD(threads), 1, THREADS_MAX,
     "does not change the result"},
#undef FIELD
};

#define OPTIONS_COUNT ((int)(sizeof options / sizeof *options))

static void value_text(const struct command *command,
                       const struct option *option, char text[32]) {
    const void *at = (const char *)command + option->offset;
    if (option->kind == INTEGER)
        snprintf(text, 32, "%d", *(const int *)at);
    else if (option->kind == NUMBER)
        snprintf(text, 32, "%g", *(const double *)at);
    else
        snprintf(text, 32, "%llu", (unsigned long long)*(const uint64_t *)at);
}

static void print_help(const struct command *command) {
    puts("usage: convoy-model train --cifar10 FILE.bin... --out DIR "
         "[options]\n\n"
         "Trains a network and writes it to DIR as a model folder.\n\n"
         "  --cifar10 FILE...      CIFAR-10 binary files (1 label byte and "
         "3072 bytes an\n"
         "                         image)\n"
         "  --out DIR              the folder; made if it is not there\n"
         "  --resume               continue from DIR/checkpoint, which is "
         "written after\n"
         "                         each epoch");
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        char text[32];
        value_text(command, &options[i], text);
        printf("  %-22s %s (%s)\n", options[i].name, options[i].help, text);
    }
    puts("  --help                 this text\n\n"
         "In brackets: the value where the option is not given.");
}

/* ---- the command line ---------------------------------------------------- */

static int parse_value(struct command *command, const struct option *option,
                       const char *text, struct err *err) {
    char *end;
    void *at = (char *)command + option->offset;
    errno = 0;
    if (option->kind == SEED) {
        unsigned long long seed = strtoull(text, &end, 10);
        if (errno || *end || end == text || *text == '-')
            return err_set(err, "%s: \"%s\" is no whole number from 0 up",
                           option->name, text);
        *(uint64_t *)at = seed;
        return 0;
    }
    double value = strtod(text, &end);
    bool whole =
        value >= INT_MIN && value <= INT_MAX && value == (double)(int)value;
    if (errno || *end || end == text ||
        !(value >= option->low && value <= option->high) ||
        (option->kind == INTEGER && !whole))
        return err_set(err, "%s: \"%s\" is no %s from %g to %g", option->name,
                       text,
                       option->kind == INTEGER ? "whole number" : "number",
                       option->low, option->high);
    if (option->kind == INTEGER)
        *(int *)at = (int)value;
    else
        *(double *)at = value;
    return 0;
}

static const struct option *find_option(const char *name) {
    for (int i = 0; i < OPTIONS_COUNT; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

/* Words after --cifar10, up to the next option. */
static int take_files(struct command *command, char **argv, int argc, int i) {
    for (; i < argc && strncmp(argv[i], "--", 2) != 0; i++)
        command->files[command->files_count++] = argv[i];
    return i;
}

/* Options that are settings are taken where `settings` says so, the rest where
 * it does not: --resume reads the checkpoint between the two passes. */
static int parse(struct command *command, int argc, char **argv,
                 struct err *err) {
    for (int i = 1; i < argc;) {
        const char *name = argv[i++];
        const struct option *option = find_option(name);
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            command->help = true;
        } else if (strcmp(name, "--resume") == 0) {
            command->resume = true;
        } else if (strcmp(name, "--cifar10") == 0) {
            i = take_files(command, argv, argc, i);
        } else if (strcmp(name, "--out") == 0 && i < argc) {
            command->out = argv[i++];
        } else if (option && i < argc) {
            if (parse_value(command, option, argv[i++], err) < 0)
                return -1;
        } else if (option || strcmp(name, "--out") == 0) {
            return err_set(err, "%s needs a value", name);
        } else {
            return err_set(err, "there is no option \"%s\"", name);
        }
    }
    if (command->help)
        return 0;
    if (command->files_count == 0)
        return err_set(err, "no images: name the files after --cifar10");
    if (!command->out)
        return err_set(err, "where to? name a folder after --out");
    return 0;
}

/* ---- the run ------------------------------------------------------------- */

/* Takes the settings from the checkpoint; those on the command line must not
 * contradict it. */
static int resume_settings(struct command *command, const char *checkpoint,
                           int argc, char **argv, struct err *err) {
    struct command saved = *command;
    if (checkpoint_read_settings(checkpoint, &saved.settings, err) < 0)
        return -1;
    for (int i = 1; i < argc; i++) {
        const struct option *option = find_option(argv[i]);
        char given[32], kept[32];
        if (!option || !option->setting)
            continue;
        value_text(command, option, given);
        value_text(&saved, option, kept);
        if (strcmp(given, kept) != 0)
            return err_set(err,
                           "%s %s: the run to resume has %s; leave the option "
                           "out, or start anew without --resume",
                           option->name, given, kept);
    }
    command->settings = saved.settings;
    return 0;
}

static int run(struct command *command, int argc, char **argv,
               struct err *err) {
    struct dataset images = {0};
    struct trainer *trainer = NULL;
    char checkpoint[PATH_MAX];
    int rc = -1;

    if (snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint",
                 command->out) >= (int)sizeof checkpoint)
        return err_set(err, "%s: the name is too long", command->out);
    if (mkdir(command->out, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: %s", command->out, strerror(errno));
    if (command->resume &&
        resume_settings(command, checkpoint, argc, argv, err) < 0)
        return -1;
    if (dataset_read_cifar10(&images, command->files, command->files_count,
                             err) < 0)
        return -1;
    trainer = trainer_open(&command->settings, &images, command->threads, err);
    if (!trainer)
        goto fail;
    if (command->resume && trainer_resume(trainer, checkpoint, err) < 0)
        goto fail;
    struct progress progress;
    progress_open(&progress, stderr, command->settings.epochs,
                  trainer_epochs_done(trainer));
    if (trainer_run(trainer, checkpoint, &progress, err) < 0)
        goto fail;
    rc = 0;
fail:
    trainer_close(trainer);
    dataset_free(&images);
    return rc;
}

int train_main(int argc, char **argv) {
    struct err err = {0};
    struct command command = {.settings = trainer_defaults};
    int status = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    command.threads = cores < 1             ? 1
                      : cores > THREADS_MAX ? THREADS_MAX
                                            : (int)cores;
    command.files = calloc((size_t)argc + 1, sizeof *command.files);
    if (!command.files) {
        fputs("convoy-model train: no memory\n", stderr);
        return 1;
    }
    struct command defaults = command;
    if (parse(&command, argc, argv, &err) < 0) {
        fprintf(stderr, "convoy-model train: %s\n", err.text);
        status = 2;
    } else if (command.help) {
        print_help(&defaults);
    } else if (run(&command, argc, argv, &err) < 0) {
        fprintf(stderr, "convoy-model train: %s\n", err.text);
        status = 1;
    }
    free(command.files);
    return status;
}
