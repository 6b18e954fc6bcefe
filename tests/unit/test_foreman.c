/* A whole worker at work: batches, answers, fronts and Redis that come and go,
 * how it starts and ends. What happens when its processes die is in
 * test_crew.c. */
#include "tests/unit/fake_classifier.h"
#include "tests/unit/worker_bench.h"

static enum job_type types[16];
static struct id ids[16];

static void worker_says_what_it_serves(void **state) {
    (void)state;
    struct job_advert advert;
    struct err err;
    bench_model("second-one");
    bench_start("--hands=2", "--batch=4", "--name=tester",
                "--default-model=second-one");
    assert_int_equal(bench.header.number, 2 * 4 * 2);
    assert_int_equal(
        job_advert_decode(bench.body, strlen(bench.body), &advert, &err), 0);
    assert_string_equal(advert.name, "tester");
    assert_int_equal(advert.hands, 2);
    assert_int_equal(advert.batch, 4);
    assert_int_equal(advert.model_count, 2);
    assert_string_equal(advert.models[0].name, "a-fake");
    assert_string_equal(advert.models[0].version, BENCH_MODEL);
    assert_int_equal(advert.models[0].label_count, FAKE_CLASSES);
    assert_int_equal(advert.models[0].width, 32);
    assert_true(advert.models[0].explainable);
    assert_false(advert.models[0].is_default);
    assert_true(advert.models[1].is_default);
    job_advert_free(&advert);
    uint8_t who[JOB_HEADER_MAX];
    size_t size = job_encode(&(struct job_header){.type = JOB_WHO}, who);
    bench_say(who, size, "", 0);
    bench_expect(JOB_READY, NULL);
}

static void worker_answers_into_redis(void **state) {
    (void)state;
    bench_start("--hands=1");
    ids[0] = bench_send("ok");
    bench_expect(JOB_DONE, &ids[0]);
    assert_string_equal(bench.header.request, "request-1");
    assert_int_equal(bench.header.attempt, 1);
    struct prediction p = bench_result(&ids[0]);
    assert_true(p.succeeded);
    assert_string_equal(p.model_name, "a-fake");
    assert_string_equal(p.image.format, "png");
    assert_int_equal(p.image.width, 8);
    assert_int_equal(p.image.bytes, 2);
    assert_int_equal(p.top_count, 1);
    assert_string_equal(p.top[0].label, "batch of 1");
    assert_int_equal(p.map_count, 1);
    assert_memory_equal(p.maps, "\0\1\2\3", 4);
    assert_true(p.decode_ms == 1 && p.infer_ms == 2 && p.total_ms >= 3);
    prediction_free(&p);
    assert_true(bench_logged("event=job-done request=request-1"));
}

static void worker_stores_failures_of_the_image_alone(void **state) {
    (void)state;
    bench_start("--hands=1");
    ids[0] = bench_send("corrupt");
    bench_expect(JOB_DONE, &ids[0]);
    struct prediction p = bench_result(&ids[0]);
    assert_false(p.succeeded);
    assert_true(p.permanent);
    assert_string_equal(p.problem, "corrupt-image");
    assert_string_equal(p.detail, "the file is cut off");
    prediction_free(&p);
    ids[1] = bench_send("broken");
    bench_expect(JOB_FAILED, &ids[1]);
    assert_string_equal(bench.body, "the network gave no number");
    ids[2] = bench_send_to("123456789abc", "ok", 0);
    bench_expect(JOB_FAILED, &ids[2]);
    assert_string_equal(bench.body,
                        "this worker has no model of version 123456789abc");
}

static void worker_makes_a_batch_of_what_has_queued(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=4");
    pid_t hand;
    ids[0] = bench_occupy(&hand);
    for (int i = 1; i < 7; i++)
        ids[i] = bench_send("ok");
    bench_release(hand);
    for (int i = 0; i < 7; i++) {
        static const char *const labels[] = {"batch of 1", "batch of 4",
                                             "batch of 2"};
        bench_expect(JOB_DONE, &ids[i]);
        struct prediction p = bench_result(&ids[i]);
        assert_string_equal(p.top[0].label, labels[(i + 3) / 4]);
        prediction_free(&p);
    }
}

static void worker_gives_up_what_is_too_late(void **state) {
    (void)state;
    pid_t hand;
    bench_start("--hands=1");
    ids[0] = bench_occupy(&hand);
    ids[1] = bench_send_to(BENCH_MODEL, "ok", 1);
    bench_expect(JOB_FAILED, &ids[1]);
    assert_string_equal(bench.body, "its time was over before a hand was free");
    bench_release(hand);
    bench_expect(JOB_DONE, &ids[0]);
}

