/* Runs on a tiny set: they learn, they repeat, they go on where they were. */
#include "tests/unit/train_tiny.h"

#include "models/train/checkpoint.h"
#include "models/train/progress.h"

enum { IMAGES = 70 };

struct fixture {
    struct tiny tiny;
    struct dataset images;
    char checkpoint[128];
};

static int open_images(void **state) {
    static struct fixture f;
    struct err err = {0};
    tiny_open(&f.tiny, IMAGES);
    const char *file = f.tiny.file;
    snprintf(f.checkpoint, sizeof f.checkpoint, "%s/checkpoint", f.tiny.folder);
    *state = &f;
    return dataset_read_cifar10(&f.images, &file, 1, &err);
}

static int close_images(void **state) {
    struct fixture *f = *state;
    dataset_free(&f->images);
    tiny_close(&f->tiny);
    return 0;
}

static struct trainer *
open_trainer(struct fixture *f, const struct settings *settings, int threads) {
    struct err err = {0};
    struct trainer *t = trainer_open(settings, &f->images, threads, &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

/* Where progress goes: sets `stop` once `lines` epochs were told. */
struct watcher {
    int lines;
    volatile sig_atomic_t stop;
};

static ssize_t watch(void *cookie, const char *text, size_t size) {
    struct watcher *w = cookie;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n' && --w->lines == 0)
            w->stop = 1;
    return (ssize_t)size;
}

/* Trains until `lines` epochs are done; 0 is all. */
static int run(struct fixture *f, struct trainer *t, int lines) {
    struct err err = {0};
    struct progress progress;
    struct watcher watcher = {.lines = lines};
    FILE *out =
        fopencookie(&watcher, "w", (cookie_io_functions_t){.write = watch});
    assert_non_null(out);
    progress_open(&progress, out, trainer_settings(t)->epochs,
                  trainer_epochs_done(t));
    const struct trainer_watch watched = {.progress = &progress,
                                          .stop = &watcher.stop};
    int rc = trainer_run(t, f->checkpoint, &watched, &err);
    fclose(out);
    if (rc < 0)
        fail_msg("%s", err.text);
    return rc;
}

static void assert_same(struct trainer *a, struct trainer *b) {
    const struct network *x = trainer_network(a), *y = trainer_network(b);
    assert_int_equal(x->count, y->count);
    assert_memory_equal(x->values, y->values, x->count * sizeof *x->values);
    assert_memory_equal(x->momentum, y->momentum,
                        x->count * sizeof *x->momentum);
    for (int i = 0; i < trainer_epochs_done(a); i++) {
        const struct epoch_record *p = trainer_epoch(a, i);
        const struct epoch_record *q = trainer_epoch(b, i);
        assert_true(p->loss == q->loss);
        assert_true(p->validation_loss == q->validation_loss);
    }
}

static void train_trainer_learns_the_tiny_set(void **state) {
    struct fixture *f = *state;
    struct settings settings = tiny_settings();
    settings.epochs = 20;
    settings.rate = 40; /* few steps: longer ones */
    struct trainer *t = open_trainer(f, &settings, 2);
    assert_int_equal(run(f, t, 0), 0);
    const struct epoch_record *last = trainer_epoch(t, 19);
    assert_true(last->loss < trainer_epoch(t, 0)->loss - 0.5);
    assert_true(last->validation_accuracy >= 0.9);
    assert_int_equal(trainer_epochs_done(t), 20);
    assert_int_equal(trainer_training_set(t)->count, IMAGES - 10);
    assert_true(trainer_seconds(t) > 0);
    trainer_close(t);
}

static void
train_trainer_repeats_a_seed_on_any_number_of_threads(void **state) {
    struct fixture *f = *state;
    struct settings settings = tiny_settings();
    struct trainer *one = open_trainer(f, &settings, 1);
    struct trainer *three = open_trainer(f, &settings, 3);
    settings.seed++;
    struct trainer *other = open_trainer(f, &settings, 1);
    run(f, one, 0);
    run(f, three, 0);
    run(f, other, 0);
    assert_same(one, three);
    assert_memory_not_equal(trainer_network(one)->values,
                            trainer_network(other)->values,
                            trainer_network(one)->count * sizeof(float));
    trainer_close(one);
    trainer_close(three);
    trainer_close(other);
}

/* Stopped after one epoch, in the middle of the second: the checkpoint is the
 * first's, and from it the run ends as if nothing had been. */
static void train_trainer_goes_on_bit_for_bit(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct settings settings = tiny_settings();
    struct trainer *whole = open_trainer(f, &settings, 1);
    struct trainer *broken = open_trainer(f, &settings, 2);
    struct trainer *resumed = open_trainer(f, &settings, 2);
    assert_int_equal(run(f, whole, 0), 0);
    assert_int_equal(run(f, broken, 1), 1);
    assert_int_equal(trainer_epochs_done(broken), 1);
    if (trainer_resume(resumed, f->checkpoint, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(trainer_epochs_done(resumed), 1);
    assert_int_equal(run(f, resumed, 0), 0);
    assert_same(whole, resumed);
    trainer_close(whole);
    trainer_close(broken);
    trainer_close(resumed);
}

static void train_trainer_measures_what_a_checkpoint_holds(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct settings settings = tiny_settings();
    struct trainer *t = open_trainer(f, &settings, 2);
    struct trainer *again = open_trainer(f, &settings, 1);
    struct epoch_record record = {0};
    run(f, t, 0);
    assert_int_equal(trainer_resume(again, f->checkpoint, &err), 0);
    trainer_validate(again, &record);
    assert_true(record.validation_loss == trainer_epoch(t, 2)->validation_loss);
    assert_int_equal(run(f, again, 0), 0); /* nothing is left to do */
    assert_same(t, again);
    trainer_close(t);
    trainer_close(again);
}

static void train_trainer_says_when_it_diverges(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct progress progress;
    struct settings settings = tiny_settings();
    settings.rate = 1e30;
    struct trainer *t = open_trainer(f, &settings, 1);
    FILE *out = fopen("/dev/null", "w");
    progress_open(&progress, out, settings.epochs, 0);
    const struct trainer_watch watched = {.progress = &progress};
    assert_int_equal(trainer_run(t, f->checkpoint, &watched, &err), -1);
    assert_non_null(strstr(err.text, "try a smaller learning rate"));
    fclose(out);
    trainer_close(t);
}

/* A trainer of the tiny set that finds `history` in its checkpoint. */
static struct trainer *with_history(struct fixture *f, struct settings settings,
                                    struct epoch_record history[3]) {
    struct err err = {0};
    settings.epochs = 3;
    settings.patience = 3;
    struct trainer *t = open_trainer(f, &settings, 1);
    struct network *net = trainer_network(t);
    const struct checkpoint c = {.settings = settings,
                                 .fingerprint = dataset_fingerprint(&f->images),
                                 .epochs_done = 3,
                                 .count = net->count,
                                 .history = history,
                                 .values = net->values,
                                 .momentum = net->momentum,
                                 .slow = net->momentum,
                                 .aside = net->values};
    if (checkpoint_write(f->checkpoint, &c, &err) < 0 ||
        trainer_resume(t, f->checkpoint, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

/* Naming all images the common class is right on most of them. */
static void train_trainer_chooses_by_balanced_accuracy(void **state) {
    struct fixture *f = *state;
    struct settings settings = tiny_settings();
    struct epoch_record history[3] = {
        {.validation_accuracy = 0.99, .validation_balanced = 0.5},
        {.validation_accuracy = 0.95, .validation_balanced = 0.9},
        {.validation_accuracy = 0.95, .validation_balanced = 0.9}};
    settings.balance = 1;
    history[2].validation_loss = 1; /* as right, but less sure */
    struct trainer *t = with_history(f, settings, history);
    assert_int_equal(trainer_best_epoch(t), 1);
    trainer_close(t);
    settings.balance = 0;
    t = with_history(f, settings, history);
    assert_int_equal(trainer_best_epoch(t), 0);
    trainer_close(t);
}

/* Two classes of ten images, all of one but one, in what is held out. */
static void train_trainer_measures_every_class_alike(void **state) {
    struct fixture *f = *state;
    struct settings settings = tiny_settings();
    struct epoch_record record;
    struct dataset images = f->images;
    struct err err = {0};
    uint16_t labels[IMAGES] = {0};
    images.labels = labels;
    images.classes = 2;
    labels[0] = labels[IMAGES - 1] = 1;
    settings.balance = 1;
    struct trainer *t = trainer_open(&settings, &images, 1, &err);
    if (!t)
        fail_msg("%s", err.text);
    trainer_validate(t, &record);
    const float *logits = trainer_validation_logits(t);
    double right[2] = {0};
    for (int i = 0; i < 10; i++)
        right[i == 9] += (logits[2 * i + 1] > logits[2 * i]) == (i == 9);
    assert_float_equal(record.validation_balanced,
                       (right[0] / 9 + right[1]) / 2, 1e-9);
    assert_float_equal(record.validation_accuracy, (right[0] + right[1]) / 10,
                       1e-9);
    /* One of sixty would weigh 30 to be as much as the others. */
    assert_float_equal(trainer_network(t)->class_weights[1], 10, 0);
    trainer_close(t);
}

/* Statistics that are measured anew may be worse: then those of training stay,
 * and what is told is what the network does. */
static void train_trainer_keeps_the_better_statistics(void **state) {
    struct fixture *f = *state;
    struct settings settings = tiny_settings();
    struct epoch_record history[3] = {{.validation_accuracy = 0}}, record;
    bool anew;
    history[1].validation_accuracy = 1; /* hard to beat */
    struct trainer *t = with_history(f, settings, history);
    struct network *net = trainer_network(t);
    size_t size = net->count * sizeof *net->values;
    float *before = malloc(size);
    assert_non_null(before);
    memcpy(before, net->values, size);
    assert_null(trainer_settled(t, &anew));
    trainer_use_best(t);
    assert_memory_equal(net->values, before, size);
    assert_non_null(trainer_settled(t, &anew));
    assert_false(anew);
    trainer_validate(t, &record);
    assert_true(trainer_kept(t)->validation_loss == record.validation_loss);
    trainer_close(t);

    history[1].validation_accuracy = -1; /* easy */
    t = with_history(f, settings, history);
    trainer_use_best(t);
    const struct epoch_record *settled = trainer_settled(t, &anew);
    assert_true(anew);
    trainer_validate(t, &record);
    assert_true(settled->validation_loss == record.validation_loss);
    trainer_close(t);
    free(before);
}

/* The weights of a run's epochs, as they end; of its last layer. */
struct seen {
    int epochs;
    float weights[3][1024];
};

static const struct param *last_weights(struct trainer *t) {
    struct network *net = trainer_network(t);
    return layer_param(&net->layers[net->layers_count - 1], "weight");
}

static void see(void *arg, struct trainer *t) {
    struct seen *seen = arg;
    const struct param *weight = last_weights(t);
    assert_true(weight->count <= 1024);
    memcpy(seen->weights[seen->epochs++], weight->value,
           weight->count * sizeof *weight->value);
}

/* Also where the run was broken off while it was taken. */
static void train_trainer_keeps_the_mean_of_the_last_epochs(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct settings settings = tiny_settings();
    static struct seen seen;
    const struct trainer_watch watched = {.epoch = see, .arg = &seen};
    bool anew;
    settings.epochs = 3;
    settings.average = 2;
    struct trainer *whole = open_trainer(f, &settings, 1);
    assert_int_equal(trainer_run(whole, f->checkpoint, &watched, &err), 0);
    assert_int_equal(seen.epochs, 3);
    assert_int_equal(trainer_averaged(whole), 2);
    trainer_use_best(whole);
    const struct param *weight = last_weights(whole);
    for (size_t i = 0; i < weight->count; i++)
        assert_float_equal(weight->value[i],
                           (seen.weights[1][i] + seen.weights[2][i]) / 2, 1e-6);
    assert_non_null(trainer_settled(whole, &anew));
    assert_true(anew);

    struct trainer *broken = open_trainer(f, &settings, 1);
    struct trainer *resumed = open_trainer(f, &settings, 1);
    assert_int_equal(run(f, broken, 2), 1);
    assert_int_equal(trainer_averaged(broken), 1);
    assert_int_equal(trainer_resume(resumed, f->checkpoint, &err), 0);
    assert_int_equal(run(f, resumed, 0), 0);
    trainer_use_best(resumed);
    assert_same(whole, resumed);
    trainer_close(whole);
    trainer_close(broken);
    trainer_close(resumed);
}

static void refuse(struct fixture *f, const struct settings *settings,
                   const char *why) {
    struct err err = {0};
    assert_null(trainer_open(settings, &f->images, 1, &err));
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void train_trainer_refuses_settings_that_make_no_sense(void **state) {
    struct fixture *f = *state;
    struct settings s = tiny_settings();
    s.validation = IMAGES;
    refuse(f, &s, "cannot hold out");
    s = tiny_settings();
    s.momentum = 1;
    refuse(f, &s, "momentum");
    s = tiny_settings();
    s.rate = 0;
    refuse(f, &s, "learning rate");
    s = tiny_settings();
    s.batch = 0;
    refuse(f, &s, "batch");
    s = tiny_settings();
    s.cutout = 32;
    refuse(f, &s, "32 pixels leaves nothing");
    s = tiny_settings();
    strcpy(s.architecture, "vgg");
    refuse(f, &s, "\"vgg\"");
    s = tiny_settings();
    s.average = s.epochs + 1;
    refuse(f, &s, "epochs at most");
    s.average = s.patience = 1;
    refuse(f, &s, "say --patience 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_trainer_learns_the_tiny_set),
        cmocka_unit_test(train_trainer_repeats_a_seed_on_any_number_of_threads),
        cmocka_unit_test(train_trainer_goes_on_bit_for_bit),
        cmocka_unit_test(train_trainer_measures_what_a_checkpoint_holds),
        cmocka_unit_test(train_trainer_says_when_it_diverges),
        cmocka_unit_test(train_trainer_chooses_by_balanced_accuracy),
        cmocka_unit_test(train_trainer_measures_every_class_alike),
        cmocka_unit_test(train_trainer_keeps_the_better_statistics),
        cmocka_unit_test(train_trainer_keeps_the_mean_of_the_last_epochs),
        cmocka_unit_test(train_trainer_refuses_settings_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, open_images, close_images);
}
