#include "fcgi/pending.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024 /* as many as jobs are pending at most, usually */

struct pending {
    struct pending_job *bucket[BUCKETS];
    struct pending_job *oldest, *newest;
    struct pending_lane *lanes;
    int count, queued;
    uint64_t serial;
};

struct pending *pending_open(void) {
    return calloc(1, sizeof(struct pending));
}

void pending_close(struct pending *pending) {
    if (!pending)
        return;
    while (pending->oldest)
        pending_remove(pending, pending->oldest);
    free(pending);
}

/* Ids begin with a SHA-256 in hex: any of its digits are a good hash. */
static size_t bucket_of(const struct id *id) {
    char digits[4] = {id->text[0], id->text[1], id->text[2], 0};
    return strtoul(digits, NULL, 16) % BUCKETS;
}

struct pending_job *pending_find(const struct pending *pending,
                                 const struct id *id) {
    struct pending_job *job = pending->bucket[bucket_of(id)];
    while (job && memcmp(job->job.id.text, id->text, ID_LEN) != 0)
        job = job->chain;
    return job;
}

struct pending_job *pending_add(struct pending *pending,
                                struct store_job *job) {
    struct pending_job *added =
        pending_find(pending, &job->id) ? NULL : calloc(1, sizeof *added);
    if (!added)
        return NULL;
    added->job = *job;
    memset(job, 0, sizeof *job); /* the bytes are ours now */
    added->serial = pending->serial++;
    struct pending_job **bucket = &pending->bucket[bucket_of(&added->job.id)];
    added->chain = *bucket;
    *bucket = added;
    added->older = pending->newest;
    if (pending->newest)
        pending->newest->newer = added;
    else
        pending->oldest = added;
    pending->newest = added;
    pending->count++;
    return added;
}

static void unlink_job(struct pending *pending, struct pending_job *job) {
    struct pending_job **at = &pending->bucket[bucket_of(&job->job.id)];
    while (*at != job)
        at = &(*at)->chain;
    *at = job->chain;
    if (job->older)
        job->older->newer = job->newer;
    else
        pending->oldest = job->newer;
    if (job->newer)
        job->newer->older = job->older;
    else
        pending->newest = job->older;
    pending->count--;
}

void pending_remove(struct pending *pending, struct pending_job *job) {
    pending_take(pending, job);
    unlink_job(pending, job);
    store_job_free(&job->job);
    free(job);
}

/* ---- lanes ------------------------------------------------------------- */

static struct pending_lane **lane_of(struct pending *pending,
                                     const char *version) {
    struct pending_lane **at = &pending->lanes;
    while (*at && strcmp((*at)->version, version) != 0)
        at = &(*at)->next;
    return at;
}

static struct pending_lane *take_lane(struct pending *pending,
                                      const char *version) {
    struct pending_lane **at = lane_of(pending, version);
    if (!*at && (*at = calloc(1, sizeof **at)))
        memcpy((*at)->version, version, sizeof(*at)->version);
    return *at;
}

int pending_queue(struct pending *pending, struct pending_job *job) {
    pending_take(pending, job);
    job->worker = NULL;
    job->state = PENDING_IDLE;
    struct pending_lane *lane = take_lane(pending, id_version(&job->job.id));
    if (!lane)
        return -1;
    /* Mostly it is the youngest; one that comes back goes to its old place. */
    struct pending_job *before = lane->last;
    while (before && before->serial > job->serial)
        before = before->prev;
    job->prev = before;
    job->next = before ? before->next : lane->first;
    *(job->next ? &job->next->prev : &lane->last) = job;
    *(before ? &before->next : &lane->first) = job;
    job->state = PENDING_QUEUED;
    pending->queued++;
    return 0;
}

void pending_take(struct pending *pending, struct pending_job *job) {
    if (job->state != PENDING_QUEUED)
        return;
    struct pending_lane **at = lane_of(pending, id_version(&job->job.id));
    struct pending_lane *lane = *at;
    *(job->prev ? &job->prev->next : &lane->first) = job->next;
    *(job->next ? &job->next->prev : &lane->last) = job->prev;
    job->prev = job->next = NULL;
    job->state = PENDING_IDLE;
    pending->queued--;
    if (!lane->first) {
        *at = lane->next;
        free(lane);
    }
}

struct pending_lane *pending_lanes(const struct pending *pending) {
    return pending->lanes;
}

struct pending_job *pending_oldest(const struct pending *pending) {
    return pending->oldest;
}

int pending_count(const struct pending *pending) {
    return pending->count;
}

int pending_queued(const struct pending *pending) {
    return pending->queued;
}

struct id *pending_ids(const struct pending *pending, int *count) {
    struct id *ids =
        pending->count ? malloc((size_t)pending->count * sizeof *ids) : NULL;
    *count = 0;
    for (const struct pending_job *job = pending->oldest; ids && job;
         job = job->newer)
        ids[(*count)++] = job->job.id;
    return ids;
}
