#include "models/train/command.h"

#include "models/train/checkpoint.h"
#include "models/train/model_folder.h"
#include "models/train/names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For a folder of photos. What is 0, or -1, follows from them. */
static const struct settings photo_defaults = {
    .architecture = "airbench",
    .width = 1,
    .rate = 40,
    .momentum = 0.85,
    .weight_decay = 0.0153,
    .smoothing = 0.1,
    .seed = 1,
    .validation = -1,
    .translate = -1,
    .zoom = 0.25,
    .balance = 1,
    .patience = -1,
    .feature_rate = 0.5,
};

/* Rows SETTINGS..SETTINGS_END-1 are kept in checkpoints; AUGMENT..AUGMENT_END-1
 * of them are what --augment lists by name. */
enum {
    SETTINGS = 6,
    AUGMENT = SETTINGS + 12,
    AUGMENT_END = AUGMENT + 5,
    SETTINGS_END = AUGMENT_END + 4,
    ROWS = SETTINGS_END + 8
};

static void make_rows(struct command *c, struct option_row rows[ROWS]) {
    struct settings *s = &c->settings;
    const struct option_row all[ROWS] = {
        {"folder", "DIR", OPTION_TEXT, &c->folder, 0, 0,
         "your photos: a folder a class, named as the class"},
        {"cifar10", "FILE...", OPTION_LIST, &c->files, 0, 0,
         "or CIFAR-10 in the binary form: data_batch_1.bin ..."},
        {"out", "DIR", OPTION_TEXT, &c->out, 0, 0,
         "the model folder to write; made if missing"},
        {"from", "MODEL...", OPTION_LIST, &c->from, 0, 0,
         "start with the features of a model that convoy-model "
         "trained, or go on with it where the classes are the same; of several "
         "with the mean of their weights; photos: the bundled one"},
        {"scratch", NULL, OPTION_FLAG, &c->scratch, 0, 0,
         "start photos from nothing instead: for thousands of "
         "pictures unlike photographs"},
        {"architecture", "NAME", OPTION_TEXT, &c->architecture, 0, 0,
         "of a network from nothing: airbench, or airbench-residual, deeper "
         "and twice the work"},

        {"size", "PIXELS", OPTION_INT, &s->side, 0, 512,
         "side of the network's input for photos; 0: 48, or 32 "
         "where they are smaller than that; more costs time with its square"},
        {"epochs", "N", OPTION_INT, &s->epochs, 1, 100000,
         "times that each image is seen; photos: by their number"},
        {"batch", "N", OPTION_INT, &s->batch, 1, 65536,
         "images a step; photos: by their number"},
        {"lr", "RATE", OPTION_NUMBER, &s->rate, 0, 0,
         "peak learning rate per 1024 images; photos: 40. Less "
         "where the loss jumps, more where it "
         "creeps"},
        {"feature-lr", "F", OPTION_NUMBER, &s->feature_rate, 0, 10,
         "times that, for features that were brought along; "
         "photos: 0.5"},
        {"frozen", "N", OPTION_INT, &s->frozen, 0, 100000,
         "first epochs that leave those features as they are"},
        {"patience", "N", OPTION_INT, &s->patience, 0, 100000,
         "stop after so many epochs without a better one, and "
         "keep the best; 0: go to the end and "
         "keep the "
         "last; photos: half of the epochs"},
        {"average", "N", OPTION_INT, &s->average, 0, 100000,
         "keep the mean of the weights after each of the last N epochs, which "
         "is often better than any of them, and go to the end; 0: the last "
         "alone"},
        {"momentum", "M", OPTION_NUMBER, &s->momentum, 0, 1,
         "of Nesterov's gradient descent, below 1"},
        {"weight-decay", "D", OPTION_NUMBER, &s->weight_decay, 0, 0,
         "per 1024 images, independent of the rate"},
        {"label-smoothing", "S", OPTION_NUMBER, &s->smoothing, 0, 1,
         "share of the target spread over all classes; photos: "
         "0.1"},
        {"width", "W", OPTION_NUMBER, &s->width, 0, 64,
         "times the channels of the blocks, from nothing"},

        {"flip", NULL, OPTION_FLAG, &c->flip, 0, 0,
         "show each image mirrored every other epoch; --no-flip "
         "where left is not right: letters, "
         "arrows"},
        {"translate", "PIXELS", OPTION_INT, &s->translate, 0, 1024,
         "by which each image is moved at most; photos: an "
         "eighth of their side"},
        {"zoom", "Z", OPTION_NUMBER, &s->zoom, 0, 1,
         "every other image is made larger or smaller by up to "
         "1 + Z; photos: 0.25"},
        {"cutout", "PIXELS", OPTION_INT, &s->cutout, 0, 1024,
         "side of a square blanked in each image; 0: none"},
        {"photometric", "SHARE", OPTION_NUMBER, &s->photometric, 0, 1,
         "of the images get other light, sharpness and compression"},
        {"outliers", "SHARE", OPTION_NUMBER, &s->outliers, 0, 0.5,
         "of the images give way to made-up ones that show nothing, for the "
         "network to be unsure of such"},

        {"balance", NULL, OPTION_FLAG, &s->balance, 0, 0,
         "weigh classes so that a rare one counts as much as a "
         "common one, up to ten times; photos: on"},
        {"validation", "N", OPTION_INT, &s->validation, 0, INT_MAX,
         "images held out to measure on: of CIFAR-10 the last, of "
         "photos a fifth of each class"},
        {"seed", "N", OPTION_INT, &c->seed, 0, INT_MAX,
         "of all that is random; the same seed gives the same "
         "network"},

        {"augment", "NAME...", OPTION_LIST, &c->augment, 0, 0,
         "of flip, translate, zoom, cutout, photometric only those, or "
         "none"},
        {"threads", "N", OPTION_INT, &c->threads, 1, COMMAND_THREADS_MAX,
         "does not change the result"},
        {"temperature", "T", OPTION_NUMBER, &c->temperature, 0, 100,
         "divide the logits by it, as an earlier run's card says; "
         "0: fitted on the held-out images"},
        {"threshold", "SCORE", OPTION_NUMBER, &c->threshold, 0, 1,
         "say \"not sure\" below it, as an earlier run's card says; 0: below "
         "what 95 % of the right answers on the held-out images have"},
        {"export-labels", NULL, OPTION_FLAG, &c->export_labels, 0, 0,
         "write the classes to DIR/labels.txt too, one a line"},
        {"resume", NULL, OPTION_FLAG, &c->resume, 0, 0,
         "go on from DIR/checkpoint, written after each epoch"},
        {"export", NULL, OPTION_FLAG, &c->export, 0, 0,
         "write the model as DIR/checkpoint has it; train no more"},
        {"json", NULL, OPTION_FLAG, &c->json, 0, 0,
         "print the result as one JSON object on one line"},
    };
    memcpy(rows, all, sizeof all);
}

