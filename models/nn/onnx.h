/*
 * onnx: an ONNX file (IR of onnx.proto, opset 9..24) as a graph.
 *
 *     struct graph *graph = onnx_parse(bytes, size, &err);
 *
 * The file is not trusted: names, counts, sizes, types and order are checked,
 * and what the engine lacks is refused by name of operator, node and opset.
 * Nothing of the buffer is referred to afterwards. float16 and bfloat16 are
 * read as float32, which is what the engine computes in; so are inputs and
 * Casts that ask for float16; and float64, where images are.
 */
#ifndef CONVOY_NN_ONNX_H
#define CONVOY_NN_ONNX_H

#include "models/nn/graph.h"

/* What exporters of image classifiers have written since ONNX 1.4 is 9 to 24.
 * Operators that mean the same in earlier opsets (and ONNX's own tests of them)
 * are accepted there; op_find() refuses the others. */
#define ONNX_OPSET_MIN 1
#define ONNX_OPSET_MAX 24
#define ONNX_BYTES_MAX ((size_t)2 << 30) /* protobuf's own bound */

/* The same of a file that is mapped, which is the graph's from now on and
 * unmapped with it (at once where it is refused): the weights of Conv, Gemm and
 * MatMul stay there (in_file). */
struct graph *onnx_parse_mapping(void *bytes, size_t size, const char *folder,
                                 struct err *err);

/* External data are read from files in `folder` and below, and stay there as
 * the weights of a mapped file do; without a folder they are refused. */
struct graph *onnx_parse_beside(const void *bytes, size_t size,
                                const char *folder, struct err *err);
struct graph *onnx_parse(const void *bytes, size_t size, struct err *err);

#endif
