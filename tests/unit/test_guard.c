/* A front and workers with keys, on real sockets: who is admitted, by whom. */
#include "common/curve.h"
#include "common/job.h"
#include "fcgi/guard.h"
#include "tests/unit/front_fixture.h"
#include "worker/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct front front;
static struct curve_pair of_front, of_worker, of_other;
static char list[128];
static struct err err;

static void admit(const struct curve_pair *worker) {
    FILE *file = fopen(list, "w");
    fprintf(file, "# who may\n\n");
    if (worker)
        fprintf(file, "%s alpha\n", worker->public);
    fclose(file);
}

static int open_front(void **state) {
    (void)state;
    front_prepare(&front);
    snprintf(list, sizeof list, "%s/workers", front_redis.folder);
    admit(&of_worker);
    struct dispatch_options options = front_options(&front);
    options.key = &of_front;
    options.workers = list;
    front_open_with(&front, &options);
    return 0;
}

static int close_front(void **state) {
    (void)state;
    front_close(&front);
    return 0;
}

/* ---- a worker ---- */

static struct link *join(const struct curve_pair *ours, const char *theirs) {
    struct link_keys keys;
    if (ours) {
        keys.ours = *ours;
        memcpy(keys.front, theirs, CURVE_TEXT);
    }
    struct link *link = link_open(front.endpoint, ours ? &keys : NULL, &err);
    char advert[256];
    snprintf(advert, sizeof advert,
             "{\"name\":\"alpha\",\"hands\":1,\"batch\":8,\"models\":[{"
             "\"name\":\"net\",\"version\":\"%s\",\"labels\":[\"cat\"],"
             "\"width\":8,\"height\":8,\"explainable\":false,"
             "\"default\":true}]}",
             FRONT_VERSION);
    assert_non_null(link);
    link_serve(link, advert, 4, &err);
    link_admit(link, true);
    return link;
}

/* Lets the worker go on until the front has so many, or for `ms`. */
static int workers_within(struct link *link, int wanted, int64_t ms) {
    int64_t until = clock_ms() + ms;
    int workers = -1;
    while (workers != wanted && clock_ms() < until) {
        struct task *task;
        link_wait(link, NULL, 0, 20);
        while ((task = link_take(link)))
            task_free(task);
        workers = dispatch_stats(front.dispatch).workers;
    }
    return workers;
}

#define A_WHILE_MS 700 /* a handshake takes 5 */

static void guard_admits_a_listed_key(void **state) {
    (void)state;
    struct link *link = join(&of_worker, of_front.public);
    assert_int_equal(workers_within(link, 1, FRONT_SOON_MS), 1);
    front_submit(&front, 1, "image");
    struct task *task = NULL;
    for (int i = 0; i < 1000 && !task; i++) {
        link_wait(link, NULL, 0, 20);
        task = link_take(link);
    }
    assert_non_null(task);
    struct id id = front_id(1);
    assert_string_equal(task->header.id.text, id.text);
    task_free(task);
    link_close(link);
}

static void guard_admits_no_other_key(void **state) {
    (void)state;
    struct link *link = join(&of_other, of_front.public);
    assert_int_not_equal(workers_within(link, 1, A_WHILE_MS), 1);
    assert_int_equal(link_front_count(link), 0);
    link_close(link);
}

static void guard_admits_nobody_without_a_key(void **state) {
    (void)state;
    struct link *link = join(NULL, NULL);
    assert_int_not_equal(workers_within(link, 1, A_WHILE_MS), 1);
    link_close(link);
}

/* The front's key is not the one that the worker was given. */
static void guard_is_refused_by_a_worker_that_expects_another(void **state) {
    (void)state;
    struct link *link = join(&of_worker, of_other.public);
    assert_int_not_equal(workers_within(link, 1, A_WHILE_MS), 1);
    assert_int_equal(link_front_count(link), 0);
    link_close(link);
}

static void guard_shuts_out_who_is_listed_no_more(void **state) {
    (void)state;
    struct link *link = join(&of_worker, of_front.public);
    assert_int_equal(workers_within(link, 1, FRONT_SOON_MS), 1);
    admit(&of_other);
    assert_int_equal(workers_within(link, 0, FRONT_SOON_MS), 0);
    assert_int_not_equal(workers_within(link, 1, 2 * A_WHILE_MS), 1);
    /* Listed again, it comes back by itself. */
    admit(&of_worker);
    assert_int_equal(workers_within(link, 1, FRONT_SOON_MS), 1);
    link_close(link);
}

