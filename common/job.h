/*
 * job: what a front and a worker say to each other over ZeroMQ. Pure encoding:
 * parsers take (buffer, length), sockets are elsewhere (fcgi/dispatch.c,
 * worker/link.c).
 *
 * The front binds one ROUTER; a worker opens one DEALER to each front. A
 * message is two frames behind the ROUTER's identity frame: a header and a
 * body. The header is
 *
 *     offset  size  field
 *          0     4  magic "CVY1"
 *          4     1  type, enum job_type
 *          5    77  prediction id, or zeros
 *         82     2  attempt, little-endian
 *         84     4  number: credits granted (READY, CREDIT), ms left (JOB)
 *         88     8  created, wall ms (JOB)
 *         96     1  length of the request id, then its bytes
 *
 *   worker -> front
 *     READY      a worker is there (again): body is its JSON advertisement,
 *                {"name","hands","batch","models":[{"name","version","labels",
 *                "width","height","explainable","default","explains","retiring",
 *                "placed_ms"}],"refused":[{"folder","reason"}]}; number is
 *                the credits it grants from now on (earlier ones are void)
 *     CREDIT     number more jobs are welcome
 *     DONE       the result of id is in Redis (also where it is a failure that
 *                lies in the image); attempt and request id are the job's;
 *                body is that result, for those who wait, or nothing
 *     FAILED     id could not be answered this time (hand died, Redis away);
 *                body is a sentence; the front tries again; attempt and
 *                request id are the job's
 *     HEARTBEAT  every second when nothing else was sent
 *     DRAIN      no more jobs, please; what runs will be finished
 *   front -> worker
 *     JOB        id, attempt (from 1), created, request id; number is the ms
 *                left until nobody waits any more, 0: no limit; body is the
 *                image's bytes
 *     HEARTBEAT  every second
 *     WHO        a front that met an unknown worker asks for READY
 *
 * DONE and FAILED each give one credit back by themselves. Who hears nothing
 * for 5 s takes the other for gone. A field that a type does not have is zero.
 *
 *     uint8_t header[JOB_HEADER_MAX];
 *     struct job_header out = {.type = JOB_DONE, .id = id, .attempt = 1};
 *     size_t len = job_encode(&out, header);
 *
 *     struct job_header in;
 *     if (job_decode(frame, frame_len, &in, &err) < 0) ... log and drop
 */
#ifndef CONVOY_JOB_H
#define CONVOY_JOB_H

#include "common/err.h"
#include "common/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOB_HEADER_MAX (97 + 128)
#define JOB_BODY_MAX (64u << 20)
#define JOB_HEARTBEAT_MS 1000
#define JOB_SILENCE_MS 5000
#define JOB_CREDITS_MAX 65536 /* in one READY or CREDIT */
#define JOB_LABELS_MAX 100000 /* of a model */
#define JOB_LABEL_MAX 255     /* bytes; no classifier has longer ones */
#define JOB_ADVERT_MAX                                                         \
    (16u << 20) /* bytes; 64 models of 10,000 labels fit twice */

enum job_type {
    JOB_READY = 1,
    JOB_CREDIT,
    JOB_DONE,
    JOB_FAILED,
    JOB_HEARTBEAT,
    JOB_DRAIN,
    JOB_JOB,
    JOB_WHO,
};

struct job_header {
    enum job_type type;
    struct id id; /* empty text where the type has none */
    int attempt;
    uint32_t number;
    int64_t created_ms; /* wall clock */
    char request[129];
};

/* "ready", "credit", ...; "unknown" for a number that is none. */
const char *job_type_name(enum job_type type);

/* Returns the header's length. What the type does not have is left out; a
 * request id beyond 128 bytes is cut. */
size_t job_encode(const struct job_header *header, uint8_t out[JOB_HEADER_MAX]);

/* Everything is checked: magic, type, id, lengths, which fields a type has. On
 * failure the header is all zeros. */
int job_decode(const uint8_t *buffer, size_t len, struct job_header *header,
               struct err *err);

/* Names of models go into URLs and keys: 1..127 of A-Z a-z 0-9 . _ - */
bool job_name_valid(const char *name);

/* A model as READY advertises it. */
struct job_model {
    char name[128];
    char version[ID_VERSION_LEN + 1];
    char **labels; /* owned */
    int label_count;
    int width, height;
    int explainable, is_default;
    int retiring;      /* replaced: for jobs that were accepted earlier alone */
    int64_t placed_ms; /* when its files were put in place there, wall clock;
                          0: the worker does not say */
    char explains[128]; /* the model of which this is the slow variant that
                           finds maps by occlusion; "": it is none */
};
/* A model folder that the worker found and cannot serve. */
struct job_refusal {
    char *folder, *reason; /* owned */
};
#define JOB_MODELS_MAX 64 /* in one advertisement; also of refusals */
struct job_advert {
    char name[128]; /* of the worker: host.pid */
    int hands, batch;
    struct job_model *models; /* owned */
    int model_count;
    struct job_refusal *refused; /* owned */
    int refused_count;
};
char *job_advert_encode(const struct job_advert *advert); /* JSON; free() */

/* On failure the advert is empty; unknown members are ignored. */
int job_advert_decode(const char *json, size_t len, struct job_advert *advert,
                      struct err *err);
void job_advert_free(struct job_advert *advert);

#endif
