/*
 * Floods and slow clients from one address, which nginx limits, while another
 * is served as if nothing was.
 */
#include "common/clock.h"
#include "tests/integration/stack.h"
#include "tests/integration/unharmed.h"
#include "tests/integration/wire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD "127.0.0.2"
#define ATTACKER "127.0.0.9"
#define GATE "Host: x\r\nConnection: close\r\n"
#define POST "POST /api/v1/predictions HTTP/1.1\r\n" GATE

static int ask(const char *text) {
    return wire_ask(GOOD, text, strlen(text));
}

enum { SLOW = 200, FLOODS = 4, GOOD_REQUESTS = 60, LIMITED = 50 };
static atomic_bool attacking;
static atomic_int limited, served;

/* Polls and uploads as fast as they go, from one address. */
static void *flood(void *arg) {
    const int *kind = arg;
    static const char *const texts[] = {"GET /api/v1/models HTTP/1.1\r\n" GATE
                                        "\r\n",
                                        POST "Content-Length: 3\r\n\r\nabc"};
    while (atomic_load(&attacking)) {
        int status =
            wire_ask(ATTACKER, texts[*kind % 2], strlen(texts[*kind % 2]));
        atomic_fetch_add(status == 429 ? &limited : &served, 1);
    }
    return NULL;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The p99 of a good client's polls, ms; none may fail. */
static double poll_p99(void) {
    double times[GOOD_REQUESTS];
    for (int i = 0; i < GOOD_REQUESTS; i++) {
        double start = clock_seconds();
        assert_int_equal(ask("GET /api/v1/models HTTP/1.1\r\n" GATE "\r\n"),
                         200);
        times[i] = (clock_seconds() - start) * 1000;
    }
    qsort(times, GOOD_REQUESTS, sizeof *times, compare);
    return times[GOOD_REQUESTS * 99 / 100];
}

/* Half of them send a header without an end, half a body. */
static void open_slow(int fds[SLOW]) {
    for (int i = 0; i < SLOW; i++) {
        fds[i] = wire_open(ATTACKER);
        assert_true(fds[i] >= 0);
        wire_send(fds[i], i % 2 ? "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
                                : POST "Content-Length: 100000\r\n\r\nab");
    }
}

/* A byte every second; how many are open still. */
static int drip(int fds[SLOW]) {
    int open = 0;
    for (int i = 0; i < SLOW; i++) {
        if (fds[i] < 0)
            continue;
        if (wire_is_closed(fds[i]) || (i % 2 && wire_send(fds[i], "z") < 0)) {
            close(fds[i]);
            fds[i] = -1;
            continue;
        }
        open++;
    }
    return open;
}

static void attack_leaves_good_clients_served(void **state) {
    (void)state;
    int fds[SLOW], kinds[FLOODS], open = SLOW;
    pthread_t threads[FLOODS];
    double calm = poll_p99(), start = clock_seconds();
    open_slow(fds);
    atomic_store(&attacking, true);
    for (int i = 0; i < FLOODS; i++) {
        kinds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, flood, &kinds[i]),
                         0);
    }
    double attacked = poll_p99();
    unharmed_after(state);
    while (atomic_load(&limited) < LIMITED && clock_seconds() < start + 30)
        usleep(10000);
    atomic_store(&attacking, false);
    for (int i = 0; i < FLOODS; i++)
        pthread_join(threads[i], NULL);
    while (open > 0 && clock_seconds() < start + 60) {
        open = drip(fds);
        sleep(1);
    }
    print_message("p99 of a good client's polls: %.1f ms, under attack %.1f "
                  "ms; of the flood %d were served, %d refused; %d slow "
                  "clients cut off after %.0f s\n",
                  calm, attacked, served, limited, SLOW - open,
                  clock_seconds() - start);
    assert_true(limited >= LIMITED);
    assert_int_equal(open, 0);
    assert_true(attacked < 5000); /* bounded, on whatever machine */
}

int main(int argc, char **argv) {
    (void)argc;
    setenv("CONVOY_UNLIMITED", "127.0.0.0/29", 0);
    setenv("CONVOY_UPLOAD_RATE", "20", 0);
    setenv("CONVOY_POLL_RATE", "20", 0);
    stack_enter(argv);
    const struct CMUnitTest tests[] = {
        UNHARMED(attack_leaves_good_clients_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