static void guard_keeps_its_list_where_the_file_is_broken(void **state) {
    (void)state;
    FILE *file = fopen(list, "w");
    fprintf(file, "nonsense\n");
    fclose(file);
    struct link *link = join(&of_worker, of_front.public);
    assert_int_equal(workers_within(link, 1, FRONT_SOON_MS), 1);
    unlink(list);
    poll(NULL, 0, 1100);
    assert_int_equal(workers_within(link, 1, FRONT_SOON_MS), 1);
    link_close(link);
}

/* ---- opening ---- */

static struct dispatch *open_with(const struct dispatch_options *options) {
    return dispatch_open(options, front.catalogue, front.waiters, &err);
}

static void guard_is_needed_beyond_this_machine(void **state) {
    (void)state;
    struct dispatch_options options = front_options(&front);
    options.endpoints = "tcp://0.0.0.0:0";
    assert_null(open_with(&options));
    assert_non_null(strstr(err.text, "deploy/keys"));
    options.plain_tcp = true;
    struct dispatch *plain = open_with(&options);
    assert_non_null(plain);
    dispatch_close(plain);
    options.plain_tcp = false;
    options.key = &of_front;
    options.workers = "/nonexistent";
    assert_null(open_with(&options));
    options.workers = list;
    admit(NULL); /* nobody yet */
    struct dispatch *keyed = open_with(&options);
    assert_non_null(keyed);
    dispatch_close(keyed);
}

/* ---- without a front ---- */

static void curve_tells_what_stays_on_the_machine(void **state) {
    (void)state;
    static const char *const local[] = {
        "ipc://run/jobs.sock",      "tcp://127.0.0.1:1", "tcp://127.8.9.1:5555",
        "tcp://localhost:5555",     "tcp://[::1]:5555",  "tcp://lo:5555",
        "ipc://a,tcp://127.0.0.1:1"};
    static const char *const remote[] = {
        "tcp://0.0.0.0:5555",  "tcp://*:5555",
        "tcp://10.0.0.1:1",    "tcp://front:5555",
        "tcp://localhost.x:1", "tcp://127.example.com:1",
        "tcp://[::]:1",        "tcp://eth0:1",
        "ipc://a,tcp://b:1",   "tcp://127.0.0.1:1,tcp://[fe80::1]:1"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (curve_check_local(local[i], "--jobs", &err) < 0)
            fail_msg("%s stays here", local[i]);
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if (curve_check_local(remote[i], "--jobs", &err) == 0)
            fail_msg("%s leads elsewhere", remote[i]);
}

static void curve_reads_keys(void **state) {
    (void)state;
    char path[] = "/tmp/convoy-key-XXXXXX", public[CURVE_TEXT];
    struct curve_pair pair;
    int fd = mkstemp(path);
    dprintf(fd, "%s\n", of_front.secret);
    assert_int_equal(curve_read_pair(path, &pair, &err), 0);
    assert_string_equal(pair.secret, of_front.secret);
    assert_string_equal(pair.public, of_front.public);
    assert_int_equal(curve_read_public(path, public, &err), 0);
    assert_string_equal(public, of_front.secret);
    fchmod(fd, 0640);
    assert_int_equal(curve_read_pair(path, &pair, &err), -1);
    fchmod(fd, 0600);
    assert_int_equal(ftruncate(fd, 39), 0);
    assert_int_equal(curve_read_pair(path, &pair, &err), -1);
    assert_null(strstr(err.text, "\"")); /* the secret is not repeated */
    assert_false(curve_is_key(""));
    assert_false(curve_is_key("0123456789012345678901234567890123456789x"));
    assert_false(curve_is_key("012345678901234567890123456789012345678~"));
    assert_true(curve_is_key("0123456789012345678901234567890123456789 a"));
    close(fd);
    unlink(path);
}

static int make_keys(void **state) {
    (void)state;
    return curve_make(&of_front, &err) | curve_make(&of_worker, &err) |
           curve_make(&of_other, &err);
}

static int end_group(void **state) {
    (void)state;
    front_end();
    return 0;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_front, close_front)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(guard_admits_a_listed_key),
        TEST(guard_admits_no_other_key),
        TEST(guard_admits_nobody_without_a_key),
        TEST(guard_is_refused_by_a_worker_that_expects_another),
        TEST(guard_shuts_out_who_is_listed_no_more),
        TEST(guard_keeps_its_list_where_the_file_is_broken),
        TEST(guard_is_needed_beyond_this_machine),
        cmocka_unit_test(curve_tells_what_stays_on_the_machine),
        cmocka_unit_test(curve_reads_keys),
    };
    return cmocka_run_group_tests(tests, make_keys, end_group);
}
