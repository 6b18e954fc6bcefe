/* Models change while many clients are served: no request fails, and an answer
 * under an id is of the version in that id, always. */
#include "tests/integration/http.h"
#include "tests/integration/picture.h"
#include "tests/integration/stack.h"
#include "tests/integration/zoo.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 8
#define KINDS_MAX 16
#define PAUSE_US 10000 /* between a client's requests: other tests run, too */

/* What answers looked like: of which version, with which word in the label. */
struct kind {
    char version[16], word[16];
    int count;
};

struct load {
    pthread_t threads[CLIENTS];
    atomic_bool over;
    pthread_mutex_t mutex;
    struct kind kinds[KINDS_MAX];
    int kind_count, answers, failures;
    char failure[512]; /* the first */
};

/* ---- clients ------------------------------------------------------------- */

static void note_answer(struct load *load, const char *version,
                        const char *word) {
    int i = 0;
    while (i < load->kind_count &&
           (strcmp(load->kinds[i].version, version) != 0 ||
            strcmp(load->kinds[i].word, word) != 0))
        i++;
    if (i == KINDS_MAX)
        return;
    if (i == load->kind_count) {
        load->kind_count++;
        snprintf(load->kinds[i].version, 16, "%s", version);
        snprintf(load->kinds[i].word, 16, "%s", word);
    }
    load->kinds[i].count++;
    load->answers++;
}

/* "" where there is none. */
static void first_word(const json_t *label, char word[16]) {
    const char *text = json_string_value(label);
    snprintf(word, 16, "%.*s", text ? (int)strcspn(text, " ") : 0,
             text ? text : "");
}

/* The first word of the best label. */
static void first_word_told(const struct reply *reply, char word[16]) {
    const json_t *top =
        json_array_get(json_object_get(reply->json, "predictions"), 0);
    first_word(json_object_get(top, "label"), word);
}

static void note(struct load *load, const struct reply *reply) {
    char word[16];
    const char *id = reply_text(reply, "id", NULL);
    const char *version = reply_text(reply, "model", "version", NULL);
    bool good = reply->status == 200 && strlen(id) > 65 &&
                strcmp(reply_text(reply, "status", NULL), "succeeded") == 0 &&
                strcmp(id + 65, version) == 0;
    first_word_told(reply, word);
    pthread_mutex_lock(&load->mutex);
    if (good)
        note_answer(load, version, word);
    else if (load->failures++ == 0)
        snprintf(load->failure, sizeof load->failure, "%ld %s", reply->status,
                 reply->body ? reply->body : "(nothing)");
    pthread_mutex_unlock(&load->mutex);
}

/* Accepted, then polled for until it has ended. */
static void follow(struct reply *reply) {
    char path[256];
    snprintf(path, sizeof path, "/api/v1/predictions/%s",
             reply_text(reply, "id", NULL));
    for (int i = 0; i < 600; i++) {
        const char *status = reply_text(reply, "status", NULL);
        if ((reply->status != 200 && reply->status != 202) ||
            strcmp(status, "succeeded") == 0 || strcmp(status, "failed") == 0)
            return;
        usleep(50000);
        reply_free(reply);
        http_get(path, reply);
    }
}

static void *send_pictures(void *argument) {
    struct load *load = argument;
    for (int turn = 0; !atomic_load(&load->over); turn++) {
        struct picture picture;
        struct reply reply;
        picture_random(&picture, turn % 3);
        http(&(struct request){.path = "/api/v1/predictions?top_k=1",
                               .headers = {"Content-Type: image/png",
                                           turn % 2 ? "Prefer: wait=20" : NULL},
                               .body = picture.bytes,
                               .size = picture.size},
             &reply);
        follow(&reply);
        note(load, &reply);
        reply_free(&reply);
        picture_free(&picture);
        usleep(PAUSE_US);
    }
    return NULL;
}

static void load_begin(struct load *load) {
    memset(load, 0, sizeof *load);
    pthread_mutex_init(&load->mutex, NULL);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(
            pthread_create(&load->threads[i], NULL, send_pictures, load), 0);
}

static int answers(struct load *load) {
    pthread_mutex_lock(&load->mutex);
    int count = load->answers + load->failures;
    pthread_mutex_unlock(&load->mutex);
    return count;
}

/* Lets so many more answers come in. */
static void load_go_on(struct load *load, int more) {
    int until = answers(load) + more;
    for (int i = 0; i < 1200 && answers(load) < until; i++)
        usleep(50000);
    assert_true(answers(load) >= until);
}

static int count_of(const struct load *load, const char *word) {
    int count = 0;
    for (int i = 0; i < load->kind_count; i++)
        if (strcmp(load->kinds[i].word, word) == 0)
            count += load->kinds[i].count;
    return count;
}

/* No request failed; a word is of one version alone, and a version has one. */
static void load_end(struct load *load) {
    atomic_store(&load->over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(load->threads[i], NULL);
    for (int i = 0; i < load->kind_count; i++) {
        const struct kind *one = &load->kinds[i];
        print_message("    %d answers of version %s say \"%s\"\n", one->count,
                      one->version, one->word);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(load->kinds[k].version, one->version);
            assert_string_not_equal(load->kinds[k].word, one->word);
        }
    }
    if (load->failures)
        fail_msg("%d of %d requests failed; the first: %s", load->failures,
                 load->failures + load->answers, load->failure);
    pthread_mutex_destroy(&load->mutex);
}

/* ---- what is served ------------------------------------------------------ */

/* The first word of the labels of a model; "" where it is not served. */
static void served(const char *name, char word[16]) {
    struct reply reply;
    char path[128];
    snprintf(path, sizeof path, "/api/v1/models/%s", name);
    http_get(path, &reply);
    first_word(json_array_get(json_object_get(reply.json, "labels"), 0), word);
    reply_free(&reply);
}

