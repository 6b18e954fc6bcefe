/*
 * alloc: the Nth allocation fails, for N = 1, 2, ... until nothing fails any
 * more. For programs that are linked with the --wrap options that the Makefile
 * gives tests/unit/test_alloc_*; included once in each.
 *
 *     static int load(struct err *err) { ... 0, or -1 with the reason ... }
 *     alloc_each(load);
 *
 * What our own code asks malloc() and its kin for is counted; that of jansson
 * and protobuf-c as well, which can be told whom to ask (hiredis 0.14 cannot,
 * and aborts where it has no memory). The operation checks itself what it
 * returns: done right, or refused with a sentence, and nothing in between.
 * AddressSanitizer sees what is left behind.
 */
#ifndef CONVOY_TEST_ALLOC_H
#define CONVOY_TEST_ALLOC_H

#include "common/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#define ALLOC_MOST 100000 /* allocations of one operation */

/* The N-th from now fails, and with `after` all behind it; 0: none. */
struct alloc_state {
    long countdown;
    bool after, failed;
};
static struct alloc_state alloc_state;

/* jansson 2.14 reads on where a byte did not fit into its buffer, and then
 * aborts or worse: it is given its memory by operations that read JSON. */
static bool alloc_spare_json;

static inline bool alloc_fails(void) {
    if (alloc_state.failed && alloc_state.after)
        return true;
    if (alloc_state.countdown == 0 || --alloc_state.countdown > 0)
        return false;
    alloc_state.failed = true;
    errno = ENOMEM;
    return true;
}

/* ---- what --wrap makes of malloc() and its kin --------------------------- */

/* Declares both: what there is, and what stands in its place. */
#define WRAPPED(result, name, ...)                                             \
    result __real_##name(__VA_ARGS__);                                         \
    result __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size);
WRAPPED(void *, calloc, size_t count, size_t size);
WRAPPED(void *, realloc, void *old, size_t size);
WRAPPED(void *, aligned_alloc, size_t align, size_t size);
WRAPPED(int, posix_memalign, void **out, size_t align, size_t size);
WRAPPED(char *, strdup, const char *text);
WRAPPED(char *, strndup, const char *text, size_t most);
WRAPPED(ProtobufCMessage *, protobuf_c_message_unpack,
        const ProtobufCMessageDescriptor *descriptor,
        ProtobufCAllocator *allocator, size_t len, const uint8_t *data);

void *__wrap_malloc(size_t size) {
    return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return alloc_fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size) {
    return alloc_fails() ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size) {
    return alloc_fails() ? ENOMEM : __real_posix_memalign(out, align, size);
}

char *__wrap_strdup(const char *text) {
    return alloc_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t most) {
    return alloc_fails() ? NULL : __real_strndup(text, most);
}

static void *alloc_for_protobuf(void *context, size_t size) {
    (void)context;
    return __wrap_malloc(size);
}

static void free_for_protobuf(void *context, void *block) {
    (void)context;
    free(block);
}

ProtobufCMessage *
__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor,
                                 ProtobufCAllocator *allocator, size_t len,
                                 const uint8_t *data) {
    ProtobufCAllocator ours = {alloc_for_protobuf, free_for_protobuf, NULL};
    (void)allocator;
    return __real_protobuf_c_message_unpack(descriptor, &ours, len, data);
}

/* ---- the loop ------------------------------------------------------------ */

static inline void alloc_begin(void) {
    json_set_alloc_funcs(alloc_spare_json ? __real_malloc : __wrap_malloc,
                         free);
}

static inline bool alloc_disarm(void) {
    bool failed = alloc_state.failed;
    memset(&alloc_state, 0, sizeof alloc_state);
    return failed;
}

/* For what the test itself does in an operation, with all its memory. */
static inline struct alloc_state alloc_pause(void) {
    struct alloc_state before = alloc_state;
    alloc_disarm();
    return before;
}

static inline void alloc_resume(struct alloc_state before) {
    alloc_state = before;
}

/* Fails the test where a refusal has no reason. Returns how many allocations
 * the operation makes. */
static inline long alloc_until_done(int (*operation)(struct err *err),
                                    bool after) {
    alloc_begin();
    for (long n = 1; n < ALLOC_MOST; n++) {
        struct err err = {0};
        alloc_state.countdown = n;
        alloc_state.after = after;
        int status = operation(&err);
        bool failed = alloc_disarm();
        if (status < 0 && !*err.text)
            fail_msg("allocation %ld fails, and nobody says so", n);
        if (!failed) {
            if (status < 0)
                fail_msg("refused with all its memory: %s", err.text);
            return n - 1;
        }
    }
    fail_msg("there is no end to it");
    return 0;
}

/* One allocation fails; then that one and all that follow. */
static inline void alloc_each(int (*operation)(struct err *err)) {
    long count = alloc_until_done(operation, false);
    alloc_until_done(operation, true);
    print_message("%ld allocations failed one by one\n", count);
}

static inline void alloc_each_but_json(int (*operation)(struct err *err)) {
    alloc_spare_json = true;
    alloc_each(operation);
    alloc_spare_json = false;
}

#endif
