/* Model folders, and the watch that sees them change. */
#include "worker/stock.h"
#include "worker/watch.h"

#include "common/clock.h"

#include <poll.h>
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

static char root[64];

static const char *in_root(const char *name) {
    static char paths[4][128];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(in_root(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/convoy-stock-XXXXXX");
    assert_non_null(mkdtemp(root));
    mkdir(in_root("dogs"), 0700);
    mkdir(in_root("cats"), 0700);
    mkdir(in_root(".being-copied"), 0700);
    put("dogs/model.onnx", "dogs");
    put("cats/model.onnx", "cats");
    put("notes.txt", "");
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void stock_lists_folders_and_folders_of_them(void **state) {
    (void)state;
    char models[256];
    snprintf(models, sizeof models, "%s,,%s/dogs,%s/none", root, root, root);
    struct stock *stock = stock_list(models, NULL);
    assert_int_equal(stock->count, 4);
    assert_string_equal(stock->paths[0], in_root("cats"));
    assert_string_equal(stock->paths[1], in_root("dogs"));
    assert_string_equal(stock->paths[2], in_root("dogs"));
    assert_string_equal(stock->paths[3], in_root("none"));
    stock_free(stock);
}

static void stock_names_models_as_they_are_served(void **state) {
    (void)state;
    static const char *const table[][2] = {
        {"models/zoo/cats", "cats"},
        {"cats/", "cats"},
        {"zoo/cats/model.onnx", "cats"},
        {"zoo/resnet18.onnx", "resnet18"},
        {"cats", "cats"},
        {"zoo/cats/onnx", "cats"},
        {"onnx", "onnx"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char name[128];
        stock_name(table[i][0], name);
        assert_string_equal(name, table[i][1]);
    }
}

static void stock_mark_changes_with_the_files(void **state) {
    (void)state;
    struct stock_mark first = stock_mark(in_root("cats"));
    assert_true(stock_mark(in_root("cats")).value == first.value);
    assert_true(first.placed_ms > clock_wall_ms() - 60000);
    put("cats/README.md", "words");
    assert_true(stock_mark(in_root("cats")).value == first.value);
    put("cats/config.json", "{}");
    struct stock_mark second = stock_mark(in_root("cats"));
    assert_true(second.value != first.value);
    put("cats/model.onnx", "CATS"); /* as many bytes, in the same file */
    assert_true(stock_mark(in_root("cats")).value != second.value);
    second = stock_mark(in_root("cats"));
    put("cats/model.onnx.data", "numbers");
    assert_true(stock_mark(in_root("cats")).value != second.value);
}

static void stock_finds_networks_of_other_names(void **state) {
    (void)state;
    mkdir(in_root("birds"), 0700);
    mkdir(in_root("birds/onnx"), 0700);
    put("birds/onnx/model_quantized.onnx", "birds");
    struct stock *stock = stock_list(in_root("birds"), NULL);
    assert_int_equal(stock->count, 1);
    assert_string_equal(stock->paths[0], in_root("birds"));
    stock_free(stock);
    struct stock_mark above = stock_mark(in_root("birds"));
    put("birds/onnx/model_quantized.onnx", "other birds");
    assert_true(stock_mark(in_root("birds")).value != above.value);
    struct stock_mark below = stock_mark(in_root("birds/onnx"));
    put("birds/config.json", "{}");
    assert_true(stock_mark(in_root("birds/onnx")).value != below.value);
}

static void stock_mark_knows_a_folder_that_was_put_back(void **state) {
    (void)state;
    rename(in_root("cats"), in_root("cats.old"));
    struct stock_mark away = stock_mark(in_root("cats.old"));
    usleep(20000);
    rename(in_root("cats.old"), in_root("cats"));
    assert_true(stock_mark(in_root("cats")).placed_ms > away.placed_ms);
}

#define SOON 60000 /* ms; a busy machine, and it takes a fraction */
#define A_WHILE 500

static bool tells(struct watch *watch, int within_ms) {
    struct pollfd fd = {.fd = watch_fd(watch), .events = POLLIN};
    return poll(&fd, 1, within_ms) == 1 && watch_take(watch);
}

static void watch_tells_what_has_changed_once_it_stands_still(void **state) {
    (void)state;
    struct watch *watch = watch_open(root, 20, NULL);
    assert_false(tells(watch, A_WHILE));
    put("dogs/model.onnx", "other dogs");
    assert_true(tells(watch, SOON));
    assert_false(tells(watch, A_WHILE));
    mkdir(in_root("birds"), 0700);
    assert_true(tells(watch, SOON));
    watch_close(watch);
}

static void watch_waits_for_a_copy_to_end(void **state) {
    (void)state;
    char text[64] = "";
    struct watch *watch = watch_open(root, 1000, NULL);
    int64_t end = clock_ms() + 2500;
    while (clock_ms() < end) { /* grows far faster than it is looked at */
        if (strlen(text) < sizeof text - 1)
            strcat(text, "x");
        put("cats/model.onnx", text);
        usleep(10000);
        assert_false(watch_take(watch));
    }
    assert_true(tells(watch, SOON));
    watch_close(watch);
}

static void watch_may_be_told_not_to_look(void **state) {
    (void)state;
    struct watch *watch = watch_open(root, 0, NULL);
    put("cats/model.onnx", "other cats");
    assert_false(tells(watch, A_WHILE));
    watch_close(watch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(stock_lists_folders_and_folders_of_them),
        TEST(stock_names_models_as_they_are_served),
        TEST(stock_mark_changes_with_the_files),
        TEST(stock_finds_networks_of_other_names),
        TEST(stock_mark_knows_a_folder_that_was_put_back),
        TEST(watch_tells_what_has_changed_once_it_stands_still),
        TEST(watch_waits_for_a_copy_to_end),
        TEST(watch_may_be_told_not_to_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
