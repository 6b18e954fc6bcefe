#include "models/train/checkpoint.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "convoyT3"
#define MAGIC_2 "convoyT2"
#define MAGIC_1 "convoyT1"
#define SETTINGS_1 offsetof(struct settings, side) /* of the first layout */

/* The file: magic; since the second layout the size of the settings; settings;
 * state; then history and the arrays. The first layout had no `arrays`, which
 * were three; neither it nor the second had `record`. */
struct state {
    uint64_t fingerprint;
    uint64_t count;
    uint64_t epochs_done;
    uint64_t arrays; /* 3, or 4 with `aside` */
    uint64_t record; /* bytes of an epoch's in the history */
};
#define STATE_1 offsetof(struct state, arrays)
#define STATE_2 offsetof(struct state, record)
#define RECORD_1 offsetof(struct epoch_record, validation_balanced)
#define MAGIC_SIZE 8

struct header {
    bool known; /* a layout that this version reads */
    struct settings settings;
    struct state state;
};

/* A file and the checksum of what went through it. */
struct stream {
    FILE *file;
    uint64_t sum;
    bool failed;
};

static void add_to_sum(struct stream *s, const void *data, size_t size) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) /* FNV-1a */
        s->sum = (s->sum ^ bytes[i]) * 0x100000001b3u;
}

static void put(struct stream *s, const void *data, size_t size) {
    add_to_sum(s, data, size);
    if (fwrite(data, 1, size, s->file) != size)
        s->failed = true;
}

static void get(struct stream *s, void *data, size_t size) {
    if (fread(data, 1, size, s->file) != size)
        s->failed = true;
    else
        add_to_sum(s, data, size);
}

static void put_all(struct stream *s, const struct checkpoint *c) {
    const uint64_t size = sizeof c->settings;
    const struct state state = {.fingerprint = c->fingerprint,
                                .count = c->count,
                                .epochs_done = (uint64_t)c->epochs_done,
                                .arrays = c->aside ? 4 : 3,
                                .record = sizeof *c->history};
    put(s, MAGIC, MAGIC_SIZE);
    put(s, &size, sizeof size);
    put(s, &c->settings, sizeof c->settings);
    put(s, &state, sizeof state);
    put(s, c->history, (size_t)c->settings.epochs * sizeof *c->history);
    put(s, c->values, c->count * sizeof *c->values);
    put(s, c->momentum, c->count * sizeof *c->momentum);
    put(s, c->slow, c->count * sizeof *c->slow);
    if (c->aside)
        put(s, c->aside, c->count * sizeof *c->aside);
    uint64_t sum = s->sum;
    put(s, &sum, sizeof sum);
}

int checkpoint_write(const char *path, const struct checkpoint *c,
                     struct err *err) {
    char beside[4096];
    struct stream s = {0};

    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return err_set(err, "%s: the name is too long", path);
    s.file = fopen(beside, "wb");
    if (!s.file)
        return err_set(err, "%s: %s", beside, strerror(errno));
    put_all(&s, c);
    if (s.failed || fflush(s.file) != 0 || fsync(fileno(s.file)) < 0)
        goto fail;
    if (fclose(s.file) != 0) {
        s.file = NULL;
        goto fail;
    }
    s.file = NULL;
    if (rename(beside, path) < 0)
        goto fail;
    return 0;
fail:
    err_set(err, "%s: cannot write the checkpoint: %s", path, strerror(errno));
    if (s.file)
        fclose(s.file);
    unlink(beside);
    return -1;
}

static void get_header(struct stream *s, struct header *header) {
    char magic[MAGIC_SIZE] = "";
    uint64_t size = 0;
    *header = (struct header){.known = true};
    get(s, magic, sizeof magic);
    if (memcmp(magic, MAGIC_1, MAGIC_SIZE) == 0) {
        /* Its struct ended in what is now `side`, unused and 0. */
        get(s, &header->settings, SETTINGS_1 + sizeof header->settings.side);
        get(s, &header->state, STATE_1);
        header->state.arrays = 3;
        header->state.record = RECORD_1;
        return;
    }
    bool second = memcmp(magic, MAGIC_2, MAGIC_SIZE) == 0;
    get(s, &size, sizeof size);
    if ((!second && memcmp(magic, MAGIC, MAGIC_SIZE) != 0) ||
        size > sizeof header->settings) {
        header->known = false;
        return;
    }
    get(s, &header->settings, size);
    header->state.record = RECORD_1;
    get(s, &header->state, second ? STATE_2 : sizeof header->state);
}

