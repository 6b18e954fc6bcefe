#include "tests/unit/train_tiny.h"

#include "models/train/checkpoint.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { COUNT = 50, EPOCHS = 3 };

struct numbers {
    struct epoch_record history[EPOCHS];
    float values[COUNT], momentum[COUNT], slow[COUNT];
};

static struct checkpoint refer(struct numbers *n) {
    struct checkpoint c = {.settings = trainer_defaults,
                           .fingerprint = 77,
                           .epochs_done = 2,
                           .count = COUNT,
                           .history = n->history,
                           .values = n->values,
                           .momentum = n->momentum,
                           .slow = n->slow};
    c.settings.epochs = EPOCHS;
    return c;
}

struct fixture {
    struct tiny tiny;
    char path[128];
    struct numbers written, got;
};

static int open_checkpoint(void **state) {
    static struct fixture f;
    struct err err = {0};
    f = (struct fixture){0};
    tiny_open(&f.tiny, 1);
    snprintf(f.path, sizeof f.path, "%s/checkpoint", f.tiny.folder);
    for (int i = 0; i < COUNT; i++) {
        f.written.values[i] = (float)i;
        f.written.momentum[i] = (float)-i;
        f.written.slow[i] = (float)i / 3;
    }
    f.written.history[1].loss = 1.5;
    f.written.history[1].validation_accuracy = 0.5;
    f.written.history[1].validation_balanced = 0.25;
    struct checkpoint c = refer(&f.written);
    *state = &f;
    return checkpoint_write(f.path, &c, &err);
}

static int close_checkpoint(void **state) {
    tiny_close(&((struct fixture *)*state)->tiny);
    return 0;
}

