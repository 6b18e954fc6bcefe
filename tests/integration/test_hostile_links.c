/*
 * Garbage on the sockets between the parts: the front's for nginx and the one
 * for workers. It is dropped, with a line in the log, and no part is harmed.
 */
#include "tests/integration/process.h"
#include "tests/integration/stack.h"
#include "tests/integration/unharmed.h"
#include "tests/integration/wire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

/* ---- the front's socket for nginx ---------------------------------------- */

static uint32_t random_number(uint32_t *seed) {
    return *seed = *seed * 1664525 + 1013904223;
}

/* Some bytes of noise; some as records of FastCGI, whose lengths lie. */
static void fastcgi_garbage(void **state) {
    (void)state;
    uint32_t seed = 1;
    uint8_t bytes[2048];
    for (int i = 0; i < 400; i++) {
        size_t size = 1 + (random_number(&seed) >> 8) % sizeof bytes;
        for (size_t k = 0; k < size; k++)
            bytes[k] = (uint8_t)(random_number(&seed) >> 24);
        for (size_t k = 0; i % 2 && k + 8 < size; k += 8 + bytes[k + 5]) {
            bytes[k] = 1;
            bytes[k + 1] %= 12; /* type */
            bytes[k + 4] = 0;
        }
        int fd = wire_open_front();
        assert_true(fd >= 0);
        wire_send_bytes(fd, bytes, size);
        close(fd);
    }
}

/* A request that begins well: parameters whose lengths lie, a body that never
 * comes. */
static void fastcgi_half_requests(void **state) {
    (void)state;
    static const uint8_t begin[] = {1, 1, 0, 1, 0, 8, 0, 0,
                                    0, 1, 0, 0, 0, 0, 0, 0};
    static const uint8_t lying[][16] = {
        {1, 4, 0, 1, 0, 4, 0, 0, 0xff, 0xff, 0xff, 0xff}, /* name of 2 GiB */
        {1, 4, 0, 1, 0, 4, 0, 0, 0x7f, 0x7f, 'a', 'b'},
        {1, 4, 0, 1, 0xff, 0xff, 0xff, 0, 1, 1, 'a', 'b'}, /* never comes */
        {1, 4, 0, 9, 0, 4, 0, 0, 1, 1, 'a', 'b'},          /* another's id */
        {1, 5, 0, 1, 0, 4, 0, 0, 'a', 'b', 'c', 'd'},      /* body first */
    };
    char answer[1024];
    for (int i = 0; i < 100; i++) {
        int fd = wire_open_front();
        assert_true(fd >= 0);
        wire_send_bytes(fd, begin, sizeof begin);
        wire_send_bytes(fd, lying[i % 5], 12);
        wire_send_bytes(fd, "\1\4\0\1\0\0\0\0", i % 3 ? 8 : 5);
        wire_read(fd, answer, sizeof answer, 10);
        close(fd);
    }
}

static void sockets_are_for_their_owner(void **state) {
    (void)state;
    struct stat of;
    char path[512];
    assert_int_equal(stat(getenv("CONVOY_RUN"), &of), 0);
    assert_int_equal(of.st_mode & 07, 0); /* others cannot even pass */
    assert_int_equal(of.st_mode & 0060, 0);
    snprintf(path, sizeof path, "%s/jobs.sock", getenv("CONVOY_RUN"));
    assert_int_equal(stat(path, &of), 0);
    assert_int_equal(of.st_mode & 077, 0); /* nginx's group may pass, no more */
    snprintf(path, sizeof path, "%s/redis", getenv("CONVOY_RUN"));
    assert_int_equal(stat(path, &of), 0);
    assert_int_equal(of.st_mode & 077, 0);
}

/* ---- the socket for workers ---------------------------------------------- */

struct fake {
    void *context, *socket;
};

static struct fake fake_open(void) {
    struct fake fake = {zmq_ctx_new(), NULL};
    char endpoint[512];
    int linger = 2000;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/jobs.sock",
             getenv("CONVOY_RUN"));
    fake.socket = zmq_socket(fake.context, ZMQ_DEALER);
    zmq_setsockopt(fake.socket, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_connect(fake.socket, endpoint), 0);
    return fake;
}

static void fake_close(struct fake *fake) {
    zmq_close(fake->socket);
    zmq_ctx_term(fake->context);
}

