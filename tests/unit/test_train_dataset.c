#include "tests/unit/train_tiny.h"

static int open_files(void **state) {
    static struct tiny tiny;
    tiny_open(&tiny, 12);
    *state = &tiny;
    return 0;
}

static int close_files(void **state) {
    tiny_close(*state);
    return 0;
}

static void train_dataset_reads_cifar10(void **state) {
    const struct tiny *tiny = *state;
    const char *files[2] = {tiny->file, tiny->file};
    struct err err = {0};
    struct dataset set;
    uint8_t record[TINY_RECORD];

    assert_int_equal(dataset_read_cifar10(&set, files, 2, &err), 0);
    assert_int_equal(set.count, 24);
    assert_int_equal(set.classes, 10);
    assert_string_equal(set.names[3], "cat");
    assert_int_equal(set.labels[11], 1);
    assert_int_equal(set.labels[12], 0); /* the second file */
    tiny_record(11, record);
    for (int c = 0; c < 3; c++) /* planes become channels */
        for (int p = 0; p < 1024; p++)
            assert_int_equal(set.pixels[11 * 3072 + p * 3 + c],
                             record[1 + c * 1024 + p]);
    dataset_free(&set);
}

static void refuse(const char *file, const char *why) {
    struct err err = {0};
    struct dataset set;
    assert_int_equal(dataset_read_cifar10(&set, &file, 1, &err), -1);
    assert_non_null(strstr(err.text, file));
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void train_dataset_refuses_what_is_no_cifar10(void **state) {
    const struct tiny *tiny = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/other", tiny->folder);
    refuse(path, "No such file");
    tiny_write(path, 2);
    assert_int_equal(truncate(path, 2 * TINY_RECORD - 1), 0);
    refuse(path, "6145 bytes are no whole number");
    assert_int_equal(truncate(path, 0), 0);
    refuse(path, "0 bytes");
    FILE *out = fopen(path, "wb");
    for (int i = 0; i < TINY_RECORD; i++)
        fputc(10, out);
    fclose(out);
    refuse(path, "image 0 has label 10, not 0 to 9");
}

static void train_dataset_splits_off_the_end(void **state) {
    const struct tiny *tiny = *state;
    const char *file = tiny->file;
    struct err err = {0};
    struct dataset all, train, validation;
    assert_int_equal(dataset_read_cifar10(&all, &file, 1, &err), 0);
    assert_int_equal(dataset_split(&all, 5, &train, &validation, &err), 0);
    assert_int_equal(train.count, 7);
    assert_int_equal(validation.count, 5);
    assert_ptr_equal(validation.pixels, all.pixels + 7 * 3072);
    assert_int_equal(validation.labels[0], 7);
    assert_int_equal(dataset_split(&all, 12, &train, &validation, &err), -1);
    assert_non_null(strstr(err.text, "12 of 12"));
    dataset_free(&all);
}

static void train_dataset_fingerprint_sees_any_change(void **state) {
    const struct tiny *tiny = *state;
    const char *file = tiny->file;
    struct err err = {0};
    struct dataset set;
    assert_int_equal(dataset_read_cifar10(&set, &file, 1, &err), 0);
    uint64_t before = dataset_fingerprint(&set);
    assert_true(before == dataset_fingerprint(&set));
    set.pixels[12 * 3072 - 1] ^= 1;
    uint64_t pixel = dataset_fingerprint(&set);
    set.pixels[12 * 3072 - 1] ^= 1;
    set.labels[0] = 4;
    assert_true(before != pixel);
    assert_true(before != dataset_fingerprint(&set));
    dataset_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_dataset_reads_cifar10),
        cmocka_unit_test(train_dataset_refuses_what_is_no_cifar10),
        cmocka_unit_test(train_dataset_splits_off_the_end),
        cmocka_unit_test(train_dataset_fingerprint_sees_any_change),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
