/*
 * onnx_unpack: the bytes of an ONNX file as protobuf-c's structs, within bounds
 * of depth and memory.
 *
 *     Onnx__ModelProto *proto = onnx_unpack(&file, &err);
 *     ... proto->graph is there; the numbers of large initialisers are not, but
 *         onnx_skimmed() of onnx_skim.h says where they lie in the file
 *     onnx__model_proto__free_unpacked(proto, NULL);
 */
#ifndef CONVOY_NN_ONNX_UNPACK_H
#define CONVOY_NN_ONNX_UNPACK_H

#include "common/err.h"

#include "onnx.pb-c.h"

#include <stddef.h>
#include <stdint.h>

struct onnx_file {
    const uint8_t *bytes;
    size_t size;
};

/* NULL: an error was set. */
Onnx__ModelProto *onnx_unpack(const struct onnx_file *file, struct err *err);

#endif
