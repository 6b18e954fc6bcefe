#include "models/train/train.h"

#include "common/file.h"
#include "models/train/calibration.h"
#include "models/train/command.h"
#include "models/train/model_folder.h"
#include "models/train/names.h"
#include "models/train/output.h"
#include "models/train/progress.h"
#include "models/train/report.h"
#include "models/train/transfer.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FINDINGS_SHOWN 10 /* of a kind */

/* What a run works on and with. */
struct run {
    struct command *command;
    int lock; /* of the output folder */
    char checkpoint[PATH_MAX], report[PATH_MAX];
    char text[COMMAND_TEXT]; /* the command, written out */
    char name[NAME_MAX + 1]; /* of the model */
    bool has_photos;
    struct photos photos;  /* of --folder, */
    struct dataset images; /* of --cifar10 */
    struct transfer models[COMMAND_FROM_MAX];
    int models_count; /* 0: starts from nothing */
};

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
        return err_set(err, "stopped in the first epoch; nothing is kept, and "
                            "the same command begins anew");
    return err_set(err,
                   "stopped; %s holds %d of %d epochs. The same command with "
                   "--resume goes on from there",
                   checkpoint, done, c->settings.epochs);
}

/* ---- the images ---------------------------------------------------------- */

static void tell_photos(const struct photos *photos) {
    const struct dataset *set = &photos->set;
    findings_print(&photos->found, stderr, FINDINGS_SHOWN);
    fprintf(stderr,
            "%d photos in %d classes, %d to learn from and %d held out, as "
            "%d x %d pixels\n",
            set->count, set->classes, set->count - photos->held_out,
            photos->held_out, set->shape.width, set->shape.height);
}

static int read_photos(struct run *run, struct err *err) {
    struct command *c = run->command;
    const struct photos_options options = {.folder = c->folder,
                                           .side = c->settings.side,
                                           .held_out = c->settings.validation,
                                           .seed = c->settings.seed};
    struct team *team = team_open(c->threads, err);
    if (!team)
        return -1;
    fprintf(stderr, "reading the photos of %s\n", c->folder);
    int rc = photos_read(&run->photos, &options, team, err);
    team_close(team);
    if (rc < 0)
        return -1;
    run->has_photos = true;
    tell_photos(&run->photos);
    if (!c->resume)
        command_fit(c, &run->photos);
    return 0;
}

static const struct dataset *read_images(struct run *run, struct err *err) {
    struct command *c = run->command;
    if (c->folder)
        return read_photos(run, err) < 0 ? NULL : &run->photos.set;
    if (dataset_read_cifar10(&run->images, c->files.items, c->files.count,
                             err) < 0)
        return NULL;
    return &run->images;
}

/* ---- where it starts from ------------------------------------------------ */

/* The bundled model, beside the program as it was built or installed. */
static int find_bundled(char folder[PATH_MAX], struct err *err) {
    static const char *const places[] = {
        "../../models/zoo/" COMMAND_BUNDLED,
        "../share/convoy/models/" COMMAND_BUNDLED};
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length > 0) {
        program[length] = 0;
        *strrchr(program, '/') = 0;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            snprintf(folder, PATH_MAX, "%s/%s", program, places[i]);
            if (file_is_folder(folder))
                return 0;
        }
    }
    return err_set(err,
                   "the bundled model " COMMAND_BUNDLED " is not where this "
                   "program was built or installed: name a model after "
                   "--from, or start from nothing with --scratch");
}

static int check_model(const struct run *run, struct err *err) {
    const struct command *c = run->command;
    const struct transfer *model = &run->models[0];
    double wider = fabs(c->settings.width - trainer_defaults.width);
    if (wider > 0 && fabs(c->settings.width - model->width) > 0)
        return err_set(err,
                       "--width %g: %s has %g; a width goes with --scratch",
                       c->settings.width, model->name, model->width);
    if (c->architecture && strcmp(c->architecture, model->architecture) != 0)
        return err_set(err,
                       "--architecture %s: %s is %s; an architecture goes with "
                       "--scratch",
                       c->architecture, model->name, model->architecture);
    return 0;
}

/* Photos start from the bundled model unless told otherwise. */
static int open_models(struct run *run, struct err *err) {
    struct command *c = run->command;
    char bundled[PATH_MAX];
    if (c->resume || c->scratch || (!c->folder && !c->from.count))
        return 0;
    if (!c->from.count && find_bundled(bundled, err) < 0)
        return -1;
    do {
        const char *folder =
            c->from.count ? c->from.items[run->models_count] : bundled;
        if (transfer_open(&run->models[run->models_count], folder, err) < 0)
            return -1;
    } while (++run->models_count < c->from.count);
    if (check_model(run, err) < 0)
        return -1;
    const struct transfer *model = &run->models[0];
    strcpy(c->settings.architecture, model->architecture);
    strcpy(c->settings.from, model->name);
    if (c->from.count)
        command_from(c, c->settings.from);
    c->settings.width = model->width;
    return 0;
}

