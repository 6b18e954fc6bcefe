/*
 * onnx_skim: an ONNX file less the numbers of its large initialisers, which
 * can then be read where they lie instead of being copied by protobuf-c.
 *
 *     size_t size;
 *     uint8_t *skimmed = onnx_skim(file, file_size, &size, &err);
 *     Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, size, skimmed);
 *     free(skimmed);
 *     struct onnx_place place;
 *     if (onnx_skimmed(proto->graph->initializer[0], &place))
 *         ... place.length bytes of raw_data at file + place.offset
 *
 * A file that is malformed is passed on as it is, for protobuf-c to refuse.
 */
#ifndef CONVOY_NN_ONNX_SKIM_H
#define CONVOY_NN_ONNX_SKIM_H

#include "common/err.h"

#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* raw_data below this is left in: it is copied to where vectors lie well. */
#define ONNX_SKIM_BYTES ((size_t)64 << 10)

struct onnx_place {
    uint64_t offset, length;
};

/* The caller frees the result. */
uint8_t *onnx_skim(const uint8_t *file, size_t file_size, size_t *size,
                   struct err *err);

/* True where raw_data of `proto` was left in the file. A file may have been
 * made to say so itself: the place need not lie within it. */
bool onnx_skimmed(const Onnx__TensorProto *proto, struct onnx_place *place);

/* One varint of protobuf's; false where it does not end before `end`. */
bool onnx_varint(const uint8_t **p, const uint8_t *end, uint64_t *out);

/* A field, and its length where it is of wire type 2: *p goes to its content,
 * of which there are *length bytes before `end`. False: malformed. */
bool onnx_field(const uint8_t **p, const uint8_t *end, uint64_t *tag,
                size_t *length);

#endif
