/*
 * session_check: a network made in memory through the whole engine, against
 * network_reference().
 *
 *     check_network(&net, 3, 4, (int64_t[]){-1, 3, 8, 8},
 *                   "to NHWC, Conv+Relu, to NCHW");
 *
 * runs batches 1..3 and the largest again, compares every number of every
 * output, and the steps' labels where they are given. Frees what net holds.
 */
#ifndef CONVOY_TESTS_SESSION_CHECK_H
#define CONVOY_TESTS_SESSION_CHECK_H

#include "tests/unit/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Sums of some hundred float32 products, by Winograd in the worst case. */
#define CHECK_TOLERANCE 1e-4

static inline void check_numbers(const struct nn_port *port, const void *got,
                                 const struct tensor *want, double tolerance) {
    size_t count = tensor_count(want);
    double largest = 1.0;
    assert_int_equal(port->rank, want->rank);
    assert_int_equal(port->type, want->type);
    for (int i = 0; i < want->rank; i++)
        assert_int_equal(port->dims[i], want->dims[i]);
    if (want->type != NN_FLOAT32) {
        assert_memory_equal(got, want->data, tensor_bytes(want));
        return;
    }
    const float *a = got, *b = want->data;
    for (size_t i = 0; i < count; i++)
        if (fabs((double)b[i]) > largest)
            largest = fabs((double)b[i]);
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance * largest))
            fail_msg("number %zu is %g, not %g", i, (double)a[i], (double)b[i]);
}

static inline void check_batch(struct nn_session *s, const struct wire *file,
                               int outputs, int rank, const int64_t *dims,
                               int batch, double tolerance) {
    struct err err = {0};
    int64_t concrete[NN_MAX_RANK];
    memcpy(concrete, dims, (size_t)rank * sizeof *dims);
    if (concrete[0] < 0)
        concrete[0] = batch;
    size_t count = dims_count(concrete, rank);
    float *x = malloc((count + 1) * sizeof *x);
    uint32_t seed = 42u + (uint32_t)batch;
    for (size_t i = 0; i < count; i++)
        x[i] = 3.0f * network_noise(&seed);
    memcpy(nn_session_input(s, 0), x, count * sizeof *x);
    if (nn_session_run(s, batch, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < outputs; i++) {
        struct tensor want = {0};
        if (network_reference(file, rank, concrete, x, i, &want, &err) < 0)
            fail_msg("the reference: %s", err.text);
        check_numbers(nn_session_output_port(s, i), nn_session_output(s, i),
                      &want, tolerance);
        tensor_free(&want);
    }
    free(x);
}

static inline void check_labels(const struct nn_session *s, const char *want) {
    char labels[4096] = "";
    for (int i = 0; i < nn_session_step_count(s); i++) {
        struct nn_step_report report;
        nn_session_step(s, i, &report);
        size_t len = strlen(labels);
        snprintf(labels + len, sizeof labels - len, "%s%s", i ? ", " : "",
                 report.op);
    }
    assert_string_equal(labels, want);
}

static inline void check_file(const struct wire *file, int batch_max, int rank,
                              const int64_t *dims, const char *labels,
                              double tolerance) {
    struct err err = {0};
    struct nn_model *model = nn_load_memory(file->data, file->size, &err);
    if (!model)
        fail_msg("%s", err.text);
    struct nn_session *s = nn_session_open(
        model, &(struct nn_options){.batch_max = batch_max}, &err);
    if (!s)
        fail_msg("%s", err.text);
    if (labels)
        check_labels(s, labels);
    for (int batch = 1; batch <= batch_max; batch++)
        check_batch(s, file, nn_output_count(model), rank, dims, batch,
                    tolerance);
    check_batch(s, file, nn_output_count(model), rank, dims, batch_max,
                tolerance);
    nn_session_close(s);
    nn_free(model);
}

static inline void check_network(struct network *net, int batch_max, int rank,
                                 const int64_t *dims, const char *labels) {
    struct wire file = network_file(net);
    check_file(&file, batch_max, rank, dims, labels, CHECK_TOLERANCE);
    wire_free(&file);
}

#endif
