/* A whole worker whose processes die, hang or misbehave under their work: what
 * came in is answered all the same, and only who is to blame pays. */
#include "tests/unit/fake_classifier.h"
#include "tests/unit/worker_bench.h"
#include "worker/probe.h"

static enum job_type types[16];
static struct id ids[16];

static void assert_serves(void) {
    struct id id = bench_send("ok");
    bench_expect(JOB_DONE, &id);
}

/* After ids[0], for which the only hand is held, the others as one batch. */
static void send_batch(const char *const *images, int count) {
    pid_t hand;
    ids[0] = bench_occupy(&hand);
    for (int i = 1; i <= count; i++)
        ids[i] = bench_send(images[i - 1]);
    bench_release(hand);
}

static void crew_fails_an_image_that_kills_its_hand(void **state) {
    (void)state;
    bench_start("--hands=1");
    ids[0] = bench_send("crash");
    bench_expect(JOB_FAILED, &ids[0]);
    assert_non_null(strstr(bench.body, "the process that classified the image "
                                       "was ended by signal 11"));
    assert_true(bench_logged("event=lost-with-hand request=request-1"));
    assert_serves();
}

static void crew_spares_the_mates_of_a_deadly_image(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=8");
    send_batch((const char *const[]){"ok", "crash", "ok", "corrupt"}, 4);
    bench_collect(ids, 5, types);
    for (int i = 0; i < 5; i++)
        assert_int_equal(types[i], i == 2 ? JOB_FAILED : JOB_DONE);
    struct prediction p = bench_result(&ids[3]);
    assert_string_equal(p.top[0].label, "batch of 1");
    prediction_free(&p);
}

static void crew_ends_a_hand_that_hangs(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=8", "--job-timeout=2s");
    send_batch((const char *const[]){"hang", "ok"}, 2);
    bench_collect(ids, 3, types);
    assert_int_equal(types[0], JOB_DONE);
    assert_int_equal(types[1], JOB_FAILED);
    assert_int_equal(types[2], JOB_DONE);
    assert_true(bench_logged("event=hand-killed"));
    ids[3] = bench_send("hang");
    bench_expect(JOB_FAILED, &ids[3]);
    assert_non_null(strstr(bench.body, "(Killed): it took too long"));
    assert_serves();
}

static void crew_fails_an_image_whose_decoder_is_stuck(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=8", "--decode-timeout=300ms");
    send_batch((const char *const[]){"ok", "stuck", "ok"}, 3);
    bench_collect(ids, 4, types);
    for (int i = 0; i < 4; i++)
        assert_int_equal(types[i], i == 2 ? JOB_FAILED : JOB_DONE);
    ids[4] = bench_send("stuck");
    bench_expect(JOB_FAILED, &ids[4]);
    assert_non_null(strstr(bench.body, "decoding the image took too long"));
    assert_false(bench_logged("event=hand-killed"));
    assert_serves();
}

static void crew_gives_up_an_image_that_takes_too_much_work(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=8", "--decode-timeout=300ms");
    send_batch((const char *const[]){"ok", "toil", "ok"}, 3);
    bench_collect(ids, 4, types);
    for (int i = 0; i < 4; i++)
        assert_int_equal(types[i], JOB_DONE);
    struct prediction p = bench_result(&ids[2]);
    assert_false(p.succeeded);
    assert_true(p.permanent);
    assert_string_equal(p.problem, "image-too-large");
    assert_non_null(strstr(p.detail, "0.3 s of processor time"));
    prediction_free(&p);
    assert_serves();
}

/* Each costs a hand; a sound image loses one of them at most. */
static void crew_spares_the_mates_of_many_that_are_stuck(void **state) {
    (void)state;
    const char *const images[] = {"stuck", "stuck", "stuck", "stuck", "ok"};
    bench_start("--hands=1", "--batch=8", "--decode-timeout=50ms");
    send_batch(images, 5);
    bench_collect(ids, 6, types);
    for (int i = 1; i < 5; i++)
        assert_int_equal(types[i], JOB_FAILED);
    assert_int_equal(types[5], JOB_DONE);
}

