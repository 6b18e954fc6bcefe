#include "fcgi/body.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct body_gate {
    pthread_mutex_t mutex;
    pthread_cond_t less;
    size_t limit, held;
};

struct body_gate *body_gate_open(size_t limit) {
    struct body_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->less, NULL);
    gate->limit = limit;
    return gate;
}

void body_gate_close(struct body_gate *gate) {
    if (!gate)
        return;
    pthread_cond_destroy(&gate->less);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

static void enter(struct body_gate *gate, size_t size) {
    pthread_mutex_lock(&gate->mutex);
    while (gate->held > 0 &&
           (gate->held > gate->limit || size > gate->limit - gate->held))
        pthread_cond_wait(&gate->less, &gate->mutex);
    gate->held += size;
    pthread_mutex_unlock(&gate->mutex);
}

static void leave(struct body_gate *gate, size_t size) {
    pthread_mutex_lock(&gate->mutex);
    gate->held -= size;
    pthread_cond_broadcast(&gate->less);
    pthread_mutex_unlock(&gate->mutex);
}

int body_take(struct body_gate *gate, size_t size, struct body *body) {
    memset(body, 0, sizeof *body);
    if (size == 0)
        return 0;
    enter(gate, size);
    body->bytes = malloc(size);
    if (!body->bytes) {
        leave(gate, size);
        return -1;
    }
    body->size = size;
    body->gate = gate;
    return 0;
}

void body_free(struct body *body) {
    if (body->bytes) {
        free(body->bytes);
        leave(body->gate, body->size);
    }
    memset(body, 0, sizeof *body);
}
