/* What dies and what is kept: an image that was accepted gets its answer. */
#include "tests/integration/http.h"
#include "tests/integration/picture.h"
#include "tests/integration/stack.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IMAGES 12

struct owed {
    char id[IMAGES][128];
};

/* Submits images that nobody has seen; each is accepted, none answered. */
static void submit(struct owed *owed) {
    for (int i = 0; i < IMAGES; i++) {
        struct picture picture;
        struct reply reply;
        picture_random(&picture, i % 3);
        http(&(struct request){.path = "/api/v1/predictions",
                               .headers = {"Content-Type: image/png"},
                               .body = picture.bytes,
                               .size = picture.size},
             &reply);
        assert_int_equal(reply.status, 202);
        snprintf(owed->id[i], sizeof owed->id[i], "%s",
                 reply_text(&reply, "id", NULL));
        reply_free(&reply);
        picture_free(&picture);
    }
}

static void assert_all_answered(const struct owed *owed) {
    for (int i = 0; i < IMAGES; i++) {
        struct reply reply;
        await(owed->id[i], 60, &reply);
        if (strcmp(reply_text(&reply, "status", NULL), "succeeded") != 0)
            print_message("%s\n", reply.body);
        assert_string_equal(reply_text(&reply, "status", NULL), "succeeded");
        reply_free(&reply);
    }
}

/* Hands stand still, so that their images are in the middle of a batch. */
static int stop_hands(pid_t *hands, int max) {
    int count = stack_hands(hands, max);
    assert_true(count >= 2);
    for (int i = 0; i < count; i++)
        kill(hands[i], SIGSTOP);
    return count;
}

static void fault_hand_killed_in_a_batch(void **state) {
    (void)state;
    struct owed owed;
    pid_t hands[64];
    int count = stop_hands(hands, 64);
    submit(&owed);
    usleep(300000); /* for the foreman to hand the batch out */
    for (int i = 0; i < count; i++)
        kill(hands[i], SIGKILL);
    assert_all_answered(&owed);
    stack_await_ready();
    assert_int_equal(stack_hands(hands, 64), count);
}

static void fault_worker_killed_in_a_batch(void **state) {
    (void)state;
    struct owed owed;
    pid_t hands[64];
    int count = stop_hands(hands, 64);
    submit(&owed);
    usleep(300000);
    stack_kill("worker");
    assert_all_answered(&owed);
    stack_await_ready();
    for (int i = 0; i < count; i++) /* they went with their foreman */
        assert_int_equal(stack_await_end(hands[i]), 0);
}

static void fault_front_killed_after_accepting(void **state) {
    (void)state;
    struct owed owed;
    stack_signal("worker", SIGSTOP);
    submit(&owed);
    stack_kill("front");
    stack_signal("worker", SIGCONT);
    stack_await_ready();
    assert_all_answered(&owed);
}

static void fault_front_and_worker_killed(void **state) {
    (void)state;
    struct owed owed;
    stack_signal("worker", SIGSTOP);
    submit(&owed);
    stack_kill("front");
    stack_kill("worker");
    stack_await_ready();
    assert_all_answered(&owed);
}

static void fault_redis_away(void **state) {
    (void)state;
    struct picture picture, kept;
    struct reply reply;
    struct owed owed;
    char path[256];
    picture_random(&kept, PICTURE_PNG);
    predict(kept.bytes, kept.size, &reply);
    assert_int_equal(reply.status, 200);
    snprintf(path, sizeof path, "/api/v1/predictions/%s?top_k=3",
             reply_text(&reply, "id", NULL));
    reply_free(&reply);
    stack_signal("worker", SIGSTOP);
    submit(&owed);

    stack_hide_redis(1);
    stack_kill("redis");
    picture_random(&picture, PICTURE_PNG);
    predict(picture.bytes, picture.size, &reply);
    assert_problem(&reply, 503, "store-unavailable");
    assert_non_null(reply_header(&reply, "Retry-After"));
    reply_free(&reply);
    http_get("/readyz", &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.body, "Redis"));
    reply_free(&reply);
    assert_int_equal(await_status("/healthz", 200, 0), 0);

    stack_hide_redis(0);
    stack_signal("worker", SIGCONT);
    stack_await_ready();
    http_get(path, &reply); /* what was answered is kept */
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    assert_all_answered(&owed); /* and what was owed */
    predict(picture.bytes, picture.size, &reply);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    picture_free(&picture);
    picture_free(&kept);
}

/* nginx keeps what it has served for 10 s, and no longer. */
static void fault_forgotten_is_not_served_without_redis(void **state) {
    (void)state;
    struct reply reply;
    char path[256];
    predict_new(path, sizeof path);
    for (int i = 0; i < 2; i++) {
        http_get(path, &reply);
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
    }
    http(&(struct request){.method = "DELETE", .path = path}, &reply);
    assert_int_equal(reply.status, 204);
    reply_free(&reply);
    sleep(11);
    stack_signal("redis", SIGSTOP);
    http_get(path, &reply);
    stack_signal("redis", SIGCONT);
    assert_problem(&reply, 503, "store-unavailable");
    reply_free(&reply);
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_hand_killed_in_a_batch),
        cmocka_unit_test(fault_worker_killed_in_a_batch),
        cmocka_unit_test(fault_front_killed_after_accepting),
        cmocka_unit_test(fault_front_and_worker_killed),
        cmocka_unit_test(fault_redis_away),
        cmocka_unit_test(fault_forgotten_is_not_served_without_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
