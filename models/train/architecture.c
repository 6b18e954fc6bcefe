#include "models/train/architecture.h"

#include <math.h>
#include <string.h>

static void add(struct architecture *a, struct layer_spec row) {
    a->table[a->rows++] = row;
}

static void add_norm(struct architecture *a) {
    add(a, (struct layer_spec){
               .kind = &layer_batchnorm, .lr_scale = 64, .momentum = 0.6f});
    add(a, (struct layer_spec){.kind = &layer_gelu});
}

static void add_block(struct architecture *a, int channels, bool pool) {
    struct layer_spec conv = {
        .kind = &layer_conv, .channels = channels, .kernel = 3, .padding = 1};
    add(a, conv);
    if (pool)
        add(a, (struct layer_spec){.kind = &layer_maxpool, .kernel = 2});
    add_norm(a);
    add(a, conv);
    add_norm(a);
}

static void make_airbench(struct architecture *a, double width, int classes) {
    static const int widths[] = {64, 256, 256};
    add(a, (struct layer_spec){.kind = &layer_conv,
                               .channels = 24,
                               .kernel = 2,
                               .bias = true,
                               .whiten = true,
                               .bias_epochs = 3});
    add(a, (struct layer_spec){.kind = &layer_gelu});
    for (int i = 0; i < 3; i++)
        add_block(a, (int)lround(widths[i] * width), i < 2);
    add(a, (struct layer_spec){.kind = &layer_global_average});
    add(a, (struct layer_spec){
               .kind = &layer_linear, .channels = classes, .scale = 1.0f / 3});
}

static const struct {
    const char *name;
    void (*make)(struct architecture *a, double width, int classes);
} architectures[] = {
    {"airbench", make_airbench},
};

int architecture_make(struct architecture *a, const char *name, double width,
                      int classes, struct err *err) {
    *a = (struct architecture){0};
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(architectures[i].name, name) == 0) {
            architectures[i].make(a, width, classes);
            return 0;
        }
    return err_set(err, "no architecture is called \"%s\"", name);
}