/* ---- reading ------------------------------------------------------------- */

void command_init(struct command *c) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *c = (struct command){.settings = trainer_defaults};
    c->seed = (int)c->settings.seed;
    c->flip = !c->settings.no_flip;
    c->threads = cores < 1                     ? 1
                 : cores > COMMAND_THREADS_MAX ? COMMAND_THREADS_MAX
                                               : (int)cores;
}

void command_free(struct command *c) {
    option_list_free(&c->files);
    option_list_free(&c->from);
    option_list_free(&c->augment);
}

static bool row_is_off(const struct option_row *row) {
    return row->kind == OPTION_NUMBER ? !(*(double *)row->target > 0)
                                      : *(int *)row->target == 0;
}

static void set_row(const struct option_row *row, int value) {
    if (row->kind == OPTION_NUMBER)
        *(double *)row->target = value;
    else
        *(int *)row->target = value;
}

/* Whether the command line says something of this option. */
static bool is_given(const struct option_row *row, int argc, char **argv) {
    size_t length = strlen(row->name);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2) != 0)
            continue;
        word += 2;
        if (row->kind == OPTION_FLAG && strncmp(word, "no-", 3) == 0)
            word += 3;
        if (strncmp(word, row->name, length) == 0 &&
            (!word[length] || word[length] == '='))
            return true;
    }
    return false;
}

