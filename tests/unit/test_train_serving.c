/* What training saw is what is served: the classifier that reads the folder
 * gives every photo the scores that the trainer measured. */
#include "tests/unit/train_photos.h"

#include "models/classifier/classifier.h"
#include "models/train/calibration.h"
#include "models/train/model_folder.h"

#include <math.h>

#define TEMPERATURE 0.7
enum { CLASSES = 3, THREADS = 2 };

struct fixture {
    struct photo_folder folder;
    char out[96];
    struct team *team;
    struct photos photos;
    struct trainer *trainer;
};

static struct settings small_settings(const struct photos *photos) {
    struct settings s = trainer_defaults;
    s.width = 0.1;
    s.epochs = 3;
    s.batch = 16;
    s.rate = 60;
    s.side = photos->set.shape.width;
    s.validation = photos->held_out;
    s.patience = 3;
    s.balance = 1;
    return s;
}

static int open_trainer(void **state) {
    static struct fixture f;
    struct err err = {0};
    f = (struct fixture){0};
    photo_folder_open(&f.folder);
    photo_folder_add(&f.folder, "ash", 0, 14);
    photo_folder_add(&f.folder, "birch", 0, 12);
    photo_folder_add(&f.folder, "cedar", 0, 10);
    snprintf(f.out, sizeof f.out, "%s/trees", f.folder.top);
    assert_int_equal(mkdir(f.out, 0700), 0);
    f.team = team_open(THREADS, &err);
    const struct photos_options options = {
        .folder = f.folder.photos, .side = 24, .held_out = -1, .seed = 1};
    if (photos_read(&f.photos, &options, f.team, &err) < 0)
        fail_msg("%s", err.text);
    const struct settings settings = small_settings(&f.photos);
    f.trainer = trainer_open(&settings, &f.photos.set, THREADS, &err);
    if (!f.trainer)
        fail_msg("%s", err.text);
    *state = &f;
    return 0;
}

static int close_trainer(void **state) {
    struct fixture *f = *state;
    trainer_close(f->trainer);
    photos_free(&f->photos);
    team_close(f->team);
    photo_folder_close(&f->folder);
    return 0;
}

static void train(struct fixture *f) {
    const struct trainer_watch watch = {0};
    const struct outcome outcome = {.command = "convoy-model train",
                                    .photos = &f->photos,
                                    .temperature = TEMPERATURE};
    struct err err = {0};
    char checkpoint[128];
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", f->out);
    assert_int_equal(trainer_run(f->trainer, checkpoint, &watch, &err), 0);
    trainer_use_best(f->trainer);
    if (model_folder_write(f->out, f->trainer, &outcome, &err) < 0)
        fail_msg("%s", err.text);
}

/* Scores of a held-out photo, by the service's own way from the file. */
static void serve(const struct fixture *f, struct classifier_run *run,
                  int held_out, double *p) {
    static struct classification result;
    struct err err = {0};
    size_t size;
    int place = trainer_training_set(f->trainer)->count + held_out;
    void *bytes = photo_list_bytes(&f->photos.list, place, &size, &err);
    assert_non_null(bytes);
    const struct classifier_image image = {bytes, size};
    classifier_run(run, &image, 1, CLASSES, &result);
    assert_false(result.failed);
    assert_int_equal(result.top_count, CLASSES);
    for (int k = 0; k < CLASSES; k++)
        p[result.top[k].index] = (double)result.top[k].score;
    free(bytes);
}

static void train_serving_gives_the_scores_of_training(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    train(f);
    struct classifier *c = classifier_load(f->out, &err);
    if (!c)
        fail_msg("%s", err.text);
    struct classifier_run *run = classifier_run_open(c, 1, &err);
    assert_non_null(run);
    const float *logits = trainer_validation_logits(f->trainer);
    int count = trainer_validation_images(f->trainer);
    assert_true(count >= CLASSES);
    for (int i = 0; i < count; i++) {
        double expected[CLASSES], served[CLASSES];
        calibration_softmax(logits + i * CLASSES, CLASSES, TEMPERATURE,
                            expected);
        serve(f, run, i, served);
        for (int k = 0; k < CLASSES; k++)
            assert_true(fabs(served[k] - expected[k]) < 1e-4);
    }
    classifier_run_close(run);
    classifier_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            train_serving_gives_the_scores_of_training, open_trainer,
            close_trainer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
