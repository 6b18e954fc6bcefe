#include "models/train/train.h"

#include "common/options.h"
#include "models/train/checkpoint.h"
#include "models/train/model_folder.h"
#include "models/train/progress.h"
#include "models/train/trainer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "convoy-model train"
#define THREADS_MAX 256
#define COMMAND_MAX 4096

struct command {
    struct settings settings;
    int seed; /* settings.seed, as options read it */
    const char *out;
    struct option_list files;
    int threads;
    int resume, export, json;
};

/* Rows SETTINGS..SETTINGS_END-1 are kept in checkpoints: --resume goes by
 * them. */
#define SETTINGS 2
#define SETTINGS_END (SETTINGS + 12)
#define ROWS (SETTINGS_END + 4)

static void make_rows(struct command *c, struct option_row rows[ROWS]) {
    struct settings *s = &c->settings;
    const struct option_row all[ROWS] = {
        {"cifar10", "FILE...", OPTION_LIST, &c->files, 0, 0,
         "CIFAR-10 in the binary form: data_batch_1.bin ..."},
        {"out", "DIR", OPTION_TEXT, &c->out, 0, 0,
         "the model folder to write; made if missing"},
        {"epochs", "N", OPTION_INT, &s->epochs, 1, 100000,
         "times that each image is seen"},
        {"batch", "N", OPTION_INT, &s->batch, 1, 65536, "images a step"},
        {"lr", "RATE", OPTION_NUMBER, &s->rate, 0, 0,
         "peak learning rate per 1024 images"},
        {"momentum", "M", OPTION_NUMBER, &s->momentum, 0, 1,
         "of Nesterov's gradient descent, below 1"},
        {"weight-decay", "D", OPTION_NUMBER, &s->weight_decay, 0, 0,
         "per 1024 images, independent of the rate"},
        {"label-smoothing", "S", OPTION_NUMBER, &s->smoothing, 0, 1,
         "share of the target spread over all classes"},
        {"cutout", "PIXELS", OPTION_INT, &s->cutout, 0, 1024,
         "side of a square blanked in each image; 0: none"},
        {"translate", "PIXELS", OPTION_INT, &s->translate, 0, 1024,
         "by which each image is moved at most; 0: none"},
        {"zoom", "Z", OPTION_NUMBER, &s->zoom, 0, 1,
         "every other image is made larger or smaller by up to 1 + Z"},
        {"width", "W", OPTION_NUMBER, &s->width, 0, 64,
         "times the channels of the blocks"},
        {"validation", "N", OPTION_INT, &s->validation, 0, INT_MAX,
         "images held out, from the end of the last file"},
        {"seed", "N", OPTION_INT, &c->seed, 0, INT_MAX,
         "of all that is random; the same seed gives the same network"},
        {"threads", "N", OPTION_INT, &c->threads, 1, THREADS_MAX,
         "does not change the result"},
        {"resume", NULL, OPTION_FLAG, &c->resume, 0, 0,
         "go on from DIR/checkpoint, written after each epoch"},
        {"export", NULL, OPTION_FLAG, &c->export, 0, 0,
         "write the model as DIR/checkpoint has it; train no more"},
        {"json", NULL, OPTION_FLAG, &c->json, 0, 0,
         "print the result as one JSON object on one line"},
    };
    memcpy(rows, all, sizeof all);
}

/* ---- the command line ---------------------------------------------------- */

static void init_command(struct command *c) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *c = (struct command){.settings = trainer_defaults};
    c->seed = (int)c->settings.seed;
    c->threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (int)cores;
}

static enum options_result read_options(struct command *c, int argc,
                                        char **argv, struct err *err) {
    struct option_row rows[ROWS];
    make_rows(c, rows);
    const struct options options = {
        .program = PROGRAM,
        .summary = "train a network and write it as a model folder",
        .rows = rows,
        .row_count = ROWS,
        .synopsis = "--cifar10 FILE... --out DIR",
        .flags_only = true};
    option_list_free(&c->files);
    enum options_result result = options_read(&options, argc, argv, err);
    c->settings.seed = (uint64_t)c->seed;
    c->resume |= c->export;
    return result;
}

static int check_command(const struct command *c, struct err *err) {
    if (c->files.count == 0)
        return err_set(err, "no images: name the files after --cifar10");
    if (!c->out)
        return err_set(err, "where to? name a folder after --out");
    return 0;
}

static void value_text(const struct option_row *row, char text[32]) {
    if (row->kind == OPTION_INT)
        snprintf(text, 32, "%d", *(const int *)row->target);
    else
        snprintf(text, 32, "%.10g", *(const double *)row->target);
}

/* What a run that is resumed is asked to change, or 0. */
static int compare_settings(struct command *given, struct command *kept,
                            struct err *err) {
    struct option_row rows[ROWS], kept_rows[ROWS];
    make_rows(given, rows);
    make_rows(kept, kept_rows);
    for (int i = SETTINGS; i < SETTINGS_END; i++) {
        char asked[32], had[32];
        value_text(&rows[i], asked);
        value_text(&kept_rows[i], had);
        if (strcmp(asked, had) != 0)
            return err_set(
                err,
                "--%s %s: the run to resume has %s; leave the option "
                "out, or start anew in another folder",
                rows[i].name, asked, had);
    }
    return 0;
}

/* The checkpoint's settings become the defaults, and the command line, read
 * over them once more, must not change any. */
