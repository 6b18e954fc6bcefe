/*
 * fake_worker: a scripted worker: a DEALER that says what the test wants.
 *
 *     struct fake_worker worker;
 *     fake_worker_open(&worker, "ipc:///tmp/x/jobs.sock");
 *     fake_worker_ready(&worker, "w1", MODEL_VERSION, 2);
 *     struct job_header job;
 *     if (fake_worker_job(&worker, &job, 2000)) ... its bytes: worker.body
 *     fake_worker_say(&worker, JOB_DONE, &job, "");
 *     fake_worker_close(&worker);
 */
#ifndef CONVOY_FAKE_WORKER_H
#define CONVOY_FAKE_WORKER_H

#include "common/clock.h"
#include "common/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

struct fake_worker {
    void *context, *socket;
    char body[4096]; /* of the last message */
    size_t size;
};

static inline void fake_worker_open(struct fake_worker *worker,
                                    const char *endpoint) {
    int zero = 0;
    worker->context = zmq_ctx_new();
    worker->socket = zmq_socket(worker->context, ZMQ_DEALER);
    zmq_setsockopt(worker->socket, ZMQ_LINGER, &zero, sizeof zero);
    if (zmq_connect(worker->socket, endpoint) < 0) {
        fprintf(stderr, "%s: %s\n", endpoint, zmq_strerror(errno));
        exit(1);
    }
}

static inline void fake_worker_close(struct fake_worker *worker) {
    zmq_close(worker->socket);
    zmq_ctx_term(worker->context);
}

static inline void fake_worker_send(struct fake_worker *worker,
                                    const struct job_header *header,
                                    const char *body) {
    uint8_t encoded[JOB_HEADER_MAX];
    size_t len = job_encode(header, encoded);
    zmq_send(worker->socket, encoded, len, ZMQ_SNDMORE);
    zmq_send(worker->socket, body, strlen(body), 0);
}

static inline void fake_worker_ready(struct fake_worker *worker,
                                     const char *name, const char *model,
                                     const char *version, uint32_t credits) {
    char *labels[] = {"cat", "dog"};
    struct job_model models[] = {{.labels = labels,
                                  .label_count = 2,
                                  .width = 32,
                                  .height = 32,
                                  .explainable = 1,
                                  .is_default = 1}};
    struct job_advert advert = {
        .hands = 1, .batch = 1, .models = models, .model_count = 1};
    snprintf(advert.name, sizeof advert.name, "%s", name);
    snprintf(models[0].name, sizeof models[0].name, "%s", model);
    snprintf(models[0].version, sizeof models[0].version, "%s", version);
    char *json = job_advert_encode(&advert);
    const struct job_header header = {.type = JOB_READY, .number = credits};
    fake_worker_send(worker, &header, json);
    free(json);
}

/* DONE and FAILED of a job; other types take no job (NULL). */
static inline void fake_worker_say(struct fake_worker *worker,
                                   enum job_type type,
                                   const struct job_header *job,
                                   const char *body) {
    struct job_header header = {.type = type};
    if (job) {
        header.id = job->id;
        header.attempt = job->attempt;
        memcpy(header.request, job->request, sizeof header.request);
    }
    fake_worker_send(worker, &header, body);
}

/* The next message within ms; 0: there is none. */
static inline int fake_worker_next(struct fake_worker *worker,
                                   struct job_header *header, int64_t ms) {
    uint8_t head[JOB_HEADER_MAX];
    zmq_pollitem_t item = {.socket = worker->socket, .events = ZMQ_POLLIN};
    if (zmq_poll(&item, 1, ms > 0 ? (long)ms : 0) <= 0)
        return 0;
    int len = zmq_recv(worker->socket, head, sizeof head, 0);
    int size = zmq_recv(worker->socket, worker->body, sizeof worker->body, 0);
    worker->size = size < 0 ? 0 : (size_t)size;
    if (len < 0 || job_decode(head, (size_t)len, header, NULL) < 0) {
        fprintf(stderr, "fake worker: malformed message\n");
        exit(1);
    }
    return 1;
}

/* The next message of that type, others (but for jobs, which are an error if
 * not asked for) passed over. 0: none came within ms. */
static inline int fake_worker_await(struct fake_worker *worker,
                                    enum job_type type,
                                    struct job_header *header, int64_t ms) {
    int64_t until = clock_ms() + ms;
    for (;;) {
        int64_t left = until - clock_ms();
        if (left < 0 || !fake_worker_next(worker, header, left))
            return 0;
        if (header->type == type)
            return 1;
    }
}

static inline int fake_worker_job(struct fake_worker *worker,
                                  struct job_header *job, int64_t ms) {
    return fake_worker_await(worker, JOB_JOB, job, ms);
}

#endif
