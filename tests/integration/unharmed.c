#include "tests/integration/unharmed.h"

#include "tests/integration/http.h"
#include "tests/integration/picture.h"
#include "tests/integration/stack.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static const char *const parts[] = {"redis", "worker", "front", "nginx"};
enum { PARTS = sizeof parts / sizeof *parts };
static pid_t pids[PARTS];

int unharmed_before(void **state) {
    (void)state;
    for (int i = 0; i < PARTS; i++)
        pids[i] = stack_pid(parts[i]);
    return 0;
}

/* The same processes as before, and they serve. */
int unharmed_after(void **state) {
    struct picture picture;
    struct reply reply;
    (void)state;
    for (int i = 0; i < PARTS; i++)
        if (pids[i] != stack_pid(parts[i]))
            fail_msg("%s has died", parts[i]);
    picture_random(&picture, PICTURE_PNG);
    predict(picture.bytes, picture.size, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_text(&reply, "status", NULL), "succeeded");
    reply_free(&reply);
    picture_free(&picture);
    return 0;
}
