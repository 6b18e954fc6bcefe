/* Who gets to what: the wall around what is administrative, and the security
 * headers of every answer, errors too. */
#include "tests/integration/http.h"
#include "tests/integration/stack.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNKNOWN                                                                \
    "/api/v1/predictions/"                                                     \
    "0000000000000000000000000000000000000000000000000000000000000000-"        \
    "000000000000"

static const char *const administrative[] = {
    "/metrics", "/api/v1/admin/state", "/api/v1/admin/predictions", "/admin/"};

static long status_of(const struct request *request) {
    struct reply reply;
    http(request, &reply);
    long status = reply.status;
    reply_free(&reply);
    return status;
}

#define STATUS(...) status_of(&(struct request){__VA_ARGS__})

/* ---- the wall ------------------------------------------------------------ */

static void access_is_for_this_machine(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof administrative / sizeof *administrative;
         i++) {
        const char *path = administrative[i];
        assert_int_equal(STATUS(.path = path), 200);
        assert_int_equal(STATUS(.path = path, .headers = {"Host: localhost"}),
                         200);
        /* Passed on by a proxy on this machine. */
        assert_int_equal(
            STATUS(.path = path, .headers = {"X-Forwarded-For: 192.0.2.7"}),
            403);
        assert_int_equal(
            STATUS(.path = path, .headers = {"Forwarded: for=192.0.2.7"}), 403);
        /* A name of somebody else that was made to lead here. */
        assert_int_equal(
            STATUS(.path = path, .headers = {"Host: rebound.example"}), 403);
    }
    assert_int_equal(STATUS(.method = "DELETE", .path = UNKNOWN), 404);
    assert_int_equal(STATUS(.method = "DELETE", .path = UNKNOWN,
                            .headers = {"Host: rebound.example"}),
                     403);
    /* What is for everybody is so under any name. */
    assert_int_equal(
        STATUS(.path = UNKNOWN, .headers = {"Host: rebound.example"}), 404);
}

static void access_is_not_for_pages_of_other_sites(void **state) {
    (void)state;
    struct reply reply;
    http(&(struct request){.method = "DELETE",
                           .path = UNKNOWN,
                           .headers = {"Sec-Fetch-Site: cross-site"}},
         &reply);
    assert_problem(&reply, 403, "cross-site");
    reply_free(&reply);
    assert_int_equal(STATUS(.method = "DELETE", .path = UNKNOWN,
                            .headers = {"Origin: http://evil.example"}),
                     403);
    http(&(struct request){.path = "/api/v1/predictions",
                           .headers = {"Sec-Fetch-Site: cross-site"},
                           .body = "form",
                           .size = 4},
         &reply);
    assert_problem(&reply, 403, "cross-site");
    reply_free(&reply);
}

/* ---- forgetting ---------------------------------------------------------- */

static void access_forgotten_is_gone(void **state) {
    (void)state;
    struct reply reply;
    char path[256];
    predict_new(path, sizeof path);
    http_get("/api/v1/admin/predictions?limit=1", &reply);
    json_t *last =
        json_array_get(json_object_get(reply.json, "predictions"), 0);
    assert_string_equal(json_string_value(json_object_get(last, "id")),
                        path + strlen("/api/v1/predictions/"));
    reply_free(&reply);
    assert_int_equal(STATUS(.method = "DELETE", .path = path), 204);
    assert_int_equal(STATUS(.path = path), 404); /* not cached before */
}

/* ---- passwords ----------------------------------------------------------- */

static void password(const char *arguments, const char *input) {
    char command[512];
    snprintf(command, sizeof command,
             "printf '%%s\\n' '%s' | deploy/password --run \"$CONVOY_RUN\" %s "
             ">\"$CONVOY_RUN\"/password.out 2>&1",
             input, arguments);
    if (system(command) != 0)
        fail_msg("%s", command);
}

/* nginx takes a configuration up by itself, in its own time. */
static void await_metrics(const char *header, long status) {
    for (int i = 0; i < 200; i++) {
        if (STATUS(.path = "/metrics", .headers = {header}) == status)
            return;
        usleep(50000);
    }
    fail_msg("/metrics is not %ld after 10 s", status);
}

/* ops with "correct horse", and with "wrong horse". */
#define MAY "Authorization: Basic b3BzOmNvcnJlY3QgaG9yc2U="
#define MAY_NOT "Authorization: Basic b3BzOndyb25nIGhvcnNl"

static void access_by_password(void **state) {
    (void)state;
    struct reply reply;
    password("ops", "correct horse");
    await_metrics("Accept: */*", 401);
    for (size_t i = 0; i < sizeof administrative / sizeof *administrative;
         i++) {
        const char *path = administrative[i];
        http_get(path, &reply);
        assert_problem(&reply, 401, "login-needed");
        assert_non_null(reply_header(&reply, "WWW-Authenticate"));
        reply_free(&reply);
        assert_int_equal(STATUS(.path = path, .headers = {MAY_NOT}), 401);
        assert_int_equal(STATUS(.path = path, .headers = {MAY}), 200);
        assert_int_equal(
            STATUS(.path = path, .headers = {MAY, "Host: convoy.example",
                                             "X-Forwarded-For: 192.0.2.7"}),
            200);
    }
    assert_int_equal(STATUS(.method = "DELETE", .path = UNKNOWN), 401);
    assert_int_equal(
        STATUS(.method = "DELETE", .path = UNKNOWN, .headers = {MAY}), 404);
    /* The page is still everybody's. */
    assert_int_equal(STATUS(.path = UNKNOWN), 404);
    assert_int_equal(STATUS(.path = "/"), 200);
    password("--remove ops", "");
    await_metrics("Accept: */*", 200);
}