static void value_text(const struct option_row *row, char text[32]) {
    if (row->kind == OPTION_NUMBER)
        snprintf(text, 32, "%.10g", *(const double *)row->target);
    else
        snprintf(text, 32, "%d", *(const int *)row->target);
}

/* As one would type it. */
static void row_text(const struct option_row *row, char text[64]) {
    char value[32];
    value_text(row, value);
    if (row->kind == OPTION_FLAG)
        snprintf(text, 64, "--%s%s", row_is_off(row) ? "no-" : "", row->name);
    else
        snprintf(text, 64, "--%s %s", row->name, value);
}

static int read_augment(const struct command *c, const struct option_row *rows,
                        bool *listed, struct err *err) {
    for (int i = 0; i < c->augment.count; i++) {
        const char *word = c->augment.items[i];
        int row = AUGMENT;
        while (row < AUGMENT_END && strcmp(rows[row].name, word) != 0)
            row++;
        if (row == AUGMENT_END && strcmp(word, "none") != 0)
            return err_set(err,
                           "--augment: \"%s\" is none of flip, translate, "
                           "zoom, cutout, photometric, none",
                           word);
        if (row == AUGMENT_END && c->augment.count > 1)
            return err_set(err, "--augment: \"none\" stands alone");
        listed[row] = true; /* "none" marks AUGMENT_END */
    }
    return 0;
}

/* Turns off what --augment does not list. What it lists and nobody has said
 * how much of gets a usual amount. */
static int apply_augment(struct command *c, int argc, char **argv,
                         struct err *err) {
    struct option_row rows[ROWS];
    bool listed[ROWS] = {false};
    char said[64];
    make_rows(c, rows);
    if (c->augment.count == 0)
        return 0;
    if (read_augment(c, rows, listed, err) < 0)
        return -1;
    for (int i = AUGMENT; i < AUGMENT_END; i++) {
        const struct option_row *row = &rows[i];
        row_text(row, said);
        if (is_given(row, argc, argv) && listed[i] == row_is_off(row))
            return err_set(err,
                           "%s contradicts --augment, which %s %s: leave one "
                           "of them out",
                           said, listed[i] ? "lists" : "does not list",
                           row->name);
        if (!listed[i])
            set_row(row, 0);
        else if (i == AUGMENT)
            c->flip = 1;
        else if (row_is_off(row))
            return err_set(err, "--augment %s: how much? say --%s %s",
                           row->name, row->name, row->value);
    }
    return 0;
}

static enum options_result read_over(struct command *c, int argc, char **argv,
                                     struct err *err) {
    struct option_row rows[ROWS];
    make_rows(c, rows);
    const struct options options = {
        .program = COMMAND_PROGRAM,
        .summary = "train a network and write it as a model folder",
        .rows = rows,
        .row_count = ROWS,
        .synopsis = "(--folder DIR | --cifar10 FILE...) --out DIR",
        .flags_only = true};
    command_free(c);
    return options_read(&options, argc, argv, err);
}

/* What follows from the options, once the defaults are the right ones. */
static int settle(struct command *c, int argc, char **argv, struct err *err) {
    if (apply_augment(c, argc, argv, err) < 0)
        return -1;
    if (c->architecture)
        snprintf(c->settings.architecture, sizeof c->settings.architecture,
                 "%s", c->architecture);
    c->settings.seed = (uint64_t)c->seed;
    c->settings.no_flip = !c->flip;
    c->resume |= c->export;
    return 0;
}

static int check(const struct command *c, struct err *err) {
    if (!c->folder == !c->files.count)
        return err_set(err, c->folder
                                ? "either photos or CIFAR-10: leave --folder "
                                  "or --cifar10 out"
                                : "no images: name a folder of photos after "
                                  "--folder, or CIFAR-10's files after "
                                  "--cifar10");
    if (!c->out)
        return err_set(err, "where to? name a folder after --out");
    if (c->from.count > COMMAND_FROM_MAX)
        return err_set(err, "--from takes up to %d models", COMMAND_FROM_MAX);
    if (c->from.count && c->scratch)
        return err_set(err, "--from and --scratch contradict each other");
    return 0;
}

