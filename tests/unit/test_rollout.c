/* A whole worker whose model folders change: the new models serve beside the
 * old ones until those are done, and what is broken changes nothing. */
#include "tests/unit/fake_classifier.h"
#include "tests/unit/worker_bench.h"

#define V1 "111111111111"
#define V2 "222222222222"
#define V3 "333333333333"

static struct job_advert advert; /* of the last READY */
static struct id ids[16];
static enum job_type types[16];

/* A folder whose model is of that version, there at once or not at all. */
static void put(const char *name, const char *version) {
    char folder[400], hidden[400], path[500];
    struct stat status;
    snprintf(folder, sizeof folder, "%s/%s", bench.models, name);
    snprintf(hidden, sizeof hidden, "%s/.new", bench.models);
    mkdir(hidden, 0700);
    snprintf(path, sizeof path, "%s/model.onnx", hidden);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(version, file);
    fclose(file);
    if (stat(folder, &status) < 0) {
        assert_int_equal(rename(hidden, folder), 0);
        return;
    }
    strcat(folder, "/model.onnx");
    assert_int_equal(rename(path, folder), 0);
}

static void take_ready(void) {
    struct err err;
    bench_expect(JOB_READY, NULL);
    job_advert_free(&advert);
    assert_int_equal(
        job_advert_decode(bench.body, strlen(bench.body), &advert, &err), 0);
}

static void start(const char *retire_after) {
    put("a-fake", V1);
    bench_launch("--hands=2", "--batch=4", "--models-check=50ms",
                 "--redis-patience=60s", "--name=tester", retire_after);
    take_ready();
}

static void assert_model(int i, const char *name, const char *version,
                         bool retiring) {
    assert_true(i < advert.model_count);
    assert_string_equal(advert.models[i].name, name);
    assert_string_equal(advert.models[i].version, version);
    assert_int_equal(advert.models[i].retiring, retiring);
    assert_true(advert.models[i].placed_ms > 0);
}

static void assert_serves(const char *version) {
    struct id id = bench_send_to(version, "ok", 0);
    bench_expect(JOB_DONE, &id);
}

static void rollout_serves_both_until_the_old_one_is_done(void **state) {
    (void)state;
    start("--retire-after=60s");
    put("a-fake", V2);
    take_ready();
    assert_int_equal(advert.model_count, 2);
    assert_model(0, "a-fake", V2, false);
    assert_model(1, "a-fake", V1, true);
    assert_serves(V1);
    assert_serves(V2);
}

static void rollout_retires_the_old_one_after_its_last_job(void **state) {
    (void)state;
    start("--retire-after=500ms");
    pid_t first = bench_nursery();
    put("a-fake", V2);
    take_ready();
    assert_int_equal(advert.model_count, 2);
    take_ready();
    assert_int_equal(advert.model_count, 1);
    assert_model(0, "a-fake", V2, false);
    bench_await_end(first);
    ids[0] = bench_send_to(V1, "ok", 0);
    bench_expect(JOB_FAILED, &ids[0]);
    assert_string_equal(bench.body, "this worker has no model of version " V1);
    assert_serves(V2);
}

static void rollout_finishes_what_the_old_one_has(void **state) {
    (void)state;
    start("--retire-after=0s");
    for (int i = 0; i < 6; i++)
        ids[i] = bench_send_to(V1, "slow", 0);
    bench_await_received();
    put("a-fake", V2);
    int done = 0, ready = 0;
    while (done < 6) {
        enum job_type type = bench_next();
        done += type == JOB_DONE;
        ready += type == JOB_READY;
        assert_int_not_equal(type, JOB_FAILED);
    }
    while (ready < 2) /* V2 and V1, then V2 */
        ready += bench_next() == JOB_READY;
    assert_serves(V2);
}

static void rollout_goes_back_when_the_old_folder_does(void **state) {
    (void)state;
    start("--retire-after=60s");
    put("a-fake", V2);
    take_ready();
    put("a-fake", V1);
    take_ready();
    assert_model(0, "a-fake", V1, false);
    assert_model(1, "a-fake", V2, true);
    assert_serves(V1);
    assert_serves(V2);
}

