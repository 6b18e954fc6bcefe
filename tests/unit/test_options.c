#include "common/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *redis;
static int threads, verbose;
static int64_t max_image, wait_ms;

static const struct option_row rows[] = {
    {"redis", "ADDRESS", OPTION_TEXT, &redis, 0, 0, "where Redis is"},
    {"threads", "N", OPTION_INT, &threads, 1, 64, "request threads"},
    {"max-image", "SIZE", OPTION_SIZE, &max_image, 1, 1 << 30, "largest image"},
    {"wait", "TIME", OPTION_TIME, &wait_ms, 0, 60000, "longest wait"},
    {"verbose", NULL, OPTION_FLAG, &verbose, 0, 0, "say more"},
};
static const struct options options = {"tested", "a program", rows, 5};
static struct err err;

static int defaults(void **state) {
    (void)state;
    redis = "unix:redis.sock";
    threads = 16;
    max_image = 20 << 20;
    wait_ms = 30000;
    verbose = 0;
    memset(&err, 0, sizeof err);
    unsetenv("CONVOY_REDIS");
    unsetenv("CONVOY_MAX_IMAGE");
    unsetenv("CONVOY_VERBOSE");
    return 0;
}

static enum options_result read_words(const char *const *words) {
    char *argv[16] = {"tested"};
    int argc = 1;
    while (words[argc - 1]) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    return options_read(&options, argc, argv, &err);
}
#define read_line(...) read_words((const char *const[]){__VA_ARGS__, NULL})

static void options_take_flags_in_both_forms(void **state) {
    (void)state;
    assert_int_equal(read_line("--redis", "a:1", "--threads=3", "--verbose",
                               "--max-image=64K", "--wait", "500ms"),
                     OPTIONS_RUN);
    assert_string_equal(redis, "a:1");
    assert_int_equal(threads, 3);
    assert_int_equal(verbose, 1);
    assert_int_equal(max_image, 65536);
    assert_int_equal(wait_ms, 500);
    assert_int_equal(read_line("--no-verbose"), OPTIONS_RUN);
    assert_int_equal(verbose, 0);
}

static void options_keep_what_nobody_set(void **state) {
    (void)state;
    assert_int_equal(read_words((const char *const[]){NULL}), OPTIONS_RUN);
    assert_string_equal(redis, "unix:redis.sock");
    assert_int_equal(threads, 16);
}

static void options_take_the_environment_and_the_flag_wins(void **state) {
    (void)state;
    setenv("CONVOY_REDIS", "b:2", 1);
    setenv("CONVOY_MAX_IMAGE", "1MiB", 1);
    setenv("CONVOY_VERBOSE", "1", 1);
    assert_int_equal(read_line("--redis=c:3"), OPTIONS_RUN);
    assert_string_equal(redis, "c:3");
    assert_int_equal(max_image, 1 << 20);
    assert_int_equal(verbose, 1);
    setenv("CONVOY_MAX_IMAGE", "huge", 1);
    assert_int_equal(read_line("--redis=c:3"), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "CONVOY_MAX_IMAGE"));
}

static void options_read_units(void **state) {
    (void)state;
    const struct {
        const char *flag;
        int64_t expected, *target;
    } good[] = {
        {"--wait=7", 7000, &wait_ms},
        {"--wait=1m", 60000, &wait_ms},
        {"--wait=0", 0, &wait_ms},
        {"--max-image=1", 1, &max_image},
        {"--max-image=1G", 1 << 30, &max_image},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(read_line(good[i].flag), OPTIONS_RUN);
        assert_int_equal(*good[i].target, good[i].expected);
    }
}

static void options_refuse_bad_values(void **state) {
    (void)state;
    const struct {
        const char *flag, *says;
    } bad[] = {
        {"--threads=0", "out of range (1 to 64)"},
        {"--threads=65", "out of range"},
        {"--threads=", "whole number"},
        {"--threads=4x", "whole number"},
        {"--threads= 4", "whole number"},
        {"--threads=99999999999999999999", "whole number"},
        {"--max-image=9000000000G", "size"},
        {"--max-image=2G", "out of range (1B to 1GiB)"},
        {"--wait=2m", "out of range (0 to 1m)"},
        {"--wait=5 s", "time"},
        {"--verbose=1", "takes no value"},
        {"--no-threads", "unknown option --no-threads"},
        {"--redis", "needs a value (ADDRESS)"},
        {"redis", "is no option"},
        {"--", "is no option"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_line(bad[i].flag), OPTIONS_BAD);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: \"%s\", not \"%s\"", bad[i].flag, err.text,
                     bad[i].says);
    }
}

