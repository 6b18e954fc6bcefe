/* Photos to model folder as a person runs it, and what may go wrong on the
 * way: Ctrl-C, kill -9, a full disk. */
#include "tests/unit/train_command.h"
#include "tests/unit/train_photos.h"

#include "models/classifier/classifier.h"

#include <errno.h>
#include <sys/mount.h>
#include <time.h>

static struct photo_folder folder;

/* On a small network from nothing. */
static int open_folder(void **state) {
    static struct train_command run;
    folder = (struct photo_folder){0};
    photo_folder_open(&folder);
    photo_folder_add(&folder, "ash", 0, 16);
    photo_folder_add(&folder, "birch", 0, 16);
    photo_folder_add(&folder, "cedar", 0, 8);
    run = (struct train_command){.words = {"train", "--folder", folder.photos,
                                           "--scratch", "--width", "0.1",
                                           "--batch", "16", "--lr", "60",
                                           "--threads", "2", "--size", "20"}};
    train_command_open(&run, folder.top, "trees");
    *state = &run;
    return 0;
}

static int close_folder(void **state) {
    (void)state;
    photo_folder_close(&folder);
    return 0;
}

static void expect_text(const struct train_command *run, const char *name,
                        const char *const *texts) {
    size_t size;
    char *bytes = slurp(run, name, &size);
    for (; *texts; texts++)
        if (!strstr(bytes, *texts))
            fail_msg("%s does not say \"%s\"", name, *texts);
    free(bytes);
}

/* ---- what it writes ------------------------------------------------------ */

static void train_folder_tells_what_it_found(void **state) {
    struct train_command *run = *state;
    photo_folder_text(&folder, "ash/notes.txt", "no picture");
    expect(run, "--epochs 1", 0, "ash/notes.txt: is none of JPEG");
    assert_non_null(strstr(run->text, "cedar: 8; expect little"));
    assert_non_null(
        strstr(run->text, "40 photos in 3 classes, 32 to learn from and 8 held "
                          "out, as 20 x 20 pixels"));
}

static void train_folder_writes_a_model_to_be_served(void **state) {
    static const char *const card[] = {"# trees\n",
                                       "Expected calibration error",
                                       "| birch | 16 |",
                                       "    convoy-model train --folder /",
                                       "/trees --scratch",
                                       "classes with very few pictures: 3",
                                       NULL};
    static const char *const config[] = {"\"0\": \"ash\"",
                                         "\"2\": \"cedar\"",
                                         "\"temperature\": ",
                                         "\"calibration_error\": ",
                                         "\"confidence_threshold\": ",
                                         NULL};
    static const char *const labels[] = {"ash\nbirch\ncedar\n", NULL};
    struct train_command *run = *state;
    expect(run, "--epochs 20 --patience 0 --export-labels", 0,
           "held-out images after 20 epochs");
    expect_text(run, "README.md", card);
    expect_text(run, "config.json", config);
    expect_text(run, "labels.txt", labels);

    /* Served, the photos are named as they were learned. */
    struct err err = {0};
    struct classifier *c = classifier_load(run->out, &err);
    if (!c)
        fail_msg("%s", err.text);
    struct classifier_run *served = classifier_run_open(c, 1, &err);
    static struct classification result;
    int right = 0;
    for (int i = 0; i < 8; i++) {
        char name[32];
        size_t size;
        snprintf(name, sizeof name, "birch/%d.bmp", i);
        void *bytes =
            file_read(photo_folder_path(&folder, name), 1 << 20, &size, &err);
        const struct classifier_image image = {bytes, size};
        classifier_run(served, &image, 1, 1, &result);
        right += !strcmp(classifier_label(c, result.top[0].index), "birch");
        free(bytes);
    }
    assert_true(right >= 7);
    assert_true(classifier_explainable(c));
    classifier_run_close(served);
    classifier_free(c);
}

