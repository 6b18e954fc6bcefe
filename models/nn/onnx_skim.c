/*
 * A message is copied field by field. On the way from the model over its graph
 * to the initialisers, lengths change: they are written as varints of five
 * bytes, which protobuf allows, and filled in at the end. raw_data becomes a
 * field that onnx.proto does not have, and that protobuf-c keeps as unknown,
 * with place and length.
 */
#include "models/nn/onnx_skim.h"

#include <stdlib.h>
#include <string.h>

#define FIELD_PLACE 15000 /* of TensorProto, not in onnx.proto */
#define LENGTH_BYTES 5    /* of a varint up to 2^35; files end at 2^31 */

/* Field numbers of onnx.proto. */
enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5, TENSOR_RAW_DATA = 9 };

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

bool onnx_varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

bool onnx_field(const uint8_t **p, const uint8_t *end, uint64_t *tag,
                size_t *length) {
    uint64_t n = 0;
    if (!onnx_varint(p, end, tag))
        return false;
    const uint8_t *value = *p;
    switch (*tag & 7) {
    case WIRE_VARINT:
        if (!onnx_varint(&value, end, &n))
            return false;
        n = (uint64_t)(value - *p);
        break;
    case WIRE_64:
        n = 8;
        break;
    case WIRE_BYTES:
        if (!onnx_varint(p, end, &n))
            return false;
        break;
    case WIRE_32:
        n = 4;
        break;
    default:
        return false;
    }
    *length = (size_t)n;
    return n <= (size_t)(end - *p);
}

/* ---- writing ------------------------------------------------------------ */

struct skim {
    const uint8_t *file;
    uint8_t *bytes;
    size_t size, room;
    bool failed; /* no memory */
};

/* Room for `count` more bytes, which the caller writes; NULL: failed. */
static uint8_t *extend(struct skim *s, size_t count) {
    if (!s->failed && count > s->room - s->size) {
        size_t room = 2 * s->room + count;
        uint8_t *bytes = realloc(s->bytes, room);
        s->failed = !bytes;
        if (bytes) {
            s->bytes = bytes;
            s->room = room;
        }
    }
    if (s->failed)
        return NULL;
    s->size += count;
    return s->bytes + s->size - count;
}

static void copy(struct skim *s, const uint8_t *from, const uint8_t *end) {
    uint8_t *to = extend(s, (size_t)(end - from));
    if (to)
        memcpy(to, from, (size_t)(end - from));
}

static void put_varint(uint8_t *to, uint64_t n, int bytes) {
    for (int i = 0; i < bytes; i++, n >>= 7)
        to[i] = (uint8_t)((n & 0x7f) | (i < bytes - 1 ? 0x80 : 0));
}

static void put_place(struct skim *s, const uint8_t *raw, size_t length) {
    struct onnx_place place = {(uint64_t)(raw - s->file), length};
    uint8_t *to = extend(s, 3 + 1 + sizeof place);
    if (!to)
        return;
    put_varint(to, FIELD_PLACE << 3 | WIRE_BYTES, 3);
    to[3] = sizeof place;
    memcpy(to + 4, &place, sizeof place);
}

/* ---- the three messages ------------------------------------------------- */

/* Of each message, from the outermost in, the one field that changes. */
static const uint32_t changing[] = {MODEL_GRAPH, GRAPH_INITIALIZER,
                                    TENSOR_RAW_DATA};
#define TENSOR 2 /* whose bytes are left out */

static void skim_fields(struct skim *s, const uint8_t *p, const uint8_t *end,
                        int depth);

static void skim_message(struct skim *s, uint64_t tag, const uint8_t *p,
                         const uint8_t *end, int depth) {
    uint8_t *head = extend(s, 1 + LENGTH_BYTES);
    if (!head)
        return;
    *head = (uint8_t)tag;
    size_t start = s->size;
    skim_fields(s, p, end, depth);
    if (!s->failed)
        put_varint(s->bytes + start - LENGTH_BYTES, s->size - start,
                   LENGTH_BYTES);
}

static void skim_fields(struct skim *s, const uint8_t *p, const uint8_t *end,
                        int depth) {
    uint64_t tag;
    size_t length;
    while (p < end) {
        const uint8_t *field = p;
        if (!onnx_field(&p, end, &tag, &length)) {
            copy(s, field, end);
            return;
        }
        p += length;
        bool changes = tag == (changing[depth] << 3 | WIRE_BYTES);
        if (changes && depth < TENSOR)
            skim_message(s, tag, p - length, p, depth + 1);
        else if (changes && length >= ONNX_SKIM_BYTES)
            put_place(s, p - length, length);
        else
            copy(s, field, p);
    }
}

uint8_t *onnx_skim(const uint8_t *file, size_t file_size, size_t *size,
                   struct err *err) {
    struct skim s = {.file = file, .room = 4096, .bytes = malloc(4096)};
    s.failed = !s.bytes;
    skim_fields(&s, file, file + file_size, 0);
    if (s.failed) {
        free(s.bytes);
        err_set(err, "no memory for what a file of %zu bytes says", file_size);
        return NULL;
    }
    *size = s.size;
    return s.bytes;
}

bool onnx_skimmed(const Onnx__TensorProto *proto, struct onnx_place *place) {
    for (unsigned i = 0; i < proto->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field =
            &proto->base.unknown_fields[i];
        if (field->tag == FIELD_PLACE && field->len == 1 + sizeof *place) {
            /* Of a field of bytes, protobuf-c keeps the length as well. */
            memcpy(place, field->data + 1, sizeof *place);
            return true;
        }
    }
    return false;
}