/* Before hours are spent on photos: as far as it does not depend on them. */
static int check_settings(const struct command *c, struct err *err) {
    struct settings s = c->settings;
    if (c->resume) /* by a run that began */
        return 0;
    int side = !c->folder ? 32 : s.side > 0 ? s.side : 48;
    if (s.epochs == 0)
        s.epochs = s.average > 1 ? s.average : 1;
    if (s.batch == 0)
        s.batch = 1;
    if (s.validation < 0)
        s.validation = 1;
    if (s.translate < 0)
        s.translate = 0;
    if (s.patience < 0)
        s.patience = 0;
    return trainer_check(&s, (struct shape){side, side, 3}, err);
}

enum options_result command_read(struct command *c, int argc, char **argv,
                                 struct err *err) {
    enum options_result result = read_over(c, argc, argv, err);
    if (result == OPTIONS_RUN && c->folder) {
        c->settings = photo_defaults;
        c->seed = (int)c->settings.seed;
        c->flip = 1;
        result = read_over(c, argc, argv, err);
    }
    if (result == OPTIONS_RUN &&
        (settle(c, argc, argv, err) < 0 || check(c, err) < 0 ||
         check_settings(c, err) < 0))
        result = OPTIONS_BAD;
    return result;
}

/* What a run that is resumed is asked to change, or 0. */
static int compare_settings(struct command *given, struct command *kept,
                            int argc, char **argv, struct err *err) {
    struct option_row rows[ROWS], kept_rows[ROWS];
    make_rows(given, rows);
    make_rows(kept, kept_rows);
    for (int i = SETTINGS; i < SETTINGS_END; i++) {
        char asked[64], had[64];
        bool listed =
            i >= AUGMENT && i < AUGMENT_END && !is_given(&rows[i], argc, argv);
        row_text(&rows[i], asked);
        row_text(&kept_rows[i], had);
        if (strcmp(asked, had) != 0)
            return err_set(err,
                           "%s%s: the run to resume has %s; leave the option "
                           "out, or start anew in another folder",
                           listed ? "--augment, by what it lists, is " : "",
                           asked, had);
    }
    return 0;
}

void command_from(const struct command *c, char from[64]) {
    char name[NAME_MAX + 1];
    int used = 0;
    *from = 0;
    for (int i = 0; i < c->from.count && used < 63; i++) {
        model_folder_name(c->from.items[i], name);
        used += snprintf(from + used, (size_t)(64 - used), "%s%s", i ? " " : "",
                         name);
    }
}

/* The features and the network that a run began with are in its checkpoint. */
static int compare_beginning(const struct command *c,
                             const struct settings *kept, struct err *err) {
    char from[sizeof kept->from];
    command_from(c, from);
    if (strcmp(c->settings.architecture, kept->architecture) != 0)
        return err_set(err,
                       "--architecture %s: the run to resume has %s; leave the "
                       "option out, or start anew in another folder",
                       c->architecture, kept->architecture);
    if ((c->from.count && strcmp(from, kept->from) != 0) ||
        (c->scratch && *kept->from))
        return err_set(err,
                       "the run to resume began with %s; leave --from and "
                       "--scratch out, or start anew in another folder",
                       *kept->from ? kept->from : "nothing");
    return 0;
}

int command_resume(struct command *c, const char *checkpoint, int argc,
                   char **argv, struct err *err) {
    struct command kept = *c;
    if (checkpoint_read_settings(checkpoint, &kept.settings, err) < 0)
        return -1;
    kept.seed = (int)kept.settings.seed;
    kept.flip = !kept.settings.no_flip;
    c->settings = kept.settings;
    c->seed = kept.seed;
    c->flip = kept.flip;
    if (read_over(c, argc, argv, err) != OPTIONS_RUN ||
        settle(c, argc, argv, err) < 0 ||
        compare_beginning(c, &kept.settings, err) < 0)
        return -1;
    if (c->settings.side == 0) /* by the photos, as it was */
        c->settings.side = kept.settings.side;
    return compare_settings(c, &kept, argc, argv, err);
}

