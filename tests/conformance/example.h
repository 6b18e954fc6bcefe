/*
 * example: one test of ONNX's own: a model, inputs, and the outputs that they
 * lead to.
 *
 *     struct example e;
 *     if (example_read(&e, ".../node/test_relu", false, &err) < 0) ...
 *     ... e.model, e.size, e.inputs[0] ...
 *     if (example_compare(&e, 0, &output, &err) < 0) ...
 *     example_free(&e);
 *
 * float16 is held as float32, as the engine does.
 */
#ifndef CONVOY_TESTS_EXAMPLE_H
#define CONVOY_TESTS_EXAMPLE_H

#include "models/nn/tensor.h"

#define EXAMPLE_PORTS 8

struct example {
    void *model; /* an ONNX file */
    size_t size;
    int input_count, output_count;
    char *names[EXAMPLE_PORTS]; /* of the inputs */
    struct tensor inputs[EXAMPLE_PORTS], outputs[EXAMPLE_PORTS];
};

/* folder: has model.onnx and test_data_set_0. constants: every input but the
 * first becomes an initialiser of the model, as exporters write weights and
 * shapes. */
int example_read(struct example *e, const char *folder, bool constants,
                 struct err *err);
void example_free(struct example *e);

/* Type and shape are the same, and |got - want| <= 1e-7 + 1e-3 |want| for every
 * number, as ONNX's own runner has it. */
int example_compare(const struct example *e, int output,
                    const struct tensor *got, struct err *err);

#endif
