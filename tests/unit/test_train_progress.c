#include "models/train/progress.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void check_time(double seconds, const char *expected) {
    char text[32];
    progress_time(seconds, text);
    assert_string_equal(text, expected);
}

static void train_progress_writes_times(void **state) {
    (void)state;
    check_time(0, "0:00");
    check_time(187.4, "3:07");
    check_time(3725, "1:02:05");
    check_time(-5, "0:00");
    check_time(1e300, "277777:46:40");
}

/* Into a file: one line for an epoch, nothing while it runs. */
static void train_progress_is_one_line_an_epoch_in_a_file(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct progress p;
    struct epoch_record record = {.loss = 1.25,
                                  .accuracy = 0.5,
                                  .validation_loss = 0.75,
                                  .validation_accuracy = 0.625,
                                  .seconds = 2};
    progress_open(&p, out, 3, 1);
    progress_start(&p, 1, 10);
    progress_step(&p, 5, 100, 1.5, 0.4);
    fflush(out);
    assert_int_equal(size, 0);
    progress_epoch(&p, 200, &record);
    fclose(out);
    assert_non_null(
        strstr(text, "epoch 2/3: loss 1.2500, accuracy 50.00 %, held out: "
                     "loss 0.7500, accuracy 62.50 %, 100 images/s, "));
    assert_non_null(strstr(text, " left\n"));
    free(text);
    record.validation_loss = 0;
    out = open_memstream(&text, &size);
    p.out = out;
    progress_epoch(&p, 200, &record);
    fclose(out);
    assert_null(strstr(text, "held out"));
    free(text);
}

static void train_progress_draws_a_bar_on_a_terminal(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct progress p;
    setenv("COLUMNS", "200", 1);
    progress_open(&p, out, 3, 0);
    p.terminal = true;
    progress_start(&p, 0, 10);
    progress_step(&p, 5, 100, 1.5, 0.4);
    fclose(out);
    assert_non_null(strstr(text, "epoch 1/3 [############............] loss "
                                 "1.500, accuracy 40.00 %"));
    assert_null(strchr(text, '\n'));
    free(text);
}

/* A line that wraps leaves what is before it on the screen. */
static void train_progress_fits_its_terminal(void **state) {
    (void)state;
    for (int columns = 1; columns < 130; columns++) {
        static char text[256];
        char said[16];
        struct progress p;
        FILE *out = fmemopen(text, sizeof text, "w");
        assert_non_null(out);
        snprintf(said, sizeof said, "%d", columns);
        setenv("COLUMNS", said, 1);
        progress_open(&p, out, 3, 0);
        p.terminal = true;
        progress_start(&p, 0, 10);
        progress_step(&p, 5, 100, 1.5, 0.4);
        fclose(out);
        assert_int_equal(strncmp(text, "\r\033[K", 4), 0);
        assert_true((int)strlen(text + 4) < columns);
        assert_true(columns < 10 || strstr(text, "epoch 1/3"));
    }
}

/* A terminal that cannot move its cursor is as a file. */
static void train_progress_draws_nothing_on_a_dumb_terminal(void **state) {
    (void)state;
    struct progress p;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
        skip();
    FILE *out = fopen(ptsname(terminal), "w");
    assert_non_null(out);
    setenv("TERM", "dumb", 1);
    progress_open(&p, out, 3, 0);
    assert_false(p.terminal);
    setenv("TERM", "xterm", 1);
    progress_open(&p, out, 3, 0);
    assert_true(p.terminal);
    fclose(out);
    close(terminal);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_progress_writes_times),
        cmocka_unit_test(train_progress_is_one_line_an_epoch_in_a_file),
        cmocka_unit_test(train_progress_draws_a_bar_on_a_terminal),
        cmocka_unit_test(train_progress_fits_its_terminal),
        cmocka_unit_test(train_progress_draws_nothing_on_a_dumb_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
