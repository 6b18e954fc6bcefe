#include "worker/batch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct task first, second;
static struct task *tasks[2];
static struct err err;
/* What a hand receives: aligned as frame_read() would have it. */
static _Alignas(16) char body[4096];
static size_t size;

static int fresh(void **state) {
    (void)state;
    first =
        (struct task){.bytes = "first image",
                      .size = 11,
                      .header = {.attempt = 1, .created_ms = 1700000000123}};
    second = (struct task){.bytes = "2nd", .size = 3};
    tasks[0] = &first;
    tasks[1] = &second;
    strcpy(first.header.id.text, "one");
    strcpy(second.header.id.text, "two");
    memset(&err, 0, sizeof err);
    return 0;
}

/* The message without its frame's head. */
static void flatten(const struct batch_message *message) {
    size = 0;
    for (int i = 1; i < message->part_count; i++) {
        memcpy(body + size, message->parts[i].iov_base,
               message->parts[i].iov_len);
        size += message->parts[i].iov_len;
    }
    assert_int_equal(message->frame.size, size);
}

static void encode(void) {
    static struct batch_message message;
    batch_encode(3, tasks, 2, &message);
    flatten(&message);
}

static void batch_comes_out_as_it_went_in(void **state) {
    (void)state;
    struct batch batch;
    encode();
    assert_int_equal(batch_decode(body, size, &batch, &err), 0);
    assert_int_equal(batch.model, 3);
    assert_int_equal(batch.count, 2);
    assert_string_equal(batch.items[0].id.text, "one");
    assert_int_equal(batch.items[0].attempt, 1);
    assert_int_equal(batch.items[0].created_ms, 1700000000123);
    assert_int_equal(batch.items[0].size, 11);
    assert_string_equal(batch.items[1].id.text, "two");
    assert_memory_equal(batch.images, "first image2nd", 14);
}

static void batch_cut_anywhere_is_refused(void **state) {
    (void)state;
    struct batch batch;
    encode();
    for (size_t n = 0; n < size; n++)
        assert_int_equal(batch_decode(body, n, &batch, &err), -1);
    assert_int_equal(batch_decode(body, size + 1, &batch, &err), -1);
    assert_string_equal(err.text, "a batch with 1 bytes too many");
}

/* An answer about tasks[index], put together as a hand would. */
static struct task *answer(struct batch_answer a, const char *text) {
    memcpy(body, &a, sizeof a);
    memcpy(body + sizeof a, text, strlen(text));
    return batch_decode_answer(body, sizeof a + strlen(text), tasks, 2, &err);
}

static void batch_answer_reaches_its_task(void **state) {
    (void)state;
    assert_ptr_equal(answer((struct batch_answer){.index = 1,
                                                  .decode_ms = 1.5,
                                                  .infer_ms = 2.5,
                                                  .total_ms = 9},
                            "{\"json\":1}"),
                     &second);
    assert_false(second.answer.failed);
    assert_string_equal(second.answer.text, "{\"json\":1}");
    assert_int_equal(second.answer.len, 10);
    assert_true(second.answer.total_ms == 9);
    assert_ptr_equal(
        answer((struct batch_answer){.index = 0, .failed = 1}, "no"), &first);
    assert_true(first.answer.failed);
    free(first.answer.text);
    free(second.answer.text);
}

static void batch_answer_of_a_stranger_is_refused(void **state) {
    (void)state;
    assert_null(answer((struct batch_answer){.index = 2}, "{}"));
    assert_null(answer((struct batch_answer){.index = -1}, "{}"));
    assert_null(answer((struct batch_answer){.decode_ms = NAN}, "{}"));
    assert_null(answer((struct batch_answer){.total_ms = -1}, "{}"));
    assert_null(answer((struct batch_answer){.index = 0}, ""));
    assert_null(batch_decode_answer(body, 3, tasks, 2, &err));
    tasks[1] = NULL; /* it was answered */
    assert_null(answer((struct batch_answer){.index = 1}, "{}"));
    assert_string_equal(err.text,
                        "an answer to image 1 of 2, which is not open");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(batch_comes_out_as_it_went_in, fresh),
        cmocka_unit_test_setup(batch_cut_anywhere_is_refused, fresh),
        cmocka_unit_test_setup(batch_answer_reaches_its_task, fresh),
        cmocka_unit_test_setup(batch_answer_of_a_stranger_is_refused, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