static void worker_takes_a_large_image(void **state) {
    (void)state;
    size_t size = 20 << 20;
    char *image = malloc(size + 1);
    memset(image, 'x', size);
    image[size] = 0;
    bench_start("--hands=1");
    ids[0] = bench_send(image);
    free(image);
    bench_expect(JOB_DONE, &ids[0]);
    struct prediction p = bench_result(&ids[0]);
    assert_int_equal(p.image.bytes, size);
    prediction_free(&p);
}

static void worker_drops_what_is_no_message(void **state) {
    (void)state;
    bench_start("--hands=1");
    bench_say("nonsense", 8, "", 0);
    ids[0] = bench_send("ok");
    bench_expect(JOB_DONE, &ids[0]);
    assert_true(bench_logged("event=message-dropped"));
}

static void worker_shows_itself_in_redis(void **state) {
    (void)state;
    bench_start("--hands=1", "--name=shown");
    redisContext *redis = redisConnectUnix(bench.redis.socket);
    redisReply *reply = NULL;
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    while (clock_ms() < end) {
        reply = redisCommand(redis, "GET convoy:worker:shown");
        assert_non_null(reply);
        if (reply->type == REDIS_REPLY_STRING)
            break;
        freeReplyObject(reply);
        usleep(20000);
    }
    assert_non_null(strstr(reply->str, "\"name\":\"shown\""));
    freeReplyObject(reply);
    redisFree(redis);
}

/* ---- fronts and Redis that come and go ----------------------------------- */

static void worker_greets_a_front_that_was_restarted(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=2");
    zmq_close(bench.router);
    usleep(200000);
    bench_bind();
    int64_t end = clock_ms() + BENCH_PATIENCE_MS;
    /* It may first be heard by a heartbeat: then it is asked who it is. */
    while (clock_ms() < end) {
        if (!bench_receive())
            continue;
        if (bench.header.type == JOB_READY)
            break;
        uint8_t who[JOB_HEADER_MAX];
        size_t size = job_encode(&(struct job_header){.type = JOB_WHO}, who);
        bench_say(who, size, "", 0);
    }
    assert_int_equal(bench.header.type, JOB_READY);
    assert_int_equal(bench.header.number, 4);
    ids[0] = bench_send("ok");
    bench_expect(JOB_DONE, &ids[0]);
}

/* Five seconds of silence, see job.h: a connection that is dead but does not
 * know it. Jobs that the worker still has count against the new credits. */
static void worker_connects_anew_to_a_silent_front(void **state) {
    (void)state;
    bench_start("--hands=1", "--job-timeout=60s");
    zmq_msg_t first;
    zmq_msg_init(&first);
    zmq_msg_copy(&first, &bench.peer);
    bench_send("hang");
    bench_expect(JOB_READY, NULL);
    assert_int_equal(bench.header.number, 15);
    assert_true(zmq_msg_size(&first) != zmq_msg_size(&bench.peer) ||
                memcmp(zmq_msg_data(&first), zmq_msg_data(&bench.peer),
                       zmq_msg_size(&first)) != 0);
    zmq_msg_close(&first);
}

static void worker_waits_for_redis_for_a_while(void **state) {
    (void)state;
    bench_start("--hands=1", "--redis-patience=500ms");
    private_redis_stop(&bench.redis);
    ids[0] = bench_send("ok");
    ids[1] = bench_send("ok");
    bench_collect(ids, 2, types);
    assert_int_equal(types[0], JOB_FAILED);
    assert_int_equal(types[1], JOB_FAILED);
    assert_non_null(strstr(bench.body, "the result could not be stored"));
    private_redis_again(&bench.redis);
    ids[2] = bench_send("ok");
    bench_expect_at_last(JOB_DONE, &ids[2]);
}

static void worker_keeps_an_answer_until_redis_is_back(void **state) {
    (void)state;
    bench_start("--hands=1", "--redis-patience=60s");
    private_redis_stop(&bench.redis);
    ids[0] = bench_send("ok");
    usleep(600000);
    private_redis_again(&bench.redis);
    bench_expect_at_last(JOB_DONE, &ids[0]);
}

static void worker_wants_no_jobs_while_redis_is_away(void **state) {
    (void)state;
    bench_start("--hands=1", "--redis-patience=60s");
    private_redis_stop(&bench.redis);
    ids[0] = bench_send("ok");
    bench_expect(JOB_DRAIN, NULL);
    assert_true(bench_logged("event=redis-away"));
    private_redis_again(&bench.redis);
    bench_expect_at_last(JOB_DONE, &ids[0]);
    ids[1] = bench_send("ok");
    bench_expect_at_last(JOB_DONE, &ids[1]);
}

