#include "models/train/explain.h"

#include <math.h>

bool explain_image(struct network *net, const struct augment *policy,
                   const struct dataset *set, int i, int class,
                   struct explanation *e) {
    const struct layer *last = &net->layers[net->layers_count - 1];
    float map[EXPLAIN_CELLS], least = INFINITY, most = -INFINITY;
    struct shape shape;
    const float *features = network_features(net, &shape);
    int cells = features ? shape.height * shape.width : 0,
        k = last->out.channels;

    if (cells < 1 || cells > EXPLAIN_CELLS || last->kind != &layer_linear ||
        shape_size(last->in) != (size_t)shape.channels)
        return false;
    augment_plain(policy, set, i, 1, network_input(net));
    network_infer(net, 1);
    for (int cell = 0; cell < cells; cell++) {
        const float *x = features + (size_t)cell * (size_t)shape.channels;
        map[cell] = 0;
        for (int c = 0; c < shape.channels; c++)
            map[cell] += last->params[0].value[c * k + class] * x[c];
        least = fminf(least, map[cell]);
        most = fmaxf(most, map[cell]);
    }
    float scale = most > least ? 255 / (most - least) : 0;
    for (int cell = 0; cell < cells; cell++)
        e->cells[cell] = (uint8_t)((map[cell] - least) * scale + 0.5f);
    e->width = shape.width;
    e->height = shape.height;
    return true;
}
