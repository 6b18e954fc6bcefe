#include "models/train/architecture.h"

#include <math.h>
#include <string.h>

static void add(struct architecture *a, struct layer_spec row) {
    a->table[a->rows++] = row;
}

static void add_norm(struct architecture *a) {
    add(a, (struct layer_spec){
               .kind = &layer_batchnorm, .lr_scale = 64, .momentum = 0.6f});
}

static struct layer_spec conv3(int channels) {
    return (struct layer_spec){
        .kind = &layer_conv, .channels = channels, .kernel = 3, .padding = 1};
}

/* A convolution with what follows it, halving the image where `pool` says so.
 */
static void add_conv(struct architecture *a, int channels, bool pool) {
    add(a, conv3(channels));
    if (pool)
        add(a, (struct layer_spec){.kind = &layer_maxpool, .kernel = 2});
    add_norm(a);
    add(a, (struct layer_spec){.kind = &layer_gelu});
}

static void add_block(struct architecture *a, int channels, bool pool) {
    add_conv(a, channels, pool);
    add_conv(a, channels, false);
}

static void add_residual_block(struct architecture *a, int channels,
                               bool pool) {
    add_conv(a, channels, pool);
    int first = a->rows - 1;
    add_conv(a, channels, false);
    add(a, conv3(channels));
    add_norm(a);
    add(a, (struct layer_spec){.kind = &layer_residual,
                               .shortcut = a->rows - first});
    add(a, (struct layer_spec){.kind = &layer_gelu});
}

typedef void add_block_fn(struct architecture *a, int channels, bool pool);

static void make(struct architecture *a, const int widths[3], double width,
                 add_block_fn *block, int classes) {
    add(a, (struct layer_spec){.kind = &layer_conv,
                               .channels = 24,
                               .kernel = 2,
                               .bias = true,
                               .whiten = true,
                               .bias_epochs = 3});
    add(a, (struct layer_spec){.kind = &layer_gelu});
    for (int i = 0; i < 3; i++)
        block(a, (int)lround(widths[i] * width), i < 2);
    add(a, (struct layer_spec){.kind = &layer_global_average});
    add(a, (struct layer_spec){
               .kind = &layer_linear, .channels = classes, .scale = 1.0f / 3});
}

static const struct row {
    const char *name;
    int widths[3]; /* channels of the blocks */
    add_block_fn *block;
    struct architecture_about about;
} architectures[] = {
    {"airbench",
     {64, 256, 256},
     add_block,
     {"Airbench", "airbench94",
      "three blocks of convolution, maximum (not in the last), batch norm, "
      "GELU,\n  convolution, batch norm, GELU"}},
    {"airbench-residual",
     {96, 272, 272},
     add_residual_block,
     {"AirbenchResidual", "airbench96",
      "three blocks of convolution, maximum (not in the last), batch norm, "
      "GELU, and two\n  more convolutions, batch norm behind each and GELU "
      "between, with a shortcut around\n  both, then GELU"}},
};

static const struct row *find(const char *name) {
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (strcmp(architectures[i].name, name) == 0)
            return &architectures[i];
    return NULL;
}

int architecture_make(struct architecture *a, const char *name, double width,
                      int classes, struct err *err) {
    const struct row *row = find(name);
    *a = (struct architecture){0};
    if (!row)
        return err_set(err,
                       "no architecture is called \"%s\": airbench and "
                       "airbench-residual are there",
                       name);
    make(a, row->widths, width, row->block, classes);
    return 0;
}

const struct architecture_about *architecture_about(const char *name) {
    const struct row *row = find(name);
    return row ? &row->about : NULL;
}
