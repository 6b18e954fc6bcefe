/* An ONNX file: loaded, and where it loads planned for one image; where that
 * takes little time, run on zeros. */
#include "models/nn/nn.h"
#include "tests/fuzz/fuzz.h"

#define FLOPS_MAX 1e7 /* a moment, even under the sanitizers */
#define SIDE 8        /* of images whose size the file leaves open */

static void fill_shapes(const struct nn_model *model, struct nn_port *shapes) {
    for (int i = 0; i < nn_input_count(model); i++) {
        shapes[i] = *nn_input(model, i);
        for (int k = 0; k < shapes[i].rank; k++)
            if (shapes[i].dims[k] < 0)
                shapes[i].dims[k] = k == 0 ? 1 : SIDE;
    }
}

static void run(const struct nn_model *model) {
    struct err err = {0};
    struct nn_port *shapes =
        calloc((size_t)nn_input_count(model) + 1, sizeof *shapes);
    MUST(shapes);
    fill_shapes(model, shapes);
    struct nn_options options = {.shapes = shapes};
    struct nn_session *session = nn_session_open(model, &options, &err);
    if (session) {
        int64_t batch = shapes[0].rank > 0 ? shapes[0].dims[0] : 1;
        struct nn_step_report report;
        double flops = 0;
        for (int i = 0; i < nn_session_step_count(session); i++) {
            nn_session_step(session, i, &report);
            flops += report.flops;
        }
        if (flops >= 0 && flops <= FLOPS_MAX)
            nn_session_run(session, (int)batch, &err);
        nn_session_close(session);
    }
    free(shapes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err = {0};
    struct nn_model *model = nn_load_memory(data, size, &err);
    MUST(model || *err.text);
    if (model)
        run(model);
    nn_free(model);
    return 0;
}