static void rollout_refuses_a_broken_model(void **state) {
    (void)state;
    start("--retire-after=60s");
    pid_t first = bench_nursery();
    put("a-fake", "bad");
    take_ready();
    assert_int_equal(advert.model_count, 1);
    assert_model(0, "a-fake", V1, false);
    assert_int_equal(advert.refused_count, 1);
    assert_string_equal(advert.refused[0].folder, "a-fake");
    assert_non_null(strstr(advert.refused[0].reason, "Nonsense"));
    assert_true(bench_logged("event=models-refused"));
    assert_int_equal(bench_nursery(), first);
    assert_serves(V1);
    put("a-fake", V2);
    take_ready();
    assert_model(0, "a-fake", V2, false);
    assert_int_equal(advert.refused_count, 0);
}

static void rollout_survives_a_model_that_ends_the_nursery(void **state) {
    (void)state;
    start("--retire-after=60s");
    put("a-fake", "deadly");
    take_ready();
    assert_int_equal(advert.model_count, 1);
    assert_non_null(strstr(advert.refused[0].reason, "signal 9"));
    assert_serves(V1);
}

static void rollout_keeps_a_refused_model_beside_new_ones(void **state) {
    (void)state;
    start("--retire-after=0s");
    put("b-fake", V3);
    take_ready();
    while (advert.model_count != 2) /* for a moment, V1 twice is one */
        take_ready();
    assert_model(0, "a-fake", V1, false);
    assert_model(1, "b-fake", V3, false);
    assert_true(advert.models[0].is_default);
    put("a-fake", "bad");
    put("b-fake", V2);
    take_ready();
    assert_model(0, "b-fake", V2, false);
    assert_model(1, "a-fake", V1, false);
    assert_true(advert.models[1].is_default);
    assert_serves(V1);
    assert_serves(V2);
}

static void rollout_takes_up_a_new_folder_on_a_hangup(void **state) {
    (void)state;
    put("a-fake", V1);
    bench_launch("--hands=1", "--models-check=0s");
    take_ready();
    put("b-fake", V2);
    kill(bench.worker, SIGHUP);
    take_ready();
    assert_int_equal(advert.model_count, 2);
    assert_model(1, "b-fake", V2, false);
    assert_serves(V2);
    kill(bench.worker, SIGHUP); /* nothing has changed */
    take_ready();
    assert_true(bench_logged("event=models-unchanged"));
    assert_serves(V2);
}

static void rollout_survives_its_nurseries(void **state) {
    (void)state;
    start("--retire-after=60s");
    pid_t older = bench_nursery();
    put("a-fake", V2);
    take_ready();
    pid_t newer = bench_child(bench.worker, 1);
    for (int i = 0; i < 4; i++)
        ids[i] = bench_send_to(i % 2 ? V1 : V2, "slow", 0);
    bench_await_received();
    kill(newer, SIGKILL);
    int ready = 0, done = 0;
    while (done < 4 || !ready) {
        enum job_type type = bench_next();
        assert_int_not_equal(type, JOB_FAILED);
        done += type == JOB_DONE;
        ready += type == JOB_READY;
    }
    kill(older, SIGKILL); /* what it alone had is lost */
    take_ready();
    assert_int_equal(advert.model_count, 1);
    assert_model(0, "a-fake", V2, false);
    ids[0] = bench_send_to(V1, "ok", 0);
    bench_expect(JOB_FAILED, &ids[0]);
    assert_serves(V2);
}

static void rollout_takes_changes_in_quick_succession(void **state) {
    (void)state;
    static const char *const versions[] = {V2, V1, V3, V1, V2, V3};
    start("--retire-after=60s");
    for (int i = 0; i < 6; i++) {
        put("a-fake", versions[i]);
        do
            take_ready();
        while (strcmp(advert.models[0].version, versions[i]) != 0);
        ids[i] = bench_send_to(versions[i], "ok", 0);
        bench_collect(&ids[i], 1, types);
        assert_int_equal(types[0], JOB_DONE);
    }
}

int main(int argc, char **argv) {
    bench_main(argc, argv);
    const struct CMUnitTest tests[] = {
        BENCH(rollout_serves_both_until_the_old_one_is_done),
        BENCH(rollout_retires_the_old_one_after_its_last_job),
        BENCH(rollout_finishes_what_the_old_one_has),
        BENCH(rollout_goes_back_when_the_old_folder_does),
        BENCH(rollout_refuses_a_broken_model),
        BENCH(rollout_survives_a_model_that_ends_the_nursery),
        BENCH(rollout_keeps_a_refused_model_beside_new_ones),
        BENCH(rollout_takes_up_a_new_folder_on_a_hangup),
        BENCH(rollout_survives_its_nurseries),
        BENCH(rollout_takes_changes_in_quick_succession),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    job_advert_free(&advert);
    return failed;
}