static void train_checkpoint_gives_back_what_was_written(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct checkpoint c = refer(&f->got);
    c.epochs_done = 0;
    if (checkpoint_read(f->path, &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(c.epochs_done, 2);
    assert_memory_equal(&f->got, &f->written, sizeof f->got);
    struct settings settings;
    assert_int_equal(checkpoint_read_settings(f->path, &settings, &err), 0);
    assert_memory_equal(&settings, &c.settings, sizeof settings);
}

/* Of the earlier layouts the head differs. Behind it: history, five numbers an
 * epoch; three arrays; FNV-1a of all that. */
static void write_old_layout(struct fixture *f, const void *head,
                             size_t head_size) {
    uint64_t sum = 0;
    char *bytes = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&bytes, &size);
    fwrite(head, head_size, 1, file);
    for (int i = 0; i < EPOCHS; i++)
        fwrite(&f->written.history[i], 40, 1, file);
    fwrite(f->written.values, sizeof f->written.values, 1, file);
    fwrite(f->written.momentum, sizeof f->written.momentum, 1, file);
    fwrite(f->written.slow, sizeof f->written.slow, 1, file);
    fclose(file);
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    file = fopen(f->path, "wb");
    fwrite(bytes, size, 1, file);
    fwrite(&sum, sizeof sum, 1, file);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static void expect_old_layout(struct fixture *f) {
    struct err err = {0};
    struct settings settings;
    if (checkpoint_read_settings(f->path, &settings, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(settings.translate, trainer_defaults.translate);
    assert_int_equal(settings.side, 0);
    assert_int_equal(settings.patience, 0);
    struct checkpoint c = refer(&f->got);
    c.settings = settings;
    if (checkpoint_read(f->path, &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(c.epochs_done, 2);
    f->written.history[1].validation_balanced = 0.5; /* as far as is known */
    assert_memory_equal(&f->got, &f->written, sizeof f->got);
}

/* Before there were settings for photos: magic, 112 bytes of settings,
 * fingerprint, floats an array, epochs done. */
static void train_checkpoint_reads_the_first_layout(void **state) {
    struct fixture *f = *state;
    const struct checkpoint c = refer(&f->written);
    const uint64_t numbers[3] = {c.fingerprint, COUNT, 2};
    char head[8 + 112 + sizeof numbers] = "convoyT1";
    memcpy(head + 8, &c.settings, 112);
    memcpy(head + 120, numbers, sizeof numbers);
    write_old_layout(f, head, sizeof head);
    expect_old_layout(f);
}

/* Before balanced accuracy: the size of the settings, and how many arrays. */
static void train_checkpoint_reads_the_second_layout(void **state) {
    struct fixture *f = *state;
    const struct checkpoint c = refer(&f->written);
    const uint64_t size = sizeof c.settings;
    const uint64_t numbers[4] = {c.fingerprint, COUNT, 2, 3};
    char head[16 + sizeof c.settings + sizeof numbers] = "convoyT2";
    memcpy(head + 8, &size, 8);
    memcpy(head + 16, &c.settings, size);
    memcpy(head + 16 + size, numbers, sizeof numbers);
    write_old_layout(f, head, sizeof head);
    expect_old_layout(f);
}

static void train_checkpoint_keeps_the_best_too(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct checkpoint c = refer(&f->written);
    float best[COUNT] = {3, 1, 4}, got[COUNT] = {0};
    c.aside = best;
    assert_int_equal(checkpoint_write(f->path, &c, &err), 0);
    c = refer(&f->got);
    c.aside = got;
    assert_int_equal(checkpoint_read(f->path, &c, &err), 0);
    assert_memory_equal(got, best, sizeof best);
    c.aside = NULL;
    assert_int_equal(checkpoint_read(f->path, &c, &err), -1);
}

/* However much still fits: the one before stays, and nothing half beside it. */
static void train_checkpoint_stays_on_a_full_disk(void **state) {
    struct fixture *f = *state;
    struct checkpoint c = refer(&f->written);
    struct rlimit whole;
    struct stat st;
    char beside[160];
    snprintf(beside, sizeof beside, "%s.new", f->path);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < (rlim_t)st.st_size; room += 37) {
        struct err err = {0};
        struct rlimit full = {room, whole.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
        int status = checkpoint_write(f->path, &c, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
        assert_int_equal(status, -1);
        assert_non_null(strstr(err.text, "cannot write the checkpoint"));
        assert_int_equal(access(beside, F_OK), -1);
    }
    signal(SIGXFSZ, SIG_DFL);
    c = refer(&f->got);
    assert_int_equal(checkpoint_read(f->path, &c, &(struct err){0}), 0);
    assert_memory_equal(&f->got, &f->written, sizeof f->got);
}

static void refuse(struct fixture *f, const struct checkpoint *expected,
                   const char *why) {
    struct err err = {0};
    struct checkpoint c = *expected;
    assert_int_equal(checkpoint_read(f->path, &c, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void train_checkpoint_refuses_another_run(void **state) {
    struct fixture *f = *state;
    struct checkpoint c = refer(&f->got);
    c.settings.rate = 3;
    refuse(f, &c, "other settings");
    c = refer(&f->got);
    c.count = COUNT - 1;
    refuse(f, &c, "another network");
    c = refer(&f->got);
    c.fingerprint = 78;
    refuse(f, &c, "other images");
}

static void train_checkpoint_refuses_a_damaged_file(void **state) {
    struct fixture *f = *state;
    struct checkpoint c = refer(&f->got);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    FILE *file = fopen(f->path, "r+b");
    fseek(file, st.st_size - 40, SEEK_SET); /* among the last numbers */
    fputc(1, file);
    fclose(file);
    refuse(f, &c, "is damaged");
    assert_int_equal(truncate(f->path, st.st_size - 1), 0);
    refuse(f, &c, "is damaged");
    assert_int_equal(truncate(f->path, 20), 0);
    refuse(f, &c, "is damaged");
    assert_int_equal(truncate(f->path, 0), 0);
    refuse(f, &c, "no checkpoint");
    assert_int_equal(unlink(f->path), 0);
    refuse(f, &c, "No such file");
}

/* A bit of the settings, which are believed first. */
static void train_checkpoint_refuses_damaged_settings(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct settings settings;
    FILE *file = fopen(f->path, "r+b");
    fseek(file, 60, SEEK_SET);
    fputc(0x55, file);
    fclose(file);
    assert_int_equal(checkpoint_read_settings(f->path, &settings, &err), -1);
    assert_non_null(strstr(err.text, "is damaged"));
}

static void train_checkpoint_refuses_a_foreign_file(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct settings settings;
    assert_int_equal(checkpoint_read_settings(f->tiny.file, &settings, &err),
                     -1);
    assert_non_null(strstr(err.text, "is no checkpoint"));
}

static void
train_checkpoint_keeps_the_old_one_where_it_cannot_write(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct checkpoint c = refer(&f->written);
    char beside[160];
    snprintf(beside, sizeof beside, "%s.new", f->path);
    assert_int_equal(mkdir(beside, 0700), 0); /* in its way */
    assert_int_equal(checkpoint_write(f->path, &c, &err), -1);
    assert_non_null(strstr(err.text, beside));
    train_checkpoint_gives_back_what_was_written(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CHECKPOINT_TEST(name)                                                  \
    cmocka_unit_test_setup_teardown(name, open_checkpoint, close_checkpoint)
        CHECKPOINT_TEST(train_checkpoint_gives_back_what_was_written),
        CHECKPOINT_TEST(train_checkpoint_reads_the_first_layout),
        CHECKPOINT_TEST(train_checkpoint_reads_the_second_layout),
        CHECKPOINT_TEST(train_checkpoint_keeps_the_best_too),
        CHECKPOINT_TEST(train_checkpoint_stays_on_a_full_disk),
        CHECKPOINT_TEST(train_checkpoint_refuses_another_run),
        CHECKPOINT_TEST(train_checkpoint_refuses_a_damaged_file),
        CHECKPOINT_TEST(train_checkpoint_refuses_damaged_settings),
        CHECKPOINT_TEST(train_checkpoint_refuses_a_foreign_file),
        CHECKPOINT_TEST(
            train_checkpoint_keeps_the_old_one_where_it_cannot_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
