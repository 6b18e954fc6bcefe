/*
 * body: memory for what is uploaded, bounded for the whole process.
 *
 *     struct body_gate *gate = body_gate_open(16 << 20);
 *     struct body body;
 *     if (body_take(gate, size, &body) < 0) ... out of memory
 *     ... read into body.bytes ...
 *     body_free(&body);                     as soon as it is not needed
 *
 * Uploads wait in nginx's files, not in memory: body_take() blocks while what
 * others hold and this one would pass the gate's limit. One that is larger
 * than the limit goes through alone. A struct of zeros is an empty body.
 * Safe from any thread.
 */
#ifndef CONVOY_BODY_H
#define CONVOY_BODY_H

#include <stddef.h>
#include <stdint.h>

struct body_gate;
struct body {
    uint8_t *bytes; /* owned; NULL where size is 0 */
    size_t size;
    struct body_gate *gate;
};

struct body_gate *body_gate_open(size_t limit); /* NULL: out of memory */
void body_gate_close(struct body_gate *gate);

int body_take(struct body_gate *gate, size_t size, struct body *body);
void body_free(struct body *body); /* may be called again */

#endif