/* ---- Redis --------------------------------------------------------------- */

/* What the login that front and worker have can be used for; `whose` is the
 * start of the command line. */
static int redis_answers(const char *whose, const char *words,
                         const char *answer) {
    char command[512];
    snprintf(command, sizeof command,
             "cd \"$CONVOY_RUN\"/redis && %s redis-cli -s redis.sock %s 2>&1 "
             "| grep -q '%s'",
             whose, words, answer);
    return system(command) == 0;
}

static void access_to_redis_is_what_is_needed(void **state) {
    (void)state;
    const char *convoy = "REDISCLI_AUTH=$(cut -d: -f2 login)";
    assert_true(redis_answers("", "GET convoy:probe", "NOAUTH"));
    assert_true(redis_answers(convoy, "--user convoy GET convoy:probe", "1"));
    assert_true(redis_answers(convoy, "--user convoy GET else", "NOPERM"));
    static const char *const denied[] = {
        "FLUSHALL",
        "KEYS x",
        "CONFIG GET dir",
        "SHUTDOWN",
        "SAVE",
        "MONITOR",
        "ACL LIST",
        "CLIENT LIST",
        "MODULE LIST",
        "REPLICAOF a 1",
        "SCRIPT FLUSH",
        "EVAL \"return redis.call('FLUSHALL')\" 0",
        "EVAL \"return redis.call('GET', 'else')\" 0"};
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        char words[128];
        snprintf(words, sizeof words, "--user convoy %s", denied[i]);
        if (!redis_answers(convoy, words, "NOPERM\\|user executing the script"))
            fail_msg("%s is not denied", denied[i]);
    }
}

/* ---- keys of workers ----------------------------------------------------- */

static int shell(const char *command) {
    char whole[512];
    snprintf(whole, sizeof whole,
             "cd \"$CONVOY_RUN\" && { %s; } >shell.out 2>&1", command);
    return system(whole) == 0;
}

#define KEYS "\"$OLDPWD\"/deploy/keys keys "

static void access_keys_are_made_and_taken_back(void **state) {
    (void)state;
    assert_true(shell(KEYS "front"));
    assert_true(shell(KEYS "worker alpha && " KEYS "worker beta"));
    assert_true(shell("test \"$(stat -c %a keys)\" = 700"));
    assert_true(shell("test \"$(stat -c %a keys/alpha.key)\" = 600"));
    assert_true(shell("test \"$(stat -c %a keys/front.key)\" = 600"));
    assert_true(shell("grep -E '^.{40} alpha$' keys/workers"));
    assert_true(shell("! cmp keys/alpha.key keys/beta.key"));
    assert_false(shell(KEYS "worker alpha")); /* not over another */
    assert_false(shell(KEYS "front"));
    assert_false(shell(KEYS "worker ../gamma"));
    assert_true(shell(KEYS "remove alpha"));
    assert_true(shell("test \"$(" KEYS "list)\" = beta"));
    assert_false(shell(KEYS "remove alpha"));
}

/* ---- what the programs do not start with --------------------------------- */

static void access_unsafe_settings_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *words, *reason;
    } rows[] = {
        {"convoy-fcgi --listen 0.0.0.0:9", "past nginx"},
        {"convoy-fcgi --listen f.sock --jobs tcp://0.0.0.0:9", "deploy/keys"},
        {"convoy-worker --fronts tcp://front:9", "deploy/keys"},
        {"convoy-fcgi --curve-key k", "go together"},
        {"convoy-worker --curve-front k", "go together"},
        {"convoy-fcgi --redis redis://u:pw@h:1", "--redis-login"},
        {"convoy-worker --redis redis://u:pw@h:1", "--redis-login"},
        {"convoy-fcgi --redis-login open", "chmod 600"},
        {"convoy-worker --redis-login open", "chmod 600"},
        {"convoy-fcgi --id-secret open", "chmod 600"},
        {"convoy-fcgi --id-secret short", "fewer than 16"},
    };
    assert_true(shell("echo user:0123456789abcdef >open && chmod 644 open"));
    assert_true(shell("echo short >short && chmod 600 short"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char command[256];
        snprintf(command, sizeof command, "timeout 20 \"$OLDPWD\"/build/bin/%s",
                 rows[i].words);
        if (shell(command))
            fail_msg("%s is not refused", rows[i].words);
        snprintf(command, sizeof command, "grep -e '%s' shell.out >found",
                 rows[i].reason);
        char whole[320];
        snprintf(whole, sizeof whole, "cd \"$CONVOY_RUN\" && %s", command);
        if (system(whole) != 0)
            fail_msg("%s: the reason is not given", rows[i].words);
    }
}