/* ---- what the photos decide ---------------------------------------------- */

#define IMAGES_SEEN 8000 /* what a fine-tuning needs, measured */
#define SCRATCH 6        /* times that, from nothing */
#define EPOCHS_LEAST 8
#define EPOCHS_MOST 100
#define STEPS_LEAST 10 /* an epoch */
#define BATCH_LEAST 16
#define BATCH_MOST 256

static int bounded(int value, int least, int most) {
    return value < least ? least : value > most ? most : value;
}

void command_fit(struct command *c, const struct photos *photos) {
    struct settings *s = &c->settings;
    int count = photos->set.count - photos->held_out;
    s->side = photos->set.shape.width;
    s->validation = photos->held_out;
    if (s->epochs == 0)
        s->epochs = bounded((c->scratch ? SCRATCH : 1) * IMAGES_SEEN / count,
                            EPOCHS_LEAST, EPOCHS_MOST);
    if (s->batch == 0)
        for (s->batch = BATCH_LEAST;
             s->batch < BATCH_MOST && count / s->batch > 2 * STEPS_LEAST;)
            s->batch *= 2;
    if (s->translate < 0)
        s->translate = s->side / 8;
    if (s->patience < 0)
        s->patience =
            s->validation > 0 && s->average == 0 ? (s->epochs + 1) / 2 : 0;
}

/* ---- the command again --------------------------------------------------- */

/* Settings that are for photos, or for features brought along, and those that
 * are off. */
static bool row_matters(const struct command *c, const struct option_row *row) {
    const struct settings *s = &c->settings;
    const bool photos = c->folder || *s->from;
    if (row->target == &s->side || row->target == &s->feature_rate ||
        row->target == &s->frozen)
        return photos;
    if (row->target == &s->patience)
        return photos || !row_is_off(row);
    return row->target != &s->average || !row_is_off(row);
}

static void put_words(FILE *out, const char *option,
                      const struct option_list *words) {
    fputs(option, out);
    for (int i = 0; i < words->count; i++) {
        fputc(' ', out);
        names_shell(out, words->items[i]);
    }
}

/* Which images, where to, and from what. A run that is resumed may not be told
 * again where its beginning lay: then only the names are known. */
static void put_paths(const struct command *c, FILE *out) {
    const char *from = c->settings.from;
    const struct option_list folder = {(const char **)&c->folder, 1};
    const struct option_list to = {(const char **)&c->out, 1};
    fputs(COMMAND_PROGRAM, out);
    if (c->folder)
        put_words(out, " --folder", &folder);
    else
        put_words(out, " --cifar10", &c->files);
    put_words(out, " \\\n        --out", &to);
    if (*from && c->from.count)
        put_words(out, " --from", &c->from);
    else if (*from && (!c->folder || strcmp(from, COMMAND_BUNDLED) != 0))
        fprintf(out, " --from %s", from);
    else if (!*from)
        fprintf(out, "%s --architecture %s", c->folder ? " --scratch" : "",
                c->settings.architecture);
}

void command_text(struct command *c, char text[COMMAND_TEXT]) {
    struct option_row rows[ROWS];
    int shown = 0;
    FILE *out = fmemopen(text, COMMAND_TEXT, "w");
    make_rows(c, rows);
    *text = 0;
    if (!out)
        return;
    put_paths(c, out);
    for (int i = SETTINGS; i < SETTINGS_END; i++) {
        char said[64];
        if (!row_matters(c, &rows[i]))
            continue;
        row_text(&rows[i], said);
        fprintf(out, "%s%s", shown++ % 4 == 3 ? " \\\n        " : " ", said);
    }
    if (c->temperature > 0)
        fprintf(out, " --temperature %.10g", c->temperature);
    if (c->threshold > 0)
        fprintf(out, " --threshold %.10g", c->threshold);
    fclose(out);
    text[COMMAND_TEXT - 1] = 0;
}
