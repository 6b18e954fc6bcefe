/*
 * A folder of photos, a folder a class, in a folder of its own below /tmp.
 *
 *     struct photo_folder f;
 *     photo_folder_open(&f);
 *     photo_folder_add(&f, "red", 3, 20);      3.bmp to 22.bmp of class "red"
 *     photo_folder_text(&f, "red/notes.txt", "no picture");
 *     photo_folder_close(&f);                  removes all
 *
 * A class's pictures have its colour and direction of stripes (by the first
 * letter of its name), under noise; no two are alike.
 */
#ifndef CONVOY_TEST_TRAIN_PHOTOS_H
#define CONVOY_TEST_TRAIN_PHOTOS_H

#include "models/train/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PHOTO_WIDTH 52 /* a multiple of 4: rows of a BMP need no padding */
#define PHOTO_HEIGHT 40

struct photo_folder {
    char top[64], photos[96]; /* "TOP/photos" */
};

static inline void photo_put32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static inline void photo_write(const char *path, int class, int number) {
    enum { SIZE = PHOTO_WIDTH * PHOTO_HEIGHT * 3 };
    uint8_t head[54] = "BM", *pixels = malloc(SIZE);
    struct rng rng;
    assert_non_null(pixels);
    photo_put32(head + 2, 54 + SIZE);
    photo_put32(head + 10, 54);
    photo_put32(head + 14, 40);
    photo_put32(head + 18, PHOTO_WIDTH);
    photo_put32(head + 22, PHOTO_HEIGHT);
    head[26] = 1;
    head[28] = 24;
    rng_seed(&rng, (uint64_t) class, (uint64_t)number);
    for (int i = 0; i < SIZE; i++) {
        int x = i / 3 % PHOTO_WIDTH, y = i / 3 / PHOTO_WIDTH, c = i % 3;
        int stripe = (class % 2 ? x : y) / 4 % 2;
        pixels[i] = (uint8_t)((class / 2 + c) % 3 * 70 + stripe * 40 +
                              (int)rng_below(&rng, 60));
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, sizeof head, 1, file), 1);
    assert_int_equal(fwrite(pixels, SIZE, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    free(pixels);
}

static inline void photo_folder_open(struct photo_folder *f) {
    strcpy(f->top, "/tmp/convoy-test-photos-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    snprintf(f->photos, sizeof f->photos, "%s/photos", f->top);
    assert_int_equal(mkdir(f->photos, 0700), 0);
}

static inline const char *photo_folder_path(const struct photo_folder *f,
                                            const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", f->photos, name);
    return path;
}

static inline void photo_folder_add(struct photo_folder *f, const char *class,
                                    int first, int count) {
    char name[64];
    mkdir(photo_folder_path(f, class), 0700);
    for (int i = first; i < first + count; i++) {
        snprintf(name, sizeof name, "%s/%d.bmp", class, i);
        photo_write(photo_folder_path(f, name), *class, i);
    }
}

static inline void photo_folder_text(struct photo_folder *f, const char *name,
                                     const char *text) {
    FILE *file = fopen(photo_folder_path(f, name), "wb");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static inline void photo_folder_close(struct photo_folder *f) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->top);
    assert_int_equal(system(command), 0);
}

#endif
