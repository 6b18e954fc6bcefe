#include "models/train/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct pool *pool;
    pthread_t thread;
    int number;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t start;
    pthread_cond_t done;
    int threads; /* with the caller */
    int started; /* of `workers`, which has threads - 1 */
    struct worker *workers;

    /* The job, under the lock. */
    unsigned generation;
    bool stop;
    pool_fn *fn;
    void *arg;
    int items, next, unfinished;
};

/* Takes items until there are none; called and returns with the lock held. */
static void work(struct pool *pool, int number) {
    while (pool->next < pool->items) {
        int item = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        pool->fn(pool->arg, item, number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->unfinished == 0)
            pthread_cond_signal(&pool->done);
    }
}

static void *run_worker(void *arg) {
    struct worker *worker = arg;
    struct pool *pool = worker->pool;
    unsigned seen = 0;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->generation == seen && !pool->stop)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stop)
            break;
        seen = pool->generation;
        work(pool, worker->number);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_open(int threads, struct err *err) {
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, "no memory for a pool of threads");
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->threads = threads;
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    if (!pool->workers) {
        err_set(err, "no memory for %d threads", threads);
        goto fail;
    }
    for (int i = 0; i < threads - 1; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->number = i + 1;
        int rc = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (rc != 0) {
            err_set(err, "cannot start thread %d of %d: %s", i + 2, threads,
                    strerror(rc));
            goto fail;
        }
        pool->started++;
    }
    return pool;
fail:
    pool_close(pool);
    return NULL;
}

void pool_close(struct pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int pool_threads(const struct pool *pool) {
    return pool->threads;
}

void pool_run(struct pool *pool, int items, pool_fn *fn, void *arg) {
    if (items <= 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->items = items;
    pool->next = 0;
    pool->unfinished = items;
    pool->generation++;
    pthread_cond_broadcast(&pool->start);
    work(pool, 0);
    while (pool->unfinished > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
