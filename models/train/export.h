/*
 * export: a trained network as an ONNX file, ready to be served.
 *
 *     size_t size;
 *     void *onnx = export_onnx(net, "airbench", &size, &err);
 *     ...
 *     free(onnx);
 *
 * Input "pixel_values" (batch, channels, height, width), output "logits"
 * (batch, classes). Only standard operators, opset 17:
 *
 *   batch normalisation  is folded into the convolution before it, also across
 *                        a maximum between them: here it has no scale, so it
 *                        multiplies by something positive, and the maximum of
 *                        that is that of the maximum. Elsewhere it stays a
 * node. GELU                 x / sqrt(2), Erf, + 1, * x, * 0.5, as PyTorch
 * writes it linear               Flatten, Gemm; its fixed scale goes into the
 * weights
 *
 * A network has to end in a linear layer. The numbers agree with
 * network_infer() within about 1e-5 of the largest logit.
 */
#ifndef CONVOY_TRAIN_EXPORT_H
#define CONVOY_TRAIN_EXPORT_H

#include "models/train/network.h"

#define EXPORT_INPUT "pixel_values"
#define EXPORT_OUTPUT "logits"

/* NULL with an error; the caller frees. `graph` is the graph's name. Logits are
 * divided by the temperature (calibration.h) in the last layer. */
void *export_onnx(const struct network *net, const char *graph,
                  double temperature, size_t *size, struct err *err);

#endif