static void await_served(const char *name, const char *expected) {
    char word[16] = "";
    for (int i = 0; i < 600 && strcmp(word, expected) != 0; i++) {
        usleep(50000);
        served(name, word);
    }
    assert_string_equal(word, expected);
}

static void await_logged(const char *one, const char *other, int before) {
    for (int i = 0; i < 600 && stack_log_lines("worker", one, other) <= before;
         i++)
        usleep(50000);
    assert_true(stack_log_lines("worker", one, other) > before);
}

/* To whoever runs the service. */
static void assert_shown(const char *path, const char *text) {
    struct reply reply;
    bool shown = false;
    for (int i = 0; i < 200 && !shown; i++) {
        usleep(50000);
        http_get(path, &reply);
        shown = reply.body && strstr(reply.body, text);
        reply_free(&reply);
    }
    if (!shown)
        fail_msg("%s does not show %s", path, text);
}

/* What a new picture is answered by, when the default model is asked. */
static void assert_answers(const char *query, const char *expected) {
    struct picture picture;
    struct reply reply;
    char path[128], word[16];
    snprintf(path, sizeof path, "/api/v1/predictions%s", query);
    picture_random(&picture, PICTURE_PNG);
    http(&(struct request){.path = path,
                           .headers = {"Content-Type: image/png",
                                       "Prefer: wait=20"},
                           .body = picture.bytes,
                           .size = picture.size},
         &reply);
    assert_int_equal(reply.status, 200);
    first_word_told(&reply, word);
    assert_string_equal(word, expected);
    reply_free(&reply);
    picture_free(&picture);
}

/* ---- tests --------------------------------------------------------------- */

static void rollout_upgrade(void **state) {
    struct load *load = *state;
    load_begin(load);
    load_go_on(load, 100);
    zoo_put("pets", "v2");
    await_served("pets", "v2");
    assert_answers("", "v2"); /* at once, for whoever comes now */
    load_go_on(load, 100);
    load_end(load);
    assert_true(count_of(load, "v1") >= 100);
    assert_true(count_of(load, "v2") >= 50);
    await_logged("event=models-retired", NULL, 0);
}

static void rollout_broken_upgrade(void **state) {
    struct load *load = *state;
    int refused = stack_log_lines("worker", "event=model-not-loaded", "pets");
    load_begin(load);
    load_go_on(load, 50);
    zoo_put_broken("pets");
    await_logged("event=model-not-loaded", "pets", refused);
    assert_shown("/metrics", "\nconvoy_models_refused 1\n");
    assert_shown("/api/v1/admin/state", "\"refusals\":[{\"model\":\"pets\"");
    load_go_on(load, 100);
    load_end(load);
    assert_int_equal(count_of(load, "v2"), load->answers);
    assert_answers("", "v2");
}

static void rollout_rollback(void **state) {
    struct load *load = *state;
    load_begin(load);
    load_go_on(load, 50);
    zoo_put_back("pets", "v1");
    await_served("pets", "v1");
    assert_answers("", "v1");
    load_go_on(load, 50);
    load_end(load);
    assert_true(count_of(load, "v1") > 0);
    assert_true(count_of(load, "v2") >= 50);
}

/* The copy stands in the root for seconds and is not touched before it is
 * whole; the default model stays what it was, though "birds" comes first. */
static void rollout_added_model(void **state) {
    struct load *load = *state;
    load_begin(load);
    zoo_copy_slowly("birds", "w1");
    assert_int_equal(stack_log_lines("worker", "model-not-loaded", "birds"), 0);
    await_served("birds", "w1");
    assert_answers("?model=birds", "w1");
    assert_answers("", "v1");
    load_go_on(load, 50);
    load_end(load);
    assert_int_equal(count_of(load, "v1"), load->answers);
}

/* Once its last jobs are done nobody asks for it in vain. */
static void rollout_removed_model(void **state) {
    struct load *load = *state;
    struct reply reply = {0};
    load_begin(load);
    zoo_take_away("birds");
    for (int i = 0; i < 600 && reply.status != 404; i++) {
        reply_free(&reply);
        http_get("/api/v1/models/birds", &reply);
        usleep(50000);
    }
    assert_problem(&reply, 404, "unknown-model");
    reply_free(&reply);
    load_end(load);
    assert_int_equal(count_of(load, "v1"), load->answers);
}

static void rollout_several_in_a_row(void **state) {
    struct load *load = *state;
    load_begin(load);
    for (int i = 3; i < 5; i++) {
        char word[8];
        snprintf(word, sizeof word, "v%d", i);
        zoo_put("pets", word);
        await_served("pets", word);
    }
    load_go_on(load, 50);
    load_end(load);
    assert_true(count_of(load, "v4") > 0);
}

static struct load the_load;

static int open_load(void **state) {
    atomic_store(&the_load.over, true); /* until a test begins */
    *state = &the_load;
    return 0;
}

/* An assertion that failed has jumped over load_end(). */
static int close_load(void **state) {
    struct load *load = *state;
    if (!atomic_exchange(&load->over, true))
        for (int i = 0; i < CLIENTS; i++)
            pthread_join(load->threads[i], NULL);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_load, close_load)

int main(int argc, char **argv) {
    (void)argc;
    if (!zoo_enter()) {
        puts("there is no bundled model\n[  SKIPPED ] rollout");
        return 0;
    }
    stack_enter(argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const struct CMUnitTest tests[] = {
        TEST(rollout_upgrade),       TEST(rollout_broken_upgrade),
        TEST(rollout_rollback),      TEST(rollout_added_model),
        TEST(rollout_removed_model), TEST(rollout_several_in_a_row),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    zoo_close();
    return failed;
}
