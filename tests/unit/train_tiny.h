/*
 * A CIFAR-10 file small enough to train on within a test, in a folder of its
 * own below /tmp.
 *
 *     struct tiny tiny;
 *     tiny_open(&tiny, 60);           tiny.folder, tiny.file
 *     tiny_settings()                 a network to match
 *     tiny_close(&tiny);              removes all
 *
 * Image i is of class i mod 10; a class is a colour and a direction of
 * stripes, under noise, so that a small network learns it in a few epochs.
 */
#ifndef CONVOY_TEST_TRAIN_TINY_H
#define CONVOY_TEST_TRAIN_TINY_H

#include "models/train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TINY_RECORD 3073

struct tiny {
    char folder[64];
    char file[80]; /* "FOLDER/tiny.bin" */
};

static inline void tiny_record(int image, uint8_t record[TINY_RECORD]) {
    struct rng rng;
    int class = image % 10;
    rng_seed(&rng, 11, (uint64_t)image);
    record[0] = (uint8_t) class;
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < 1024; p++) {
            int along = class % 2 ? p / 32 : p % 32;
            int level = (class / 2 + c) % 5 * 40 + along % 4 * 10;
            record[1 + c * 1024 + p] =
                (uint8_t)(level + (int)rng_below(&rng, 40));
        }
}

static inline void tiny_write(const char *path, int images) {
    uint8_t record[TINY_RECORD];
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < images; i++) {
        tiny_record(i, record);
        assert_int_equal(fwrite(record, sizeof record, 1, out), 1);
    }
    assert_int_equal(fclose(out), 0);
}

static inline void tiny_open(struct tiny *tiny, int images) {
    strcpy(tiny->folder, "/tmp/convoy-test-train-XXXXXX");
    assert_non_null(mkdtemp(tiny->folder));
    snprintf(tiny->file, sizeof tiny->file, "%s/tiny.bin", tiny->folder);
    tiny_write(tiny->file, images);
}

static inline void tiny_close(struct tiny *tiny) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", tiny->folder);
    assert_int_equal(system(command), 0);
}

static inline struct settings tiny_settings(void) {
    struct settings s = trainer_defaults;
    s.width = 0.1;
    s.epochs = 3;
    s.batch = 20;
    s.validation = 10;
    s.seed = 5;
    return s;
}

#endif
