#include "fcgi/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mailbox *mailbox;

static bool readable(void) {
    struct pollfd fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void mailbox_gives_notes_in_order(void **state) {
    (void)state;
    mailbox = mailbox_open(NULL);
    assert_false(readable());
    assert_null(mailbox_take(mailbox));
    mailbox_put(mailbox, note_new(NOTE_CLAIM));
    mailbox_put(mailbox, NULL); /* no memory for it: nothing happens */
    mailbox_put(mailbox, note_new(NOTE_ADOPT));
    assert_true(readable());
    struct note *first = mailbox_take(mailbox), *second = first->next;
    assert_int_equal(first->kind, NOTE_CLAIM);
    assert_int_equal(second->kind, NOTE_ADOPT);
    assert_null(second->next);
    assert_false(readable());
    note_free(first);
    note_free(second);
    mailbox_close(mailbox);
}

static void mailbox_nudge_makes_it_readable(void **state) {
    (void)state;
    mailbox = mailbox_open(NULL);
    mailbox_nudge(mailbox);
    assert_true(readable());
    assert_null(mailbox_take(mailbox));
    assert_false(readable());
    mailbox_close(mailbox);
}

static void mailbox_frees_what_nobody_took(void **state) {
    (void)state;
    mailbox = mailbox_open(NULL);
    struct note *note = note_new(NOTE_SUBMITTED);
    note->job.bytes = malloc(10);
    note->ids = malloc(sizeof *note->ids);
    note->text = strdup("why");
    mailbox_put(mailbox, note);
    mailbox_close(mailbox);
}

static void *put_thousand(void *arg) {
    (void)arg;
    for (int i = 0; i < 1000; i++)
        mailbox_put(mailbox, note_new(NOTE_SUBMITTED));
    return NULL;
}

static void mailbox_loses_nothing_among_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    int count = 0;
    mailbox = mailbox_open(NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, put_thousand, NULL);
    while (count < 4000) {
        struct pollfd fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 20000), 1);
        for (struct note *n = mailbox_take(mailbox), *next; n; n = next) {
            next = n->next;
            note_free(n);
            count++;
        }
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_null(mailbox_take(mailbox));
    mailbox_close(mailbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_gives_notes_in_order),
        cmocka_unit_test(mailbox_nudge_makes_it_readable),
        cmocka_unit_test(mailbox_frees_what_nobody_took),
        cmocka_unit_test(mailbox_loses_nothing_among_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
