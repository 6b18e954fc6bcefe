/* The hands are socket pairs here, and the test is what is at their end. */
#include "worker/roster.h"

#include "worker/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT_MS 1000

static struct roster *roster;
static int ends[2]; /* of hands 101 and 102 */
static struct task *tasks[3];
static struct task_list answered, lost;
static struct pollfd fds[2];
static struct err err;

static void add(int i, pid_t pid) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ends[i] = pair[0];
    assert_int_equal(roster_add(roster, pid, pair[1], &err), 0);
}

static int fresh(void **state) {
    (void)state;
    struct job_header header = {.type = JOB_JOB, .attempt = 1};
    roster = roster_open(2, TIMEOUT_MS);
    memset(&answered, 0, sizeof answered);
    memset(&lost, 0, sizeof lost);
    memset(&err, 0, sizeof err);
    for (int i = 0; i < 3; i++)
        tasks[i] = task_new(1, &header, strdup("image"), 5);
    add(0, 101);
    add(1, 102);
    return 0;
}

static int close_all(void **state) {
    (void)state;
    struct task *task;
    while ((task = task_list_take(&answered)) || (task = task_list_take(&lost)))
        task_free(task);
    roster_close(roster);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void serve(void) {
    roster_watch(roster, fds);
    poll(fds, 2, 0);
    roster_serve(roster, fds, &answered);
}

static void say_ready(int i) {
    assert_int_equal(frame_send(ends[i], FRAME_READY, NULL, 0, -1, &err), 0);
    serve();
}

static void say_answer(int i, int index) {
    struct {
        struct batch_answer answer;
        char text[2];
    } body = {{.index = index}, {'{', '}'}};
    size_t size = offsetof(struct batch_answer, total_ms) + sizeof(double) + 2;
    assert_int_equal(frame_send(ends[i], FRAME_ANSWER, &body, size, -1, &err),
                     0);
    serve();
}

/* A batch of `count` tasks for hand 101, taken off its socket. */
static void give(int count, int64_t now_ms) {
    struct frame_reader reader = FRAME_READER(BATCH_BYTES_MAX);
    struct frame frame;
    say_ready(0);
    assert_int_equal(roster_give(roster, 0, tasks, count, now_ms), 1);
    serve();
    assert_int_equal(frame_read(&reader, ends[0], &frame, &err), 1);
    assert_int_equal(frame.type, FRAME_BATCH);
    frame_reader_free(&reader);
}

static void free_tasks(int first) {
    for (int i = first; i < 3; i++)
        task_free(tasks[i]);
}

static void roster_gives_nothing_before_ready(void **state) {
    (void)state;
    assert_int_equal(roster_count(roster).hands, 2);
    assert_int_equal(roster_count(roster).free, 0);
    assert_int_equal(roster_give(roster, 0, tasks, 1, 0), 0);
    say_ready(1);
    assert_int_equal(roster_count(roster).free, 1);
    free_tasks(0);
}

static void roster_frees_a_hand_with_its_last_answer(void **state) {
    (void)state;
    give(3, 0);
    assert_int_equal(roster_count(roster).busy, 1);
    say_answer(0, 2);
    say_answer(0, 0);
    assert_int_equal(answered.count, 2);
    assert_ptr_equal(answered.first, tasks[2]);
    assert_int_equal(roster_count(roster).free, 0);
    say_answer(0, 1);
    assert_int_equal(answered.count, 3);
    assert_int_equal(roster_count(roster).free, 1);
    assert_int_equal(roster_count(roster).busy, 0);
}

static void roster_returns_what_a_dead_hand_had(void **state) {
    (void)state;
    give(3, 0);
    int status = frame_send(ends[0], FRAME_ANSWER, "?", 1, -1, &err);
    assert_int_equal(status, 0); /* not yet read when it dies */
    struct roster_loss loss = roster_remove(roster, 101, &answered, &lost);
    assert_true(loss.known);
    assert_false(loss.was_new);
    assert_int_equal(loss.batch, 3);
    assert_int_equal(lost.count, 3);
    assert_ptr_equal(lost.first, tasks[0]);
    assert_int_equal(roster_count(roster).hands, 1);
    assert_false(roster_remove(roster, 101, &answered, &lost).known);
    assert_true(roster_remove(roster, 102, &answered, &lost).was_new);
    assert_int_equal(roster_any(roster), 0);
}

static void roster_takes_what_a_dead_hand_had_answered(void **state) {
    (void)state;
    give(2, 0);
    struct {
        struct batch_answer answer;
        char text[8];
    } body = {{.index = 1}, "{\"a\":1}"};
    assert_int_equal(
        frame_send(ends[0], FRAME_ANSWER, &body, sizeof body, -1, &err), 0);
    close(ends[0]);
    roster_remove(roster, 101, &answered, &lost);
    assert_ptr_equal(answered.first, tasks[1]);
    assert_ptr_equal(lost.first, tasks[0]);
    assert_int_equal(lost.count, 1);
    ends[0] = -1;
    free_tasks(2);
}

static void roster_dooms_a_hand_that_answers_nonsense(void **state) {
    (void)state;
    const char *why = NULL;
    give(1, 0);
    say_answer(0, 1); /* there is no second image */
    assert_int_equal(answered.count, 0);
    assert_int_equal(roster_overdue(roster, 0, &why), 101);
    assert_string_equal(why, "it answered nonsense");
    assert_int_equal(roster_overdue(roster, 0, &why), 0);
    assert_string_equal(roster_remove(roster, 101, &answered, &lost).why,
                        "it answered nonsense");
    say_ready(1);
    say_answer(1, 0); /* nobody asked */
    assert_int_equal(roster_overdue(roster, 0, &why), 102);
    free_tasks(1);
}

static void roster_dooms_a_hand_that_takes_too_long(void **state) {
    (void)state;
    const char *why = NULL;
    assert_int_equal(roster_deadline(roster), -1);
    give(1, 5000);
    assert_int_equal(roster_deadline(roster), 5000 + TIMEOUT_MS);
    assert_int_equal(roster_overdue(roster, 5999, &why), 0);
    assert_int_equal(roster_overdue(roster, 6000, &why), 101);
    assert_string_equal(why, "it took too long");
    assert_int_equal(roster_deadline(roster), -1);
    free_tasks(1);
}

static void roster_notices_a_closed_socket(void **state) {
    (void)state;
    const char *why = "?";
    close(ends[1]);
    ends[1] = -1;
    serve();
    assert_int_equal(roster_overdue(roster, 0, &why), 102);
    assert_null(why);
    free_tasks(0);
}

static void roster_holds_no_more_than_asked_for(void **state) {
    (void)state;
    int fd = dup(STDERR_FILENO);
    assert_int_equal(roster_add(roster, 103, fd, &err), -1);
    assert_string_equal(err.text, "a hand more than the 2 that were asked for");
    free_tasks(0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fresh, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(roster_gives_nothing_before_ready),
        CASE(roster_frees_a_hand_with_its_last_answer),
        CASE(roster_returns_what_a_dead_hand_had),
        CASE(roster_takes_what_a_dead_hand_had_answered),
        CASE(roster_dooms_a_hand_that_answers_nonsense),
        CASE(roster_dooms_a_hand_that_takes_too_long),
        CASE(roster_notices_a_closed_socket),
        CASE(roster_holds_no_more_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