static void train_folder_reports_in_one_file(void **state) {
    static const char *const parts[] = {"<title>trees",
                                        "Accuracy",
                                        "Loss",
                                        "Learning rate",
                                        "Calibration",
                                        "Who is taken for whom",
                                        "By class",
                                        "data:image/png;base64,",
                                        "The photos",
                                        "a &lt;b&gt; &amp; c",
                                        "&quot;&gt;&lt;script&gt;\" src=",
                                        "--folder /",
                                        "finished",
                                        "prefers-color-scheme:dark",
                                        NULL};
    static const char *const cells[] = {"| a \\<b\\> \\& c | 8 |",
                                        "| a\\|b | 8 |", NULL};
    struct train_command *run = *state;
    size_t size;
    photo_folder_add(&folder, "a <b> & c", 40, 8);
    for (int i = 0; i < 3; i++) { /* whichever of them is named */
        static const char *const names[] = {"ash", "birch", "cedar"};
        char from[256], to[256];
        strcpy(from, photo_folder_path(&folder, names[i]));
        snprintf(to, sizeof to, "%.200s\"><script>", from);
        assert_int_equal(rename(from, to), 0);
    }
    photo_folder_add(&folder, "a|b", 60, 8);
    expect(run, "--epochs 2", 0, "to watch it: ");
    expect_text(run, "report.html", parts);
    expect_text(run, "README.md", cells);
    char *page = slurp(run, "report.html", &size);
    assert_null(strstr(page, "http")); /* nothing from elsewhere */
    assert_null(strstr(page, "<script"));
    free(page);
}

static void train_folder_stops_early_and_keeps_the_best(void **state) {
    static const char *const card[] = {
        "is the best by balanced accuracy on those", NULL};
    struct train_command *run = *state;
    expect(run, "--epochs 400 --patience 2 --json", 0, "\n{\"top1\":");
    const char *json = strstr(run->text, "\n{\"top1\":");
    int epochs = atoi(strstr(json, "\"epochs\":") + 9);
    int best = atoi(strstr(json, "\"best_epoch\":") + 13);
    assert_true(epochs < 400);
    assert_int_equal(epochs, best + 2);
    expect_text(run, "README.md", card);
}

static void train_folder_takes_a_temperature_from_elsewhere(void **state) {
    static const char *const card[] = {"are divided by 0.75",
                                       "--temperature 0.75", NULL};
    struct train_command *run = *state;
    expect(run, "--epochs 1 --validation 0 --temperature 0.75", 0,
           "no images were held out");
    expect_text(run, "README.md", card);
}

static void train_folder_chooses_augmentation_by_name(void **state) {
    static const char *const card[] = {
        "--no-flip --translate 2 --zoom 0 --cutout 0", NULL};
    static const char *const zoomed[] = {
        "--flip --translate 0 --zoom 0.25 --cutout 0", NULL};
    struct train_command *run = *state;
    expect(run, "--epochs 1 --augment translate", 0, "1 epoch ");
    expect_text(run, "README.md", card);
    expect(run, "--augment translate blur", 2, "\"blur\" is none of flip");
    expect(run, "--augment cutout", 2, "say --cutout PIXELS");
    expect(run, "--resume --augment none", 1, "is --translate 0: the run to");
    expect(run, "--resume --flip", 1,
           "--flip: the run to resume has --no-flip");
    expect(run, "--augment none flip", 2, "\"none\" stands alone");
    expect(run, "--no-flip --augment flip", 2,
           "--no-flip contradicts --augment");
    expect(
        run, "--augment flip --translate 2", 2,
        "--translate 2 contradicts --augment, which does not list translate");
    expect(run, "--resume --size 0 --epochs 1", 0, "1 epoch");
    run->out[strlen(run->out) - 1]++;
    expect(run, "--epochs 1 --augment flip zoom", 0, "1 epoch"); /* 0.25 */
    expect_text(run, "README.md", zoomed);
}

/* ---- what goes wrong ----------------------------------------------------- */

/* The run that nothing disturbed, in a folder of its own. */
static char *undisturbed(struct train_command *run, const char *options,
                         size_t *size) {
    char out[sizeof run->out];
    strcpy(out, run->out);
    snprintf(run->out, sizeof run->out, "%s/calm/trees", folder.top);
    char parent[96];
    snprintf(parent, sizeof parent, "%s/calm", folder.top);
    mkdir(parent, 0700);
    expect(run, options, 0, "held-out images after");
    char *onnx = slurp(run, "model.onnx", size);
    strcpy(run->out, out);
    return onnx;
}