static void crew_survives_a_hand_killed_in_the_middle(void **state) {
    (void)state;
    char text[64];
    bench_start("--hands=1", "--batch=4");
    send_batch((const char *const[]){"slow", "slow", "slow", "slow"}, 4);
    snprintf(text, sizeof text, "event=job-given request=request-%d ",
             bench.sent);
    bench_await_log(text);
    kill(bench_hand(0), SIGKILL);
    bench_collect(ids, 5, types);
    for (int i = 0; i < 5; i++)
        assert_int_equal(types[i], JOB_DONE);
    assert_true(bench_logged("event=hand-died"));
    assert_true(bench_logged("batch=4"));
}

static void crew_survives_the_nursery(void **state) {
    (void)state;
    bench_start("--hands=2", "--batch=4");
    pid_t first = bench_nursery();
    for (int i = 0; i < 6; i++)
        ids[i] = bench_send("slow");
    bench_await_received();
    usleep(100000);
    kill(first, SIGKILL);
    int ready = 0, done = 0;
    while (done < 6) {
        enum job_type type = bench_next();
        ready += type == JOB_READY;
        done += type == JOB_DONE;
        assert_int_not_equal(type, JOB_FAILED);
    }
    assert_int_equal(ready, 1);
    assert_int_not_equal(bench_nursery(), first);
    assert_serves();
}

static void crew_keeps_hands_from_the_outside(void **state) {
    (void)state;
    bench_start("--hands=1");
    ids[0] = bench_send("open");
    bench_expect(JOB_DONE, &ids[0]);
    ids[1] = bench_send("connect");
    bench_expect(JOB_FAILED, &ids[1]);
    assert_non_null(strstr(bench.body, "signal 31 (Bad system call)"));
    ids[2] = bench_send("exec");
    bench_expect(JOB_FAILED, &ids[2]);
    assert_non_null(strstr(bench.body, "signal 31 (Bad system call)"));
    assert_serves();
}

static void crew_hands_cannot_leave_their_sandbox(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* it takes terabytes of addresses for itself */
#endif
    char line[256], last[256] = "";
    FILE *table = tmpfile();
    assert_non_null(table);
    int status = probe_sandbox(table);
    rewind(table);
    while (fgets(line, sizeof line, table)) {
        if (strncmp(line, "FAILED", 6) == 0)
            print_message("%s", line);
        strcpy(last, line);
    }
    fclose(table);
    assert_int_equal(status, 0);
    assert_non_null(strstr(last, "as they should be"));
}

static void crew_bounds_the_memory_of_a_hand(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* it takes terabytes of addresses for itself */
#endif
    bench_start("--hands=1", "--hand-memory=256M");
    ids[0] = bench_send("much");
    bench_expect(JOB_DONE, &ids[0]);
    struct prediction p = bench_result(&ids[0]);
    assert_string_equal(p.problem, "image-too-large");
    prediction_free(&p);
}

int main(int argc, char **argv) {
    bench_main(argc, argv);
    const struct CMUnitTest tests[] = {
        BENCH(crew_fails_an_image_that_kills_its_hand),
        BENCH(crew_spares_the_mates_of_a_deadly_image),
        BENCH(crew_ends_a_hand_that_hangs),
        BENCH(crew_fails_an_image_whose_decoder_is_stuck),
        BENCH(crew_gives_up_an_image_that_takes_too_much_work),
        BENCH(crew_spares_the_mates_of_many_that_are_stuck),
        BENCH(crew_survives_a_hand_killed_in_the_middle),
        BENCH(crew_survives_the_nursery),
        BENCH(crew_keeps_hands_from_the_outside),
        BENCH(crew_hands_cannot_leave_their_sandbox),
        BENCH(crew_bounds_the_memory_of_a_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
