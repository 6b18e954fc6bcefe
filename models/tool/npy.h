/*
 * npy: tensors in NumPy's own file format, float32.
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html,
 * versions 1.0 to 3.0 read, 1.0 written.)
 *
 *     struct tensor t;
 *     if (npy_read("in.npy", &t, &err) < 0) ...
 *     npy_write("out.npy", &t, &err);
 *     tensor_free(&t);
 */
#ifndef CONVOY_TOOL_NPY_H
#define CONVOY_TOOL_NPY_H

#include "models/nn/tensor.h"

int npy_read(const char *path, struct tensor *t, struct err *err);
int npy_write(const char *path, const struct tensor *t, struct err *err);

#endif
