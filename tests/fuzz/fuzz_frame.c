/* What the processes of a worker say to each other: a hand that a picture has
 * taken over may say anything. */
#include "tests/fuzz/fuzz.h"
#include "worker/batch.h"

#define TASKS 4

static void read_batch(const uint8_t *data, size_t size) {
    struct batch batch;
    struct err err = {0};
    if (batch_decode(data, size, &batch, &err) < 0)
        return;
    const char *end = (const char *)data + size;
    const char *bytes = batch.images;
    for (int i = 0; i < batch.count; i++) {
        MUST(batch.items[i].size <= (uint64_t)(end - bytes));
        bytes += batch.items[i].size;
    }
}

static void read_answer(const uint8_t *data, size_t size) {
    struct task *open[TASKS] = {0};
    struct err err = {0};
    for (int i = 0; i < TASKS; i += 2) {
        open[i] = calloc(1, sizeof *open[i]);
        MUST(open[i]);
    }
    struct task *task = batch_decode_answer(data, size, open, TASKS, &err);
    MUST(!task || task == open[0] || task == open[2]);
    for (int i = 0; i < TASKS; i += 2)
        task_free(open[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_batch(data, size);
    read_answer(data, size);
    return 0;
}