/* A header of common/job.h without id or request. */
static void fake_send(const struct fake *fake, const char magic[4], int type,
                      uint32_t number, const void *body, size_t size) {
    uint8_t header[97] = {0};
    memcpy(header, magic, 4);
    header[4] = (uint8_t)type;
    for (int i = 0; i < 4; i++)
        header[84 + i] = (uint8_t)(number >> 8 * i);
    zmq_send(fake->socket, header, sizeof header, ZMQ_SNDMORE);
    zmq_send(fake->socket, body, size, 0);
}

static void zmq_garbage(void **state) {
    (void)state;
    struct fake fake = fake_open();
    uint32_t seed = 7;
    int before = stack_log_lines("front", "event=message-refused", NULL);
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[300];
        int frames = 1 + (int)((random_number(&seed) >> 8) % 6);
        for (int k = 0; k < frames; k++) {
            size_t size = (random_number(&seed) >> 8) % sizeof bytes;
            for (size_t b = 0; b < size; b++)
                bytes[b] = (uint8_t)(random_number(&seed) >> 24);
            zmq_send(fake.socket, bytes, size,
                     k < frames - 1 ? ZMQ_SNDMORE : 0);
        }
    }
    fake_send(&fake, "CVY9", 1, 1, "{}", 2); /* another version */
    fake_send(&fake, "CVY1", 77, 1, "{}", 2);
    fake_send(&fake, "CVY1", 1, 1, "{\"name\":1}", 10);
    fake_send(&fake, "CVY1", 1, 0xffffffff, "{}", 2);
    fake_close(&fake);
    for (int i = 0;
         i < 100 &&
         before == stack_log_lines("front", "event=message-refused", NULL);
         i++)
        usleep(100000);
    int lines =
        stack_log_lines("front", "event=message-refused", NULL) - before;
    assert_in_range(lines, 1, 200); /* said, but not 2,000 times */
}

static void zmq_oversized(void **state) {
    (void)state;
    enum { SIZE = 17 << 20 };
    char *body = calloc(1, SIZE);
    assert_non_null(body);
    struct fake fake = fake_open();
    fake_send(&fake, "CVY1", 1, 1, body, SIZE);
    fake_close(&fake);
    free(body);
}

/* Workers that offer a model which nobody asks for, more than a front takes. */
static void zmq_flood_of_workers(void **state) {
    (void)state;
    enum { COUNT = 1100 };
    static void *sockets[COUNT];
    void *context = zmq_ctx_new();
    char endpoint[512], advert[512];
    int linger = 2000;
    long before = process_rss_kib(stack_pid("front"));
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, COUNT + 16);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/jobs.sock",
             getenv("CONVOY_RUN"));
    for (int i = 0; i < COUNT; i++) {
        struct fake fake = {context, zmq_socket(context, ZMQ_DEALER)};
        if (!fake.socket)
            break; /* out of descriptors: as many as there are */
        sockets[i] = fake.socket;
        zmq_setsockopt(fake.socket, ZMQ_LINGER, &linger, sizeof linger);
        zmq_connect(fake.socket, endpoint);
        int size = snprintf(
            advert, sizeof advert,
            "{\"name\":\"fake.%d\",\"hands\":1,\"batch\":1,\"models\":[{"
            "\"name\":\"fake\",\"version\":\"ffffffffffff\",\"labels\":["
            "\"a\"],\"width\":1,\"height\":1,\"explainable\":false,"
            "\"default\":false}]}",
            i);
        fake_send(&fake, "CVY1", 1, 1, advert, (size_t)size);
    }
    unharmed_after(state);
    long after = process_rss_kib(stack_pid("front"));
    print_message("the front took %ld MiB, %ld MiB before the flood\n",
                  after >> 10, before >> 10);
    assert_true(after < before + (128 << 10));
    for (int i = 0; i < COUNT && sockets[i]; i++)
        zmq_close(sockets[i]);
    zmq_ctx_term(context);
}

int main(int argc, char **argv) {
    (void)argc;
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        UNHARMED(fastcgi_garbage),
        UNHARMED(fastcgi_half_requests),
        UNHARMED(sockets_are_for_their_owner),
        UNHARMED(zmq_garbage),
        UNHARMED(zmq_oversized),
        UNHARMED(zmq_flood_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