static void expect_same_model(const struct train_command *run,
                              const char *expected, size_t expected_size) {
    size_t size;
    char *onnx = slurp(run, "model.onnx", &size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(onnx, expected, size);
    free(onnx);
}

/* The mean of a model and itself is that model, to the bit. */
static void train_folder_goes_on_from_the_mean_of_models(void **state) {
    static const char *const card[] = {
        "goes on from the mean of the weights of first and first", NULL};
    struct train_command *run = *state;
    char first[96], options[320];
    size_t size;
    expect(run, "--epochs 1", 0, "held-out images after");
    snprintf(first, sizeof first, "%s/first", folder.top);
    assert_int_equal(rename(run->out, first), 0);
    snprintf(options, sizeof options, "--no-scratch --epochs 1 --from %s",
             first);
    char *one = undisturbed(run, options, &size);
    snprintf(options, sizeof options, "--no-scratch --epochs 1 --from %s %s",
             first, first);
    expect(run, options, 0, "whose classes are the same");
    expect_same_model(run, one, size);
    expect_text(run, "README.md", card);
    free(one);
}

/* Tiny classes, of which more would be held out than was asked for. */
static void train_folder_goes_on_with_tiny_classes(void **state) {
    struct train_command *run = *state;
    photo_folder_add(&folder, "oak", 0, 2);
    photo_folder_add(&folder, "pine", 0, 2);
    photo_folder_add(&folder, "quince", 0, 1);
    expect(run, "--epochs 1 --validation 6", 0, "of 6 held-out images");
    expect(run, "--resume --validation 6", 0, "of 6 held-out images");
}

/* Nothing can be held out, and nobody asked for it. */
static void train_folder_takes_one_photo_a_class(void **state) {
    struct train_command *run = *state;
    snprintf(folder.photos, sizeof folder.photos, "%s/single", folder.top);
    assert_int_equal(mkdir(folder.photos, 0700), 0);
    photo_folder_add(&folder, "oak", 0, 1);
    photo_folder_add(&folder, "pine", 0, 1);
    expect(run, "--epochs 1", 0, "no images were held out");
    expect(run, "--resume", 0, "no images were held out");
}

static void train_folder_survives_kill_9_bit_for_bit(void **state) {
    static const char options[] = "--epochs 8 --patience 5";
    struct train_command *run = *state;
    size_t size;
    char *calm = undisturbed(run, options, &size);
    pid_t child = start(run, options);
    wait_for(path_of(run, "checkpoint"));
    kill(child, SIGKILL);
    assert_int_equal(finish(run, child), -SIGKILL);
    for (int again = 0; again < 3; again++) { /* and again, anywhere */
        const struct timespec pause = {.tv_nsec = 40000000 * (again + 1)};
        child = start(run, "--resume");
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        finish(run, child);
    }
    expect(run, "--resume", 0, "held-out images after");
    expect_same_model(run, calm, size);
    free(calm);
}

static void expect_no_text(const struct train_command *run, const char *name,
                           const char *text) {
    size_t size;
    char *bytes = slurp(run, name, &size);
    if (strstr(bytes, text))
        fail_msg("%s says \"%s\"", name, text);
    free(bytes);
}

/* Interrupts a run once its report says that it is on; what it says then. */
static char *report_interrupted(struct train_command *run, const char *options,
                                size_t *size) {
    const struct timespec pause = {.tv_nsec = 1000000};
    bool on = false;
    unlink(path_of(run, "report.html"));
    pid_t child = start(run, options);
    while (!on && waitpid(child, NULL, WNOHANG) == 0) {
        char *page =
            file_read(path_of(run, "report.html"), 1 << 26, size, NULL);
        on = page && strstr(page, "http-equiv=\"refresh\"");
        free(page);
        nanosleep(&pause, NULL);
    }
    if (!on)
        fail_msg("%s ended by itself", options);
    kill(child, SIGINT);
    assert_int_equal(finish(run, child), 130);
    expect_no_text(run, "report.html", "http-equiv=\"refresh\"");
    return slurp(run, "report.html", size);
}

/* Stopped inside an epoch it shows the last one that was finished, not what
 * half an epoch has made of the network. */
static void train_folder_reports_the_last_checkpoint(void **state) {
    static const char *const before[] = {"The first epoch is not done yet",
                                         ">stopped<", "The photos", NULL};
    struct train_command *run = *state;
    static const char again[] = "--resume --size 64 --width 0.5";
    bool same = false;
    size_t size[4];
    free(report_interrupted(run, "--size 64 --width 0.5 --epochs 9", size));
    expect_text(run, "report.html", before);
    expect(run, "--resume", 1, "there is nothing to go on from");
    pid_t child = start(run, "--size 64 --width 0.5 --patience 0 --epochs 99");
    wait_for(path_of(run, "checkpoint"));
    kill(child, SIGINT);
    assert_int_equal(finish(run, child), 130);
    for (int i = 0; i < 9 && !same;
         i++) { /* unless one is finished meanwhile */
        char *held = slurp(run, "checkpoint", &size[0]);
        char *page = slurp(run, "report.html", &size[1]);
        char *now = report_interrupted(run, again, &size[2]);
        char *after = slurp(run, "checkpoint", &size[3]);
        same = memcmp(held, after, size[0]) == 0;
        if (same)
            assert_string_equal(page, now);
        free(held);
        free(page);
        free(now);
        free(after);
    }
    assert_true(same);
}

static void train_folder_reports_why_it_ended(void **state) {
    static const char *const page[] = {">stopped<", "training diverged in",
                                       NULL};
    struct train_command *run = *state;
    expect(run, "--lr 1e30 --epochs 3", 1, "training diverged");
    expect_text(run, "report.html", page);
    expect_no_text(run, "report.html", "http-equiv=\"refresh\"");
}

/* A disk that has room for the checkpoint, but not for another beside it. */
static void train_folder_survives_a_full_disk(void **state) {
    static const char options[] = "--epochs 4 --patience 0";
    struct train_command *run = *state;
    size_t size, filler_size = 0;
    char *calm = undisturbed(run, options, &size);
    assert_int_equal(mkdir(run->out, 0700), 0);
    if (mount("none", run->out, "tmpfs", 0, "size=4m") < 0) {
        print_message("no tmpfs can be mounted here: %s; skipped\n",
                      strerror(errno));
        free(calm);
        skip();
    }
    pid_t child = start(run, options);
    wait_for(path_of(run, "checkpoint"));
    FILE *filler = fopen(path_of(run, "filler"), "wb");
    static const char block[4096];
    while (filler && fwrite(block, sizeof block, 1, filler) == 1 &&
           fflush(filler) == 0)
        filler_size += sizeof block;
    int status = finish(run, child);
    bool kept = file_exists(path_of(run, "checkpoint"));
    unlink(path_of(run, "filler"));
    if (filler)
        fclose(filler);
    int resumed = finish(run, start(run, "--resume"));
    char *onnx = resumed == 0 ? slurp(run, "model.onnx", &size) : NULL;
    bool same = onnx && memcmp(onnx, calm, size) == 0;
    free(onnx);
    umount2(run->out, MNT_DETACH); /* before anything jumps out */
    free(calm);
    assert_true(filler_size > 0);
    assert_int_equal(status, 1);
    assert_true(kept);
    assert_int_equal(resumed, 0);
    assert_true(same);
}

static void train_folder_says_what_is_wrong_with_the_command(void **state) {
    struct train_command *run = *state;
    expect(run, "--cifar10 x.bin", 2, "either photos or CIFAR-10");
    expect(run, "--from nowhere", 2, "contradict each other");
    expect(run, "--validation 39", 1,
           "at least one of each class must be left");
    char inside[160];
    snprintf(inside, sizeof inside, "--out %s/trees", folder.photos);
    expect(run, inside, 1, "lies in the folder of the photos");
    assert_false(file_exists(photo_folder_path(&folder, "trees")));
    expect(run, "--help", 0, "Defaults are in brackets");
    unlink(photo_folder_path(&folder, "ash/0.bmp"));
    expect(run, "--epochs 1", 0, "39 photos");
    expect(run, "--resume --from models/x --no-scratch", 1,
           "the run to resume began with nothing");
    unlink(photo_folder_path(&folder, "ash/1.bmp"));
    expect(run, "--resume", 1, "was written with other");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define FOLDER_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, open_folder, close_folder)
        FOLDER_TEST(train_folder_tells_what_it_found),
        FOLDER_TEST(train_folder_writes_a_model_to_be_served),
        FOLDER_TEST(train_folder_reports_in_one_file),
        FOLDER_TEST(train_folder_stops_early_and_keeps_the_best),
        FOLDER_TEST(train_folder_takes_a_temperature_from_elsewhere),
        FOLDER_TEST(train_folder_chooses_augmentation_by_name),
        FOLDER_TEST(train_folder_goes_on_from_the_mean_of_models),
        FOLDER_TEST(train_folder_goes_on_with_tiny_classes),
        FOLDER_TEST(train_folder_takes_one_photo_a_class),
        FOLDER_TEST(train_folder_survives_kill_9_bit_for_bit),
        FOLDER_TEST(train_folder_reports_the_last_checkpoint),
        FOLDER_TEST(train_folder_reports_why_it_ended),
        FOLDER_TEST(train_folder_survives_a_full_disk),
        FOLDER_TEST(train_folder_says_what_is_wrong_with_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
