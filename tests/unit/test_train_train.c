/* The command as a person runs it: a child process on a tiny set. */
#include "tests/unit/train_tiny.h"

#include "common/file.h"
#include "models/classifier/labels.h"
#include "models/classifier/preprocess.h"
#include "models/train/train.h"

#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct fixture {
    struct tiny tiny;
    char out[96], text[8192]; /* what the last command printed */
};

static int open_folder(void **state) {
    static struct fixture f;
    tiny_open(&f.tiny, 40);
    snprintf(f.out, sizeof f.out, "%s/toy", f.tiny.folder);
    *state = &f;
    return 0;
}

static int close_folder(void **state) {
    tiny_close(&((struct fixture *)*state)->tiny);
    return 0;
}

static char *path_of(const struct fixture *f, const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", f->out, name);
    return path;
}

/* Runs `train` with the words of `options` ("--epochs 2"), spaces between. */
static pid_t start(struct fixture *f, const char *options) {
    static char words[512];
    char *argv[64] = {"train", "--cifar10",    f->tiny.file, "--out",
                      f->out,  "--width",      "0.1",        "--batch",
                      "20",    "--validation", "10",         "--threads",
                      "2"};
    int argc = 13;
    snprintf(words, sizeof words, "%s", options);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    char printed[160];
    snprintf(printed, sizeof printed, "%s/printed", f->tiny.folder);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also where an assertion fails */
        if (!freopen(printed, "w", stdout) || dup2(1, 2) < 0)
            _exit(99);
        int status = train_main(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    return child;
}

static int finish(struct fixture *f, pid_t child) {
    struct err err = {0};
    int status;
    char printed[160];
    size_t size;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    snprintf(printed, sizeof printed, "%s/printed", f->tiny.folder);
    char *text = file_read(printed, sizeof f->text - 1, &size, &err);
    assert_non_null(text);
    memcpy(f->text, text, size + 1);
    free(text);
    return WEXITSTATUS(status);
}

static void expect(struct fixture *f, const char *options, int status,
                   const char *said) {
    int got = finish(f, start(f, options));
    if (got != status || !strstr(f->text, said))
        fail_msg("%s: status %d, not %d with \"%s\":\n%s", options, got, status,
                 said, f->text);
}

static char *slurp(const struct fixture *f, const char *name, size_t *size) {
    struct err err = {0};
    char *bytes = file_read(path_of(f, name), 1 << 24, size, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    return bytes;
}

static void train_writes_a_folder_that_says_what_it_is(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct labels labels;
    bool found;
    size_t size;
    expect(f, "--epochs 2 --seed 3", 0, "of 10 held-out images after 2 epochs");
    char *onnx = slurp(f, "model.onnx", &size);
    assert_true(size > 10000);
    free(onnx);
    char *config = slurp(f, "config.json", &size);
    assert_int_equal(labels_read_config(&labels, config, size, "config.json",
                                        10, &found, &err),
                     0);
    assert_true(found);
    assert_string_equal(labels.text[9], "truck");
    labels_free(&labels);
    free(config);
    char *card = slurp(f, "README.md", &size);
    assert_non_null(strstr(card, "# toy\n"));
    assert_non_null(strstr(card, "    convoy-model train --cifar10 /"));
    assert_non_null(strstr(card, " --epochs 2 "));
    assert_non_null(strstr(card, "\n| 2 | "));
    assert_non_null(strstr(card, f->tiny.file)); /* as it was given */
    assert_null(strstr(card, "Not finished"));
    free(card);
}

/* The classifier, told by the folder, makes of a byte what training did. */
static void train_writes_the_preprocessing_it_trained_with(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct preprocess p;
    const char *file = f->tiny.file;
    size_t size;
    struct dataset set;
    static float x[3072];
    expect(f, "--epochs 1", 0, "after 1 epoch ");
    char *json = slurp(f, "preprocessor_config.json", &size);
    if (preprocess_read(&p, json, size, "it", 32, 32, &err) < 0)
        fail_msg("%s", err.text);
    free(json);
    assert_false(p.crop);
    assert_int_equal(p.resize_width, 32);
    assert_int_equal(p.resize_height, 32);
    assert_int_equal(dataset_read_cifar10(&set, &file, 1, &err), 0);
    augment_plain(&augment_cifar10, &set, 5, 1, x);
    for (int i = 0; i < 3072; i++)
        assert_float_equal(x[i], p.table[i % 3][set.pixels[5 * 3072 + i]],
                           1e-6f);
    dataset_free(&set);
}

static void train_tells_programs_in_json(void **state) {
    struct fixture *f = *state;
    expect(f, "--epochs 2 --json", 0, "\n{");
    const char *line = strstr(f->text, "\n{") + 1;
    assert_string_equal(strchr(line, '\n'), "\n"); /* one line, the last */
    json_t *root = json_loads(line, 0, NULL);
    assert_non_null(root);
    double top1 = json_real_value(json_object_get(root, "top1"));
    assert_true(top1 >= 0 && top1 <= 1);
    double balanced =
        json_real_value(json_object_get(root, "balanced_accuracy"));
    assert_true(balanced >= 0 && balanced <= 1);
    assert_int_equal(json_integer_value(json_object_get(root, "epochs")), 2);
    assert_true(json_is_number(json_object_get(root, "seconds")));
    assert_true(json_real_value(json_object_get(root, "images_per_second")) >
                0);
    json_decref(root);
}

static void train_exports_again_what_is_finished(void **state) {
    struct fixture *f = *state;
    size_t before_size, after_size;
    expect(f, "--epochs 2", 0, "after 2 epochs");
    char *before = slurp(f, "model.onnx", &before_size);
    assert_int_equal(unlink(path_of(f, "model.onnx")), 0);
    expect(f, "--resume", 0, "after 2 epochs");
    char *after = slurp(f, "model.onnx", &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, after_size);
    free(before);
    free(after);
}

static void train_keeps_a_run_from_being_overwritten(void **state) {
    struct fixture *f = *state;
    expect(f, "--epochs 1", 0, "after 1 epoch ");
    expect(f, "--epochs 1", 1, "go on with --resume; or name another");
    expect(f, "--resume --epochs 5", 1,
           "--epochs 5: the run to resume has --epochs 1");
    expect(f, "--resume --lr 3", 1, "--lr 3: the run to resume has --lr 11.5");
    expect(f, "--resume --architecture airbench-residual", 1,
           "the run to resume has airbench;");
    expect(f, "--resume --epochs 1", 0, "after 1 epoch ");
}

/* What is not its own is left alone: models, files, folders of photos. */
static void train_begins_in_an_empty_folder(void **state) {
    struct fixture *f = *state;
    size_t size;
    struct err err = {0};
    assert_int_equal(mkdir(f->out, 0700), 0);
    assert_int_equal(file_write(path_of(f, "README.md"), "mine", 4, &err), 0);
    expect(f, "--epochs 1", 1, "there is README.md in it already");
    char *mine = slurp(f, "README.md", &size);
    assert_string_equal(mine, "mine");
    free(mine);
    unlink(path_of(f, "README.md"));
    assert_int_equal(file_write(path_of(f, "model.onnx"), "m", 1, &err), 0);
    expect(f, "--epochs 1", 1, "there is model.onnx in it already");
    unlink(path_of(f, "model.onnx"));
    assert_int_equal(file_write(path_of(f, "report.html"), "r", 1, &err), 0);
    expect(f, "--epochs 1", 0, "after 1 epoch ");
    snprintf(f->out, sizeof f->out, "%s", f->tiny.file);
    expect(f, "--epochs 1", 1, "is no folder; name another");
}

static void wait_for(const char *path) {
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 12000 && !file_exists(path); i++) /* a minute */
        nanosleep(&pause, NULL);
    assert_true(file_exists(path));
}

static void train_stops_at_a_signal_with_a_good_checkpoint(void **state) {
    struct fixture *f = *state;
    size_t size;
    pid_t child = start(f, "--epochs 100000");
    wait_for(path_of(f, "checkpoint"));
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(finish(f, child), 130);
    assert_non_null(strstr(f->text, "of 100000 epochs. The same command with "
                                    "--resume goes on"));
    assert_false(file_exists(path_of(f, "model.onnx")));
    expect(f, "--export", 0, "held-out images after ");
    char *card = slurp(f, "README.md", &size);
    assert_non_null(strstr(card, "**Not finished:**"));
    free(card);
}

static void train_keeps_another_run_out_of_its_folder(void **state) {
    struct fixture *f = *state;
    pid_t child = start(f, "--epochs 100000");
    wait_for(path_of(f, "checkpoint"));
    expect(f, "--resume", 1, "another training is at work in ");
    expect(f, "--epochs 1", 1, "another training is at work in ");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    expect(f, "--export", 0, "held-out images after "); /* it went with it */
}

static void train_says_what_is_wrong_with_the_command(void **state) {
    struct fixture *f = *state;
    expect(f, "--epochs none", 2, "--epochs: \"none\" is no whole number");
    expect(f, "--epoch 3", 2, "did you mean --epochs?");
    expect(f, "--threads 0", 2, "--threads: 0 is out of range");
    expect(f, "--resume", 1, "toy/checkpoint: there is nothing");
    expect(f, "--cifar10 /nowhere.bin", 1, "/nowhere.bin: No such file");
    expect(f, "--momentum 1", 2, "--momentum 1: at least 0 and below 1");
    expect(f, "--lr 0", 2, "--lr 0: a learning rate is above 0");
    expect(f, "--cutout 32", 2, "--cutout 32: a square of 32 pixels leaves");
    expect(f, "--translate 9", 2, "moved by 0 to 8 pixels");
    expect(f, "--patience 3 --validation 0", 2, "it needs held-out images");
    expect(f, "--out /nowhere/x", 1, "/nowhere/x: No such file");
    expect(f, "--out /dev/null/x", 1, "/dev/null/x: Not a directory");
    expect(f, "--out /tmp/.hid", 1, "the service refuses \".hid\"");
    expect(f, "--out /tmp/a%b", 1, "the service refuses \"a%b\"");
    expect(f, "--help", 0, "--label-smoothing");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TRAIN_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, open_folder, close_folder)
        TRAIN_TEST(train_writes_a_folder_that_says_what_it_is),
        TRAIN_TEST(train_writes_the_preprocessing_it_trained_with),
        TRAIN_TEST(train_tells_programs_in_json),
        TRAIN_TEST(train_exports_again_what_is_finished),
        TRAIN_TEST(train_keeps_a_run_from_being_overwritten),
        TRAIN_TEST(train_begins_in_an_empty_folder),
        TRAIN_TEST(train_keeps_another_run_out_of_its_folder),
        TRAIN_TEST(train_stops_at_a_signal_with_a_good_checkpoint),
        TRAIN_TEST(train_says_what_is_wrong_with_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