/* Whether all of them have the images' classes. */
static bool same_classes(const struct run *run, const struct dataset *images) {
    bool same = run->models_count > 0;
    for (int i = 0; i < run->models_count; i++)
        same = same && transfer_has_classes(&run->models[i], images->names,
                                            images->classes);
    return same;
}

static int start(struct run *run, struct trainer *t, struct err *err) {
    if (run->command->resume)
        return trainer_resume(t, run->checkpoint, err);
    if (run->command->settings.head)
        fprintf(stderr,
                "going on from %s, whose classes are the same; images that it "
                "was trained on are no test\n",
                run->command->settings.from);
    if (run->models_count)
        return trainer_start_from(t, run->models, run->models_count, err);
    return 0;
}

/* ---- the report --------------------------------------------------------- */

/* A run is worth more than its report: where that cannot be written, the run
 * goes on. */
static void write_report(struct run *run, struct trainer *t, bool running,
                         const char *reason) {
    struct err err = {0};
    const struct report report = {.trainer = t,
                                  .photos =
                                      run->has_photos ? &run->photos : NULL,
                                  .name = run->name,
                                  .command = run->text,
                                  .temperature = run->command->temperature,
                                  .running = running,
                                  .reason = reason};
    int rc = report_write(run->report, &report, &err);
    /* One that is over must not go on to say that it runs: on a full disk the
     * old one's place is enough. */
    if (rc < 0 && !running && unlink(run->report) == 0)
        rc = report_write(run->report, &report, &err);
    if (rc < 0)
        fprintf(stderr, COMMAND_PROGRAM ": %s\n", err.text);
}

static void report_epoch(void *arg, struct trainer *t) {
    write_report(arg, t, true, NULL);
}

/* Of the last checkpoint: what is in memory has learned from half an epoch, or
 * has diverged. */
static void report_stopped(struct run *run, struct trainer *t,
                           const char *reason) {
    struct err err = {0};
    if (trainer_epochs_done(t) > 0 && file_exists(run->checkpoint) &&
        trainer_resume(t, run->checkpoint, &err) < 0)
        fprintf(stderr, COMMAND_PROGRAM ": %s\n", err.text);
    else
        write_report(run, t, false, reason);
}

/* ---- the end ------------------------------------------------------------- */

static void print_result(const struct command *c, const struct trainer *t,
                         const struct outcome *outcome) {
    int done = trainer_epochs_done(t), best = trainer_best_epoch(t);
    const struct epoch_record *kept = trainer_kept(t);
    double seconds = trainer_seconds(t);
    double rate = (double)trainer_training_set(t)->count * done / seconds;
    bool held_out = trainer_validation_images(t) > 0;
    char top1[32] = "null", balanced[32] = "null", error[32] = "null", time[32];

    if (held_out) {
        snprintf(top1, sizeof top1, "%.6g", kept->validation_accuracy);
        snprintf(balanced, sizeof balanced, "%.6g", kept->validation_balanced);
        snprintf(error, sizeof error, "%.6g", outcome->error);
    }
    progress_time(seconds, time);
    if (c->json)
        printf("{\"top1\":%s,\"balanced_accuracy\":%s,\"epochs\":%d,\"best_"
               "epoch\":%d,"
               "\"seconds\":%.1f,\"images_per_second\":%.1f,\"loss\":%.6g,"
               "\"ece\":%s,\"temperature\":%.6g}\n",
               top1, balanced, done, best + 1, seconds, rate, kept->loss, error,
               outcome->temperature);
    else if (held_out)
        printf("%s: right on %.2f %% of %d held-out images after %d epoch%s "
               "(%s), balanced accuracy %.2f %%, calibration error %.4f\n",
               c->out, 100 * kept->validation_accuracy,
               trainer_validation_images(t), best + 1, best > 0 ? "s" : "",
               time, 100 * kept->validation_balanced, outcome->error);
    else
        printf("%s: trained for %d epoch%s (%s); no images were held out\n",
               c->out, done, done > 1 ? "s" : "", time);
}