/* ---- headers ------------------------------------------------------------- */

static void assert_safe(const char *what, struct reply *reply, long status) {
    static const char *const names[] = {"Content-Security-Policy",
                                        "X-Content-Type-Options",
                                        "Referrer-Policy",
                                        "Permissions-Policy",
                                        "Cross-Origin-Opener-Policy",
                                        "Cross-Origin-Resource-Policy",
                                        "X-Request-ID"};
    if (reply->status != status)
        fail_msg("%.60s: %ld, not %ld", what, reply->status, status);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!reply_header(reply, names[i]))
            fail_msg("%.60s (%ld) has no %s", what, status, names[i]);
    assert_null(
        strstr(reply_header(reply, "Content-Security-Policy"), "unsafe"));
    const char *server = reply_header(reply, "Server");
    assert_true(!server || strcmp(server, "nginx") == 0); /* no version */
    const char *type = reply_header(reply, "Content-Type");
    if (status >= 400 && !(type && strstr(type, "problem+json")))
        fail_msg("%.60s (%ld) is no problem but %s", what, status, type);
}

static void check(const struct request *request, long status) {
    struct reply reply;
    http(request, &reply);
    assert_safe(request->path, &reply, status);
    reply_free(&reply);
}

#define CHECK(status_, ...) check(&(struct request){__VA_ARGS__}, status_)

static void access_headers_of_every_answer(void **state) {
    (void)state;
    static const struct {
        const char *path;
        long status;
    } rows[] = {{"/", 200},
                {"/admin", 308},
                {"/admin/", 200},
                {"/problems/not-found", 200},
                {"/openapi.yaml", 200},
                {"/js/app.js", 200},
                {"/favicon.svg", 200},
                {"/healthz", 200},
                {"/readyz", 200},
                {"/metrics", 200},
                {"/api/v1/models", 200},
                {"/api/v1/admin/state", 200},
                {"/api/v1/admin/predictions", 200},
                {"/api/v1/models/none", 404},
                {"/api/v1/nothing", 404},
                {"/api/v1/predictions", 405},
                {"/api/v1/predictions/x", 400},
                {"/api/v1/predictions/x/heatmap.png", 400},
                {"/api/v1/admin/predictions?limit=0", 400},
                {UNKNOWN, 404},
                {UNKNOWN "/heatmap.png", 404},
                {"/nothing", 404},
                {"/nothing.png", 404},
                {"/admin/nothing", 404},
                {"/%00", 400},
                {"/../../etc/passwd", 400}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK(rows[i].status, .path = rows[i].path);
}

/* What nginx itself refuses, before or in the place of the front. */
static void access_headers_of_refusals(void **state) {
    (void)state;
    size_t large = (64u << 20) + 1;
    char *many = calloc(1, large), *line = malloc(40001);
    memset(line, 'a', 40000);
    line[0] = '/';
    line[40000] = 0;
    CHECK(405, .method = "POST", .path = "/", .body = "x", .size = 1);
    CHECK(405, .method = "PUT", .path = "/api/v1/models", .body = "x",
          .size = 1);
    CHECK(413, .path = "/api/v1/predictions", .body = many, .size = large);
    CHECK(414, .path = line);
    memcpy(line, "X-Long: ", 8);
    CHECK(431, .path = "/", .headers = {line});
    CHECK(416, .path = "/favicon.svg", .headers = {"Range: bytes=99999-"});
    CHECK(501, .path = "/api/v1/predictions", .body = "x", .size = 1,
          .headers = {"Transfer-Encoding: gzip"});
    CHECK(415, .path = "/api/v1/predictions", .body = "x", .size = 1);
    CHECK(403, .path = "/metrics", .headers = {"Host: rebound.example"});
    free(many);
    free(line);
}

/* Admins are slowed down, too, wherever they are: passwords are not guessed. */
static void access_headers_of_too_many(void **state) {
    (void)state;
    struct reply reply;
    long status = 200;
    for (int i = 0; i < 3000 && status != 429; i++) {
        http_get("/metrics", &reply);
        status = reply.status;
        if (status == 429)
            assert_safe("/metrics", &reply, 429);
        reply_free(&reply);
    }
    assert_int_equal(status, 429);
}

static void access_headers_without_a_front(void **state) {
    (void)state;
    stack_kill("front");
    CHECK(503, .path = "/api/v1/models");
    stack_await_ready();
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_is_for_this_machine),
        cmocka_unit_test(access_is_not_for_pages_of_other_sites),
        cmocka_unit_test(access_forgotten_is_gone),
        cmocka_unit_test(access_by_password),
        cmocka_unit_test(access_to_redis_is_what_is_needed),
        cmocka_unit_test(access_keys_are_made_and_taken_back),
        cmocka_unit_test(access_unsafe_settings_are_refused),
        cmocka_unit_test(access_headers_of_every_answer),
        cmocka_unit_test(access_headers_of_refusals),
        cmocka_unit_test(access_headers_of_too_many),
        cmocka_unit_test(access_headers_without_a_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
