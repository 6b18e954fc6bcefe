/*
 * onnx_tensor: a TensorProto, in whichever of its encodings, as a tensor.
 */
#ifndef CONVOY_NN_ONNX_TENSOR_H
#define CONVOY_NN_ONNX_TENSOR_H

#include "models/nn/tensor.h"

#include "onnx.pb-c.h"

/* The type that the engine holds numbers of `data_type` in; 0 where it does
 * not hold them. */
enum nn_type onnx_type(int32_t data_type);

/* Its numbers are in another file. */
bool onnx_is_external(const Onnx__TensorProto *proto);

/* Bytes of raw data that its shape asks for, at most `most`. */
size_t onnx_raw_size(const Onnx__TensorProto *proto, size_t most);

/* Allocates; tensor_free() is the caller's. */
int onnx_tensor(const Onnx__TensorProto *proto, struct tensor *t,
                struct err *err);

/* The same with raw data that lie elsewhere, in a file: of those that are
 * numbers of the tensor as they are, it has the address (in_file). */
int onnx_tensor_at(Onnx__TensorProto *proto, const uint8_t *raw, size_t length,
                   struct tensor *t, struct err *err);

#endif
