#include "tests/conformance/network.h"

#include <string.h>

static int example_input(const struct example *e, const char *name) {
    for (int i = 0; i < e->input_count; i++)
        if (strcmp(e->names[i], name) == 0)
            return i;
    return -1;
}

static int fill(struct nn_session *session, const struct nn_model *model,
                const struct example *e, struct err *err) {
    for (int i = 0; i < nn_input_count(model); i++) {
        const int k = example_input(e, nn_input(model, i)->name);
        if (k < 0)
            return err_set(err, "the model asks for the input %s",
                           nn_input(model, i)->name);
        memcpy(nn_session_input(session, i), e->inputs[k].data,
               tensor_bytes(&e->inputs[k]));
    }
    return 0;
}

static int compare(struct nn_session *session, const struct example *e,
                   struct err *err) {
    for (int i = 0; i < e->output_count; i++) {
        const struct nn_port *port = nn_session_output_port(session, i);
        struct tensor got = {.type = port->type,
                             .rank = port->rank,
                             .data = (void *)nn_session_output(session, i)};
        memcpy(got.dims, port->dims, sizeof got.dims);
        if (example_compare(e, i, &got, err) < 0)
            return -1;
    }
    return 0;
}

/* Twice: a second run must not meet what the first one left. */
static int run(struct nn_session *session, const struct nn_model *model,
               const struct example *e, int batch, struct err *err) {
    for (int i = 0; i < 2; i++)
        if (fill(session, model, e, err) < 0 ||
            nn_session_run(session, batch, err) < 0 ||
            compare(session, e, err) < 0)
            return -1;
    return 0;
}

/* The tests fix every shape; the batch is the first dimension where all inputs
 * have the same. */
static int batch_of(const struct nn_model *model) {
    const struct nn_port *first = nn_input(model, 0);
    for (int i = 0; i < nn_input_count(model); i++)
        if (nn_input(model, i)->rank == 0)
            return 1;
    return (int)first->dims[0];
}

int network_run(const struct example *e, struct err *err) {
    struct nn_model *model = nn_load_memory(e->model, e->size, err);
    struct nn_session *session =
        model ? nn_session_open(model, NULL, err) : NULL;
    const int rc = session ? run(session, model, e, batch_of(model), err) : -1;
    nn_session_close(session);
    nn_free(model);
    return rc;
}
