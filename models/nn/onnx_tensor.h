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

/* Allocates; tensor_free() is the caller's. */
int onnx_tensor(const Onnx__TensorProto *proto, struct tensor *t,
                struct err *err);

/* The same, but large raw data change hands instead of being copied: a network
 * is mostly that. They are aligned as malloc() does it. */
int onnx_tensor_take(Onnx__TensorProto *proto, struct tensor *t,
                     struct err *err);

#endif