/* How sure the network may be: fitted on the held-out images, or given. */
static void calibrate(const struct command *c, struct trainer *t,
                      struct outcome *outcome) {
    const struct dataset *held_out = trainer_validation_set(t);
    const float *logits = trainer_validation_logits(t);
    struct calibration before = {0}, after = {0};
    int n = held_out->count, classes = held_out->classes;

    outcome->fitted = n > 0 && !(c->temperature > 0);
    outcome->temperature =
        c->temperature > 0
            ? c->temperature
            : calibration_temperature(logits, held_out->labels, n, classes);
    calibration_measure(&before, logits, held_out->labels, n, classes, 1);
    calibration_measure(&after, logits, held_out->labels, n, classes,
                        outcome->temperature);
    outcome->threshold =
        c->threshold > 0 ? c->threshold
                         : calibration_threshold(logits, held_out->labels, n,
                                                 classes, outcome->temperature);
    outcome->error_before = calibration_error(&before);
    outcome->error = calibration_error(&after);
}

static int finish(struct run *run, struct trainer *t, struct err *err) {
    struct command *c = run->command;
    struct outcome outcome = {.command = run->text,
                              .photos = run->has_photos ? &run->photos : NULL,
                              .write_labels = c->export_labels};
    if (trainer_epochs_done(t) == 0)
        return err_set(err, "%s: nothing has been learned yet", c->out);
    trainer_use_best(t);
    calibrate(c, t, &outcome);
    if (model_folder_write(c->out, t, &outcome, err) < 0)
        return -1;
    write_report(run, t, false, NULL);
    print_result(c, t, &outcome);
    return 0;
}

/* ---- the run ------------------------------------------------------------- */

static int train(struct run *run, struct trainer *t, struct err *err) {
    struct command *c = run->command;
    struct progress progress;
    const struct trainer_watch watch = {.progress = &progress,
                                        .stop = &stop,
                                        .epoch = report_epoch,
                                        .arg = run};

    if (start(run, t, err) < 0)
        return -1;
    command_text(c, run->text);
    if (!c->export && !trainer_finished(t)) {
        write_report(run, t, true, NULL);
        fprintf(stderr, "to watch it: %s\n", run->report);
    }
    progress_open(&progress, stderr, c->settings.epochs,
                  trainer_epochs_done(t));
    catch_signals();
    int rc = c->export ? 0 : trainer_run(t, run->checkpoint, &watch, err);
    if (rc > 0)
        tell_stopped(c, t, run->checkpoint, err);
    if (rc != 0) {
        report_stopped(run, t, err->text);
        return -1;
    }
    return finish(run, t, err);
}

static int prepare_folder(struct run *run, int argc, char **argv,
                          struct err *err) {
    struct command *c = run->command;
    if (snprintf(run->checkpoint, PATH_MAX, "%s/checkpoint", c->out) >=
        PATH_MAX)
        return err_set(err, "%s: the name is too long", c->out);
    snprintf(run->report, PATH_MAX, "%s/report.html", c->out);
    model_folder_name(c->out, run->name);
    const struct output output = {c->out, c->folder, c->resume};
    if (c->resume && !file_exists(run->checkpoint))
        return err_set(err,
                       "%s: there is nothing to go on from: no epoch was "
                       "finished there. Without --resume it begins anew",
                       run->checkpoint);
    run->lock = output_open(&output, err);
    if (run->lock < 0)
        return -1;
    return c->resume ? command_resume(c, run->checkpoint, argc, argv, err) : 0;
}

static int run_command(struct command *c, int argc, char **argv,
                       struct err *err) {
    struct run run = {.command = c, .lock = -1};
    const struct dataset *images = NULL;
    int rc = -1;

    if (prepare_folder(&run, argc, argv, err) == 0 &&
        open_models(&run, err) == 0)
        images = read_images(&run, err);
    if (images && !c->resume)
        c->settings.head = same_classes(&run, images);
    struct trainer *trainer =
        images ? trainer_open(&c->settings, images, c->threads, err) : NULL;
    if (trainer)
        rc = train(&run, trainer, err);
    trainer_close(trainer);
    for (int i = 0; i < run.models_count; i++)
        transfer_close(&run.models[i]);
    photos_free(&run.photos);
    dataset_free(&run.images);
    if (run.lock >= 0)
        close(run.lock);
    return rc;
}

int train_main(int argc, char **argv) {
    struct err err = {0};
    struct command command;
    int status = 0;

    command_init(&command);
    enum options_result parsed = command_read(&command, argc, argv, &err);
    if (parsed == OPTIONS_BAD)
        status = 2;
    else if (parsed == OPTIONS_RUN &&
             run_command(&command, argc, argv, &err) < 0)
        status = stop ? 130 : 1; /* as a shell has it after SIGINT */
    names_plain(err.text);
    if (status != 0)
        fprintf(stderr, COMMAND_PROGRAM ": %s\n", err.text);
    command_free(&command);
    return status;
}