static int refuse_damaged(const char *path, struct err *err) {
    return err_set(err, "%s: is damaged; remove the folder and begin anew",
                   path);
}

static int open_header(const char *path, struct stream *s,
                       struct header *header, struct err *err) {
    *s = (struct stream){.file = fopen(path, "rb")};
    if (!s->file)
        return err_set(err, "%s: %s", path, strerror(errno));
    get_header(s, header);
    if (!header->known) {
        fclose(s->file);
        return err_set(err,
                       "%s: is no checkpoint of a training run, or one of a "
                       "later version",
                       path);
    }
    if (s->failed || header->settings.epochs < 1 ||
        header->state.record > sizeof(struct epoch_record) ||
        header->state.epochs_done > (uint64_t)header->settings.epochs) {
        fclose(s->file);
        return refuse_damaged(path, err);
    }
    return 0;
}

/* Settings are believed before anything else is read: does the checksum say
 * that they are what was written? */
static bool get_rest(struct stream *s) {
    static const size_t chunk = 1 << 16;
    long here = ftell(s->file);
    unsigned char *bytes = malloc(chunk);
    uint64_t expected, sum = 0;
    if (!bytes || here < 0 || fseek(s->file, 0, SEEK_END) < 0)
        s->failed = true;
    long left = ftell(s->file) - here - (long)sizeof sum;
    if (left < 0 || fseek(s->file, here, SEEK_SET) < 0)
        s->failed = true;
    for (; !s->failed && left > 0; left -= (long)chunk)
        get(s, bytes, left < (long)chunk ? (size_t)left : chunk);
    free(bytes);
    expected = s->sum;
    if (!s->failed)
        get(s, &sum, sizeof sum);
    return !s->failed && sum == expected;
}

int checkpoint_read_settings(const char *path, struct settings *settings,
                             struct err *err) {
    struct stream s;
    struct header header;
    if (open_header(path, &s, &header, err) < 0)
        return -1;
    bool whole = get_rest(&s);
    fclose(s.file);
    if (!whole)
        return refuse_damaged(path, err);
    *settings = header.settings;
    return 0;
}

static int same_run(const char *path, const struct header *header,
                    const struct checkpoint *c, struct err *err) {
    if (memcmp(&header->settings, &c->settings, sizeof c->settings) != 0)
        return err_set(err, "%s: was written with other settings", path);
    if (header->state.count != c->count ||
        header->state.arrays != (c->aside ? 4 : 3))
        return err_set(err, "%s: was written for another network", path);
    if (header->state.fingerprint != c->fingerprint)
        return err_set(err,
                       "%s: was written with other images, or names of "
                       "classes",
                       path);
    return 0;
}

/* What was not measured then is taken for equal in every class. */
static void get_history(struct stream *s, const struct header *header,
                        struct epoch_record *history) {
    for (int i = 0; i < header->settings.epochs; i++) {
        get(s, &history[i], header->state.record);
        if (header->state.record <= RECORD_1)
            history[i].validation_balanced = history[i].validation_accuracy;
    }
}

int checkpoint_read(const char *path, struct checkpoint *c, struct err *err) {
    struct stream s;
    struct header header;
    int rc = -1;

    if (open_header(path, &s, &header, err) < 0)
        return -1;
    if (same_run(path, &header, c, err) < 0)
        goto fail;
    get_history(&s, &header, c->history);
    get(&s, c->values, c->count * sizeof *c->values);
    get(&s, c->momentum, c->count * sizeof *c->momentum);
    get(&s, c->slow, c->count * sizeof *c->slow);
    if (c->aside)
        get(&s, c->aside, c->count * sizeof *c->aside);
    uint64_t expected = s.sum, sum = 0;
    get(&s, &sum, sizeof sum);
    if (s.failed || sum != expected) {
        refuse_damaged(path, err);
        goto fail;
    }
    c->epochs_done = (int)header.state.epochs_done;
    rc = 0;
fail:
    fclose(s.file);
    return rc;
}