static void options_suggest_the_nearest_name(void **state) {
    (void)state;
    assert_int_equal(read_line("--max-images=3"), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "did you mean --max-image?"));
    assert_int_equal(read_line("--thread=3"), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "did you mean --threads?"));
    assert_int_equal(read_line("--completely-else"), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "see tested --help"));
    char word[300];
    memset(word, '-', sizeof word);
    word[sizeof word - 1] = 0;
    assert_int_equal(read_line(word), OPTIONS_BAD);
}

static void options_help_lists_every_row(void **state) {
    (void)state;
    char text[4096];
    FILE *file = tmpfile();
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    enum options_result result = read_line("--bogus", "--help");
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_int_equal(result, OPTIONS_DONE);
    const char *const parts[] = {
        "--redis=ADDRESS", "(unix:redis.sock)", "(16)",        "(20MiB)",
        "(30s)",           "--verbose",         "CONVOY_REDIS"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("%s is not in:\n%s", parts[i], text);
}

static double rate;
static struct option_list files, words;
static const struct option_row command_rows[] = {
    {"rate", "R", OPTION_NUMBER, &rate, 0, 10, "a number"},
    {"files", "FILE...", OPTION_LIST, &files, 0, 0, "some files"},
    {"verbose", NULL, OPTION_FLAG, &verbose, 0, 0, "say more"},
};
static const struct options command = {"command",
                                       "a command",
                                       command_rows,
                                       3,
                                       .synopsis = "MODEL [IMAGE]",
                                       .words = &words,
                                       .words_least = 1,
                                       .words_most = 2,
                                       .flags_only = true};

static int forget_lists(void **state) {
    option_list_free(&files);
    option_list_free(&words);
    return defaults(state);
}

static enum options_result read_command(char **argv) {
    int argc = 0;
    while (argv[argc])
        argc++;
    return options_read(&command, argc, argv, &err);
}

static void options_take_words_and_lists(void **state) {
    (void)state;
    char *line[] = {"command", "m", "--rate", "0.25", "i",
                    "--files", "a", "b",      "-",    NULL};
    assert_int_equal(read_command(line), OPTIONS_RUN);
    assert_int_equal(words.count, 2);
    assert_string_equal(words.items[1], "i");
    assert_true(rate == 0.25);
    assert_int_equal(files.count, 3);
    assert_string_equal(files.items[2], "-");
}

static void options_refuse_a_wrong_number_of_words(void **state) {
    (void)state;
    char *none[] = {"command", "--verbose", NULL};
    assert_int_equal(read_command(none), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "too few"));
    assert_non_null(strstr(err.text, "MODEL [IMAGE]"));
    char *three[] = {"command", "a", "b", "c", NULL};
    assert_int_equal(read_command(three), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "too many"));
}

static void options_refuse_what_is_no_number(void **state) {
    (void)state;
    char *line[] = {"command", "m", "--rate", "fast", NULL};
    assert_int_equal(read_command(line), OPTIONS_BAD);
    assert_string_equal(err.text, "--rate: \"fast\" is no number");
    char *beyond[] = {"command", "m", "--rate", "10.5", NULL};
    assert_int_equal(read_command(beyond), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "out of range"));
    char *empty[] = {"command", "m", "--files", NULL};
    assert_int_equal(read_command(empty), OPTIONS_BAD);
    assert_non_null(strstr(err.text, "--files needs a value"));
}

static void options_of_commands_ignore_the_environment(void **state) {
    (void)state;
    setenv("CONVOY_VERBOSE", "1", 1);
    char *line[] = {"command", "m", NULL};
    assert_int_equal(read_command(line), OPTIONS_RUN);
    assert_int_equal(verbose, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(options_take_flags_in_both_forms, defaults),
        cmocka_unit_test_setup(options_keep_what_nobody_set, defaults),
        cmocka_unit_test_setup(options_take_the_environment_and_the_flag_wins,
                               defaults),
        cmocka_unit_test_setup(options_read_units, defaults),
        cmocka_unit_test_setup(options_refuse_bad_values, defaults),
        cmocka_unit_test_setup(options_suggest_the_nearest_name, defaults),
        cmocka_unit_test_setup(options_help_lists_every_row, defaults),
        cmocka_unit_test_setup_teardown(options_take_words_and_lists, defaults,
                                        forget_lists),
        cmocka_unit_test_setup_teardown(options_refuse_a_wrong_number_of_words,
                                        defaults, forget_lists),
        cmocka_unit_test_setup_teardown(options_refuse_what_is_no_number,
                                        defaults, forget_lists),
        cmocka_unit_test_setup_teardown(
            options_of_commands_ignore_the_environment, defaults, forget_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
