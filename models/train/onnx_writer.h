/*
 * onnx_writer: an ONNX file, put together node by node.
 *
 *     struct onnx_writer *w = onnx_writer_open("airbench", &err);
 *     onnx_writer_input(w, "pixel_values", 4, (int64_t[]){-1, 3, 32, 32});
 *     float *k = onnx_writer_weights(w, "fc.weight", 2, (int64_t[]){10, 256});
 *     if (k) ...                                          fill 10 * 256 floats
 *     onnx_writer_node(w, "Gemm", "fc",
 *                      (const char *[]){"x", "fc.weight", NULL}, "logits");
 *     onnx_writer_int(w, "transB", 1);                    of the node just made
 *     onnx_writer_output(w, "logits", 2, (int64_t[]){-1, 10});
 *     void *bytes = onnx_writer_pack(w, &size, &err);     caller frees
 *     onnx_writer_close(w);
 *
 * What goes wrong on the way (no memory, too many nodes, a name too long) is
 * kept, and told by onnx_writer_pack(). Names are copied; operators' and
 * attributes' names must have static lifetime. A dimension of -1 is the batch.
 */
#ifndef CONVOY_TRAIN_ONNX_WRITER_H
#define CONVOY_TRAIN_ONNX_WRITER_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define ONNX_WRITER_OPSET 17
#define ONNX_WRITER_IR                                                         \
    8 /* the version of the format that came with opset 17                     \
       */

struct onnx_writer *onnx_writer_open(const char *graph, struct err *err);
void onnx_writer_close(struct onnx_writer *w);

void onnx_writer_input(struct onnx_writer *w, const char *name, int rank,
                       const int64_t *dims);
void onnx_writer_output(struct onnx_writer *w, const char *name, int rank,
                        const int64_t *dims);

/* Zeros to be filled before packing; NULL where there is no memory. Rank 0 is
 * one number. */
float *onnx_writer_weights(struct onnx_writer *w, const char *name, int rank,
                           const int64_t *dims);

/* `inputs` ends with NULL. */
void onnx_writer_node(struct onnx_writer *w, const char *op, const char *name,
                      const char *const *inputs, const char *output);
void onnx_writer_int(struct onnx_writer *w, const char *attribute,
                     int64_t value);
void onnx_writer_float(struct onnx_writer *w, const char *attribute,
                       float value);
void onnx_writer_ints(struct onnx_writer *w, const char *attribute, int count,
                      const int64_t *values);

void *onnx_writer_pack(struct onnx_writer *w, size_t *size, struct err *err);

#endif
