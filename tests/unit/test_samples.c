#include "models/tool/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL "models/zoo/cifar10-airbench" /* labels: airplane ... truck */
#define RECORD (1 + 3 * CIFAR_SIDE * CIFAR_SIDE)

static struct classifier *classifier;
static struct samples samples;
static struct err err;
static char folder[32];

static int open_classifier(void **state) {
    (void)state;
    classifier = classifier_load(MODEL, &err);
    return classifier ? 0 : -1;
}

static int close_classifier(void **state) {
    (void)state;
    classifier_free(classifier);
    return 0;
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_samples_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    samples_free(&samples);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* folder/name, with that many bytes; a folder where `bytes` is NULL. */
static const char *make(const char *name, const uint8_t *bytes, size_t size) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!bytes) {
        assert_int_equal(mkdir(path, 0700), 0);
        return path;
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void samples_turn_cifar_planes_into_pixels(void **state) {
    (void)state;
    static uint8_t records[2 * RECORD];
    records[0] = 3;                /* cat */
    records[1] = 10;               /* red of the first pixel */
    records[1 + 1024 + 1] = 20;    /* green of the second */
    records[1 + 2048 + 1023] = 30; /* blue of the last */
    records[RECORD] = 9;           /* truck */
    const char *path = make("batch.bin", records, sizeof records);
    assert_int_equal(samples_read_cifar10(&samples, classifier, &path, 1, &err),
                     0);
    assert_int_equal(samples.count, 2);
    assert_int_equal(samples.classes[0], 3);
    assert_int_equal(samples.classes[1], 9);
    assert_int_equal(samples.rgb[0][0], 10);
    assert_int_equal(samples.rgb[0][3 + 1], 20);
    assert_int_equal(samples.rgb[0][3 * 1023 + 2], 30);
    assert_int_equal(samples.rgb[1][0], 0);
}

static void samples_refuse_what_is_no_cifar_file(void **state) {
    (void)state;
    static uint8_t record[RECORD] = {10}; /* there are classes 0 to 9 */
    const char *path = make("short.bin", record, RECORD - 1);
    assert_int_equal(samples_read_cifar10(&samples, classifier, &path, 1, &err),
                     -1);
    assert_non_null(strstr(err.text, "no multiple"));
    path = make("class.bin", record, RECORD);
    assert_int_equal(samples_read_cifar10(&samples, classifier, &path, 1, &err),
                     -1);
    assert_non_null(strstr(err.text, "class 10"));
}

static void samples_take_a_folder_a_class(void **state) {
    (void)state;
    static const uint8_t byte[1] = {0};
    make("Cat", NULL, 0);
    make("Cat/b.jpg", byte, 1);
    make("Cat/a.jpg", byte, 1);
    make("Cat/.hidden", byte, 1);
    make("Truck", NULL, 0);
    make("Truck/c.png", byte, 1);
    make("README", byte, 1);
    assert_int_equal(samples_read_folder(&samples, classifier, folder, &err),
                     0);
    assert_int_equal(samples.count, 3);
    assert_int_equal(samples.classes[0], 3);
    assert_int_equal(samples.classes[2], 9);
    assert_non_null(strstr(samples.paths[0], "/Cat/a.jpg"));
    assert_non_null(strstr(samples.paths[1], "/Cat/b.jpg"));
}

static void samples_refuse_a_folder_that_is_no_label(void **state) {
    (void)state;
    make("zeppelin", NULL, 0);
    assert_int_equal(samples_read_folder(&samples, classifier, folder, &err),
                     -1);
    assert_non_null(strstr(err.text, "no label \"zeppelin\""));
}

/* A label of another model, not the first class of this one. */
static void samples_refuse_a_number_where_classes_have_names(void **state) {
    (void)state;
    make("0", NULL, 0);
    assert_int_equal(samples_read_folder(&samples, classifier, folder, &err),
                     -1);
    assert_non_null(strstr(err.text, "no label \"0\""));
}

static void samples_refuse_an_empty_folder(void **state) {
    (void)state;
    make("cat", NULL, 0);
    assert_int_equal(samples_read_folder(&samples, classifier, folder, &err),
                     -1);
    assert_non_null(strstr(err.text, "holds no pictures"));
    assert_int_equal(
        samples_read_folder(&samples, classifier, "/nonexistent", &err), -1);
    assert_non_null(strstr(err.text, "no such folder"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(samples_turn_cifar_planes_into_pixels),
        TEST(samples_refuse_what_is_no_cifar_file),
        TEST(samples_take_a_folder_a_class),
        TEST(samples_refuse_a_folder_that_is_no_label),
        TEST(samples_refuse_a_number_where_classes_have_names),
        TEST(samples_refuse_an_empty_folder),
    };
    return cmocka_run_group_tests(tests, open_classifier, close_classifier);
}
