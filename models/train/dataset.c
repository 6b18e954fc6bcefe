#include "models/train/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIDE 32
#define CHANNELS 3
#define PLANE (SIDE * SIDE)
#define RECORD (1 + CHANNELS * PLANE)

static const char *const cifar10_names[CIFAR10_CLASSES] = {
    "airplane", "automobile", "bird",  "cat",  "deer",
    "dog",      "frog",       "horse", "ship", "truck"};

static int count_records(const char *file, long *records, struct err *err) {
    struct stat st;
    if (stat(file, &st) < 0)
        return err_set(err, "%s: %s", file, strerror(errno));
    if (st.st_size == 0 || st.st_size % RECORD != 0)
        return err_set(err,
                       "%s: %lld bytes are no whole number of CIFAR-10 "
                       "records of %d bytes",
                       file, (long long)st.st_size, RECORD);
    *records = (long)(st.st_size / RECORD);
    return 0;
}

static void interleave(const uint8_t *planes, uint8_t *pixels) {
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < CHANNELS; c++)
            pixels[i * CHANNELS + c] = planes[c * PLANE + i];
}

static int read_file(struct dataset *set, const char *file, long records,
                     struct err *err) {
    int rc = -1;
    FILE *in = fopen(file, "rb");
    if (!in)
        return err_set(err, "%s: %s", file, strerror(errno));
    for (long i = 0; i < records; i++, set->count++) {
        uint8_t record[RECORD];
        if (fread(record, RECORD, 1, in) != 1) {
            err_set(err, "%s: ends before image %ld", file, i);
            goto fail;
        }
        if (record[0] >= CIFAR10_CLASSES) {
            err_set(err, "%s: image %ld has label %d, not 0 to %d", file, i,
                    record[0], CIFAR10_CLASSES - 1);
            goto fail;
        }
        set->labels[set->count] = record[0];
        interleave(record + 1,
                   set->pixels + (size_t)set->count * shape_size(set->shape));
    }
    rc = 0;
fail:
    fclose(in);
    return rc;
}

int dataset_read_cifar10(struct dataset *set, const char *const *files,
                         int files_count, struct err *err) {
    long total = 0, records = 0;
    *set = (struct dataset){.shape = {SIDE, SIDE, CHANNELS},
                            .classes = CIFAR10_CLASSES,
                            .names = cifar10_names};
    for (int i = 0; i < files_count; i++) {
        if (count_records(files[i], &records, err) < 0)
            return -1;
        total += records;
    }
    if (total == 0 || total > INT32_MAX)
        return err_set(err, "%ld images are no data set to train on", total);
    set->pixels = malloc((size_t)total * shape_size(set->shape));
    set->labels = malloc((size_t)total * sizeof *set->labels);
    if (!set->pixels || !set->labels) {
        err_set(err, "no memory for %ld images", total);
        goto fail;
    }
    for (int i = 0; i < files_count; i++)
        if (count_records(files[i], &records, err) < 0 ||
            records > total - set->count ||
            read_file(set, files[i], records, err) < 0)
            goto fail;
    return 0;
fail:
    dataset_free(set);
    return -1;
}

void dataset_free(struct dataset *set) {
    free(set->pixels);
    free(set->labels);
    *set = (struct dataset){0};
}

int dataset_split(const struct dataset *all, int held_out,
                  struct dataset *train, struct dataset *validation,
                  struct err *err) {
    if (held_out < 0 || held_out >= all->count)
        return err_set(err,
                       "cannot hold out %d of %d images: some must be left "
                       "to train on",
                       held_out, all->count);
    *train = *validation = *all;
    train->count = all->count - held_out;
    validation->count = held_out;
    validation->pixels += (size_t)train->count * shape_size(all->shape);
    validation->labels += train->count;
    return 0;
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

uint64_t dataset_fingerprint(const struct dataset *set) {
    uint64_t hash = 0xcbf29ce484222325u;
    size_t size = (size_t)set->count * shape_size(set->shape);
    hash = fnv1a(hash, (const uint8_t *)set->labels,
                 (size_t)set->count * sizeof *set->labels);
    if (set->names != cifar10_names) /* which cannot be others */
        for (int i = 0; set->names && i < set->classes; i++)
            hash = fnv1a(hash, (const uint8_t *)set->names[i],
                         strlen(set->names[i]) + 1);
    return fnv1a(hash, set->pixels, size);
}
