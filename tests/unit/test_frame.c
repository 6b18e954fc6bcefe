#include "worker/frame.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int here, there;
static struct frame_reader reader;
static struct frame frame;
static struct err err;

static int open_pair(void **state) {
    (void)state;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    here = ends[0];
    there = ends[1];
    fcntl(here, F_SETFL, O_NONBLOCK);
    reader = FRAME_READER(4 << 20);
    memset(&err, 0, sizeof err);
    return 0;
}

static int close_pair(void **state) {
    (void)state;
    frame_reader_free(&reader);
    close(here);
    close(there);
    return 0;
}

static void frame_goes_through_whole(void **state) {
    (void)state;
    assert_int_equal(frame_send(there, FRAME_DIED, "abc", 3, -1, &err), 0);
    assert_int_equal(frame_send(there, FRAME_READY, NULL, 0, -1, &err), 0);
    assert_int_equal(frame_read(&reader, here, &frame, &err), 1);
    assert_int_equal(frame.type, FRAME_DIED);
    assert_int_equal(frame.size, 3);
    assert_string_equal(frame.body, "abc");
    assert_int_equal(frame.passed, -1);
    assert_int_equal(frame_read(&reader, here, &frame, &err), 1);
    assert_int_equal(frame.type, FRAME_READY);
    assert_int_equal(frame.size, 0);
    assert_int_equal(frame_read(&reader, here, &frame, &err), 0);
}

static void frame_that_comes_in_pieces_is_waited_for(void **state) {
    (void)state;
    struct frame_head head = {FRAME_MODELS, 4};
    char bytes[sizeof head + 4];
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, "wxyz", 4);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(frame_read(&reader, here, &frame, &err), 0);
        assert_int_equal(write(there, bytes + i, 1), 1);
    }
    assert_int_equal(frame_read(&reader, here, &frame, &err), 1);
    assert_string_equal(frame.body, "wxyz");
}

static void frame_carries_an_open_file(void **state) {
    (void)state;
    int ends[2];
    char text[4] = "";
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(frame_send(there, FRAME_HAND, "x", 1, ends[1], &err), 0);
    assert_int_equal(frame_send(there, FRAME_DIED, "y", 1, -1, &err), 0);
    close(ends[1]);
    assert_int_equal(frame_read(&reader, here, &frame, &err), 1);
    assert_true(frame.passed >= 0);
    assert_int_equal(write(frame.passed, "hi", 3), 3);
    assert_int_equal(read(ends[0], text, sizeof text), 3);
    assert_string_equal(text, "hi");
    close(frame.passed);
    close(ends[0]);
    assert_int_equal(frame_read(&reader, here, &frame, &err), 1);
    assert_int_equal(frame.passed, -1);
}

static void frame_beyond_the_bound_is_refused(void **state) {
    (void)state;
    struct frame_head head = {FRAME_ANSWER, (4 << 20) + 1};
    assert_int_equal(write(there, &head, sizeof head), sizeof head);
    assert_int_equal(frame_read(&reader, here, &frame, &err), -1);
    assert_string_equal(err.text, "a message of 4194305 bytes, more than "
                                  "4194304");
}

static void frame_from_nobody_is_an_error(void **state) {
    (void)state;
    close(there);
    assert_int_equal(frame_read(&reader, here, &frame, &err), -1);
    assert_string_equal(err.text, "the other end was closed");
    assert_int_equal(frame_send(here, FRAME_READY, NULL, 0, -1, &err), -1);
    there = -1;
}

static void *read_one(void *argument) {
    (void)argument; /* `there` blocks */
    struct frame_reader theirs = FRAME_READER(4 << 20);
    struct frame got;
    struct err why;
    char *copy = NULL;
    if (frame_read(&theirs, there, &got, &why) == 1 && got.size == 3 << 20) {
        copy = malloc(got.size);
        memcpy(copy, got.body, got.size);
    }
    frame_reader_free(&theirs);
    return copy;
}

static void frame_larger_than_the_socket_takes_several_writes(void **state) {
    (void)state;
    size_t size = 3 << 20;
    char *body = malloc(size);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)(i * 7 >> 3);
    struct frame_head head = {FRAME_BATCH, (uint32_t)size};
    struct iovec storage[] = {{&head, sizeof head},
                              {body, 0},
                              {body, 1000},
                              {body + 1000, size - 1000}};
    struct iovec *parts = storage;
    int count = 4, status, waits = 0;
    pthread_t thread;
    assert_int_equal(frame_write(here, &parts, &count, &err), 0);
    pthread_create(&thread, NULL, read_one, NULL);
    while ((status = frame_write(here, &parts, &count, &err)) == 0) {
        waits++;
        usleep(100);
    }
    assert_int_equal(status, 1);
    void *copy;
    pthread_join(thread, &copy);
    assert_non_null(copy);
    assert_memory_equal(copy, body, size);
    free(copy);
    free(body);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(frame_goes_through_whole),
        CASE(frame_that_comes_in_pieces_is_waited_for),
        CASE(frame_carries_an_open_file),
        CASE(frame_beyond_the_bound_is_refused),
        CASE(frame_from_nobody_is_an_error),
        CASE(frame_larger_than_the_socket_takes_several_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
