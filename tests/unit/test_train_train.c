/* The command as a person runs it: a child process on a tiny set. */
#include "tests/unit/train_command.h"
#include "tests/unit/train_tiny.h"

#include "models/classifier/labels.h"
#include "models/classifier/preprocess.h"

#include <jansson.h>
#include <sys/stat.h>
#include <time.h>

static struct tiny tiny;

static int open_folder(void **state) {
    static struct train_command run;
    tiny_open(&tiny, 40);
    run = (struct train_command){
        .words = {"train", "--cifar10", tiny.file, "--width", "0.1", "--batch",
                  "20", "--validation", "10", "--threads", "2"}};
    train_command_open(&run, tiny.folder, "toy");
    *state = &run;
    return 0;
}

static int close_folder(void **state) {
    (void)state;
    tiny_close(&tiny);
    return 0;
}

static void train_writes_a_folder_that_says_what_it_is(void **state) {
    struct train_command *run = *state;
    struct err err = {0};
    struct labels labels;
    bool found;
    size_t size;
    expect(run, "--epochs 2 --seed 3", 0,
           "of 10 held-out images after 2 epochs");
    char *onnx = slurp(run, "model.onnx", &size);
    assert_true(size > 10000);
    free(onnx);
    char *config = slurp(run, "config.json", &size);
    assert_int_equal(labels_read_config(&labels, config, size, "config.json",
                                        10, &found, &err),
                     0);
    assert_true(found);
    assert_string_equal(labels.text[9], "truck");
    labels_free(&labels);
    free(config);
    char *card = slurp(run, "README.md", &size);
    assert_non_null(strstr(card, "# toy\n"));
    assert_non_null(strstr(card, "    convoy-model train --cifar10 /"));
    assert_non_null(strstr(card, " --epochs 2 "));
    assert_non_null(strstr(card, "\n| 2 | "));
    assert_non_null(strstr(card, tiny.file)); /* as it was given */
    assert_null(strstr(card, "Not finished"));
    free(card);
}

/* The classifier, told by the folder, makes of a byte what training did. */
static void train_writes_the_preprocessing_it_trained_with(void **state) {
    struct train_command *run = *state;
    struct err err = {0};
    struct preprocess p;
    const char *file = tiny.file;
    size_t size;
    struct dataset set;
    static float x[3072];
    expect(run, "--epochs 1", 0, "after 1 epoch ");
    char *json = slurp(run, "preprocessor_config.json", &size);
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
    struct train_command *run = *state;
    expect(run, "--epochs 2 --json", 0, "\n{");
    const char *line = strstr(run->text, "\n{") + 1;
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
    struct train_command *run = *state;
    size_t before_size, after_size;
    expect(run, "--epochs 2", 0, "after 2 epochs");
    char *before = slurp(run, "model.onnx", &before_size);
    assert_int_equal(unlink(path_of(run, "model.onnx")), 0);
    expect(run, "--resume", 0, "after 2 epochs");
    char *after = slurp(run, "model.onnx", &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, after_size);
    free(before);
    free(after);
}

static void train_keeps_a_run_from_being_overwritten(void **state) {
    struct train_command *run = *state;
    expect(run, "--epochs 1", 0, "after 1 epoch ");
    expect(run, "--epochs 1", 1, "go on with --resume; or name another");
    expect(run, "--resume --epochs 5", 1,
           "--epochs 5: the run to resume has --epochs 1");
    expect(run, "--resume --lr 3", 1,
           "--lr 3: the run to resume has --lr 11.5");
    expect(run, "--resume --architecture airbench-residual", 1,
           "the run to resume has airbench;");
    expect(run, "--resume --epochs 1", 0, "after 1 epoch ");
}

/* What is not its own is left alone: models, files, folders of photos. */
static void train_begins_in_an_empty_folder(void **state) {
    struct train_command *run = *state;
    size_t size;
    struct err err = {0};
    assert_int_equal(mkdir(run->out, 0700), 0);
    assert_int_equal(file_write(path_of(run, "README.md"), "mine", 4, &err), 0);
    expect(run, "--epochs 1", 1, "there is README.md in it already");
    char *mine = slurp(run, "README.md", &size);
    assert_string_equal(mine, "mine");
    free(mine);
    unlink(path_of(run, "README.md"));
    assert_int_equal(file_write(path_of(run, "model.onnx"), "m", 1, &err), 0);
    expect(run, "--epochs 1", 1, "there is model.onnx in it already");
    unlink(path_of(run, "model.onnx"));
    assert_int_equal(file_write(path_of(run, "report.html"), "r", 1, &err), 0);
    expect(run, "--epochs 1", 0, "after 1 epoch ");
    snprintf(run->out, sizeof run->out, "%s", tiny.file);
    expect(run, "--epochs 1", 1, "is no folder; name another");
}

static void train_stops_at_a_signal_with_a_good_checkpoint(void **state) {
    struct train_command *run = *state;
    size_t size;
    pid_t child = start(run, "--epochs 100000");
    wait_for(path_of(run, "checkpoint"));
    assert_int_equal(kill(child, SIGINT), 0);
    assert_int_equal(finish(run, child), 130);
    assert_non_null(strstr(run->text, "of 100000 epochs. The same command with "
                                      "--resume goes on"));
    assert_false(file_exists(path_of(run, "model.onnx")));
    expect(run, "--export", 0, "held-out images after ");
    char *card = slurp(run, "README.md", &size);
    assert_non_null(strstr(card, "**Not finished:**"));
    free(card);
}

static void train_keeps_another_run_out_of_its_folder(void **state) {
    struct train_command *run = *state;
    pid_t child = start(run, "--epochs 100000");
    wait_for(path_of(run, "checkpoint"));
    expect(run, "--resume", 1, "another training is at work in ");
    expect(run, "--epochs 1", 1, "another training is at work in ");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    expect(run, "--export", 0, "held-out images after "); /* it went with it */
}

static void train_says_what_is_wrong_with_the_command(void **state) {
    struct train_command *run = *state;
    expect(run, "--epochs none", 2, "--epochs: \"none\" is no whole number");
    expect(run, "--epoch 3", 2, "did you mean --epochs?");
    expect(run, "--threads 0", 2, "--threads: 0 is out of range");
    expect(run, "--resume", 1, "toy/checkpoint: there is nothing");
    expect(run, "--cifar10 /nowhere.bin", 1, "/nowhere.bin: No such file");
    expect(run, "--momentum 1", 2, "--momentum 1: at least 0 and below 1");
    expect(run, "--lr 0", 2, "--lr 0: a learning rate is above 0");
    expect(run, "--cutout 32", 2, "--cutout 32: a square of 32 pixels leaves");
    expect(run, "--translate 9", 2, "moved by 0 to 8 pixels");
    expect(run, "--patience 3 --validation 0", 2, "it needs held-out images");
    expect(run, "--out /nowhere/x", 1, "/nowhere/x: No such file");
    expect(run, "--out /dev/null/x", 1, "/dev/null/x: Not a directory");
    expect(run, "--out /tmp/.hid", 1, "the service refuses \".hid\"");
    expect(run, "--out /tmp/a%b", 1, "the service refuses \"a%b\"");
    expect(run, "--help", 0, "--label-smoothing");
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