static void worker_is_ready_once_redis_lets_it_in(void **state) {
    (void)state;
    redisContext *admin = redisConnectUnix(bench.redis.socket);
    assert_non_null(admin);
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass secret"));
    bench_launch("--hands=1");
    for (int i = 0; i < 20; i++)
        assert_int_equal(bench_receive(), 0);
    assert_true(bench_logged("event=models-serving"));
    assert_true(bench_logged("NOAUTH"));
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass %s", ""));
    redisFree(admin);
    bench_expect(JOB_READY, NULL);
}

/* ---- starting and ending ------------------------------------------------- */

static void worker_without_a_model_says_which_and_why(void **state) {
    (void)state;
    char path[128], text[256];
    snprintf(path, sizeof path, "%s/models/a-fake", bench.redis.folder);
    rmdir(path);
    bench_model("bad-one");
    bench_launch("--hands=1");
    int status = bench_wait();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    snprintf(text, sizeof text,
             "event=model-not-loaded folder=%s/models/bad-one "
             "reason=\"%s/models/bad-one/model.onnx: operator Nonsense is not "
             "supported\"",
             bench.redis.folder, bench.redis.folder);
    assert_true(bench_logged(text));
    assert_true(bench_logged("no model could be loaded"));
}

static void worker_serves_the_models_that_it_can(void **state) {
    (void)state;
    bench_model("bad-one");
    bench_start("--hands=1");
    assert_true(bench_logged("event=model-not-loaded"));
    ids[0] = bench_send("ok");
    bench_expect(JOB_DONE, &ids[0]);
}

static void worker_finishes_what_runs_before_it_ends(void **state) {
    (void)state;
    bench_start("--hands=1", "--batch=1");
    for (int i = 0; i < 3; i++)
        ids[i] = bench_send("slow");
    bench_await_received();
    kill(bench.worker, SIGTERM);
    bench_expect(JOB_DRAIN, NULL);
    bench_collect(ids, 3, types);
    for (int i = 0; i < 3; i++)
        assert_int_equal(types[i], JOB_DONE);
    int status = bench_wait();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void worker_told_twice_ends_at_once(void **state) {
    (void)state;
    bench_start("--hands=1", "--job-timeout=60s");
    pid_t hand = bench_hand(0);
    bench_send("hang");
    bench_await_received();
    kill(bench.worker, SIGTERM);
    bench_expect(JOB_DRAIN, NULL);
    kill(bench.worker, SIGTERM);
    int status = bench_wait();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    bench_await_end(hand);
}

/* What is left fronts give to others, for they see the connection go. */
static void worker_ends_in_time_though_a_hand_hangs(void **state) {
    (void)state;
    bench_start("--hands=1", "--job-timeout=600s", "--drain-timeout=300ms");
    pid_t hand = bench_hand(0);
    bench_send("hang");
    bench_await_received();
    kill(bench.worker, SIGTERM);
    bench_expect(JOB_DRAIN, NULL);
    int status = bench_wait();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(bench_logged("event=not-drained"));
    bench_await_end(hand);
}

int main(int argc, char **argv) {
    bench_main(argc, argv);
    const struct CMUnitTest tests[] = {
        BENCH(worker_says_what_it_serves),
        BENCH(worker_answers_into_redis),
        BENCH(worker_stores_failures_of_the_image_alone),
        BENCH(worker_makes_a_batch_of_what_has_queued),
        BENCH(worker_gives_up_what_is_too_late),
        BENCH(worker_takes_a_large_image),
        BENCH(worker_drops_what_is_no_message),
        BENCH(worker_shows_itself_in_redis),
        BENCH(worker_greets_a_front_that_was_restarted),
        BENCH(worker_connects_anew_to_a_silent_front),
        BENCH(worker_waits_for_redis_for_a_while),
        BENCH(worker_keeps_an_answer_until_redis_is_back),
        BENCH(worker_wants_no_jobs_while_redis_is_away),
        BENCH(worker_is_ready_once_redis_lets_it_in),
        BENCH(worker_without_a_model_says_which_and_why),
        BENCH(worker_serves_the_models_that_it_can),
        BENCH(worker_finishes_what_runs_before_it_ends),
        BENCH(worker_told_twice_ends_at_once),
        BENCH(worker_ends_in_time_though_a_hand_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