static int take_settings(struct command *c, const char *checkpoint, int argc,
                         char **argv, struct err *err) {
    struct command kept = *c;
    if (checkpoint_read_settings(checkpoint, &kept.settings, err) < 0)
        return -1;
    kept.seed = (int)kept.settings.seed;
    c->settings = kept.settings;
    c->seed = kept.seed;
    if (read_options(c, argc, argv, err) != OPTIONS_RUN)
        return -1;
    return compare_settings(c, &kept, err);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The command that trains the same network again: every setting written out,
 * files without their folders. */
static void command_text(struct command *c, char text[COMMAND_MAX]) {
    struct option_row rows[ROWS];
    make_rows(c, rows);
    int at = snprintf(text, COMMAND_MAX, PROGRAM " --cifar10");
    for (int i = 0; i < c->files.count && at < COMMAND_MAX; i++)
        at += snprintf(text + at, (size_t)(COMMAND_MAX - at), " %s",
                       base_name(c->files.items[i]));
    if (at < COMMAND_MAX)
        at += snprintf(text + at, (size_t)(COMMAND_MAX - at),
                       " \\\n        --out %s", base_name(c->out));
    for (int i = SETTINGS; i < SETTINGS_END && at < COMMAND_MAX; i++) {
        char value[32];
        bool breaks = (i - SETTINGS) % 4 == 3;
        value_text(&rows[i], value);
        at += snprintf(text + at, (size_t)(COMMAND_MAX - at), "%s--%s %s",
                       breaks ? " \\\n        " : " ", rows[i].name, value);
    }
}

/* ---- Ctrl-C -------------------------------------------------------------- */

static volatile sig_atomic_t stop;

static void ask_to_stop(int signal_number) {
    (void)signal_number;
    stop = 1;
}

/* The first signal ends the run after the batch at hand, the second at once. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = ask_to_stop,
                               .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    stop = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int tell_stopped(const struct command *c, const struct trainer *t,
                        const char *checkpoint, struct err *err) {
    int done = trainer_epochs_done(t);
    if (done == 0)
        return err_set(err, "stopped in the first epoch; nothing is kept");
    return err_set(err,
                   "stopped; %s holds %d of %d epochs. The same command with "
                   "--resume goes on from there",
                   checkpoint, done, c->settings.epochs);
}

/* ---- the run ------------------------------------------------------------- */

static void print_result(const struct command *c, const struct trainer *t) {
    int done = trainer_epochs_done(t);
    const struct epoch_record *last = trainer_epoch(t, done - 1);
    double seconds = trainer_seconds(t);
    double rate = (double)trainer_training_set(t)->count * done / seconds;
    char top1[32] = "null", time[32];

    if (trainer_validation_images(t) > 0)
        snprintf(top1, sizeof top1, "%.6g", last->validation_accuracy);
    progress_time(seconds, time);
    if (c->json)
        printf("{\"top1\":%s,\"epochs\":%d,\"seconds\":%.1f,"
               "\"images_per_second\":%.1f,\"loss\":%.6g}\n",
               top1, done, seconds, rate, last->loss);
    else if (trainer_validation_images(t) > 0)
        printf(
            "%s: right on %.2f %% of %d held-out images after %d epochs (%s)\n",
            c->out, 100 * last->validation_accuracy,
            trainer_validation_images(t), done, time);
    else
        printf("%s: trained for %d epochs (%s); no images were held out\n",
               c->out, done, time);
}

static int train(struct command *c, struct trainer *t, const char *checkpoint,
                 struct err *err) {
    char command[COMMAND_MAX];
    struct progress progress;

    if (c->resume && trainer_resume(t, checkpoint, err) < 0)
        return -1;
    progress_open(&progress, stderr, c->settings.epochs,
                  trainer_epochs_done(t));
    catch_signals();
    int rc = c->export ? 0 : trainer_run(t, checkpoint, &progress, &stop, err);
    if (rc > 0)
        return tell_stopped(c, t, checkpoint, err);
    if (rc < 0)
        return -1;
    command_text(c, command);
    if (model_folder_write(c->out, t, command, err) < 0)
        return -1;
    print_result(c, t);
    return 0;
}

static int prepare_folder(struct command *c, char checkpoint[PATH_MAX],
                          int argc, char **argv, struct err *err) {
    if (snprintf(checkpoint, PATH_MAX, "%s/checkpoint", c->out) >= PATH_MAX)
        return err_set(err, "%s: the name is too long", c->out);
    if (c->resume)
        return take_settings(c, checkpoint, argc, argv, err);
    if (mkdir(c->out, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: %s", c->out, strerror(errno));
    if (access(checkpoint, F_OK) == 0)
        return err_set(err,
                       "%s is there from another run: go on with --resume, or "
                       "remove it to start anew",
                       checkpoint);
    return 0;
}

static int run(struct command *c, int argc, char **argv, struct err *err) {
    struct dataset images = {0};
    char checkpoint[PATH_MAX];
    int rc = -1;

    if (prepare_folder(c, checkpoint, argc, argv, err) < 0 ||
        dataset_read_cifar10(&images, c->files.items, c->files.count, err) < 0)
        return -1;
    struct trainer *trainer =
        trainer_open(&c->settings, &images, c->threads, err);
    if (trainer)
        rc = train(c, trainer, checkpoint, err);
    trainer_close(trainer);
    dataset_free(&images);
    return rc;
}

int train_main(int argc, char **argv) {
    struct err err = {0};
    struct command command;
    int status = 0;

    init_command(&command);
    enum options_result parsed = read_options(&command, argc, argv, &err);
    if (parsed == OPTIONS_RUN && check_command(&command, &err) < 0)
        parsed = OPTIONS_BAD;
    if (parsed == OPTIONS_BAD)
        status = 2;
    else if (parsed == OPTIONS_RUN && run(&command, argc, argv, &err) < 0)
        status = stop ? 130 : 1; /* as a shell has it after SIGINT */
    if (status != 0)
        fprintf(stderr, PROGRAM ": %s\n", err.text);
    option_list_free(&command.files);
    return status;
}
