/*
 * quarter_model: a model folder without activation maps, made on the spot. Of
 * its two classes the first counts the light in the lower right quarter of the
 * picture, the second says nothing.
 *
 *     quarter_model_write(folder);      an empty folder
 *     quarter_bmp(bmp);                 a picture of which only that is lit
 *     quarter_model_remove(folder);     and the folder
 */
#ifndef CONVOY_TESTS_QUARTER_MODEL_H
#define CONVOY_TESTS_QUARTER_MODEL_H

#include "tests/unit/network.h"

#include <stdio.h>
#include <unistd.h>

enum { QUARTER_SIDE = 16, QUARTER_PIXELS = QUARTER_SIDE * QUARTER_SIDE };
enum { QUARTER_BMP_SIZE = 54 + 3 * QUARTER_PIXELS };

static inline struct wire quarter_network(void) {
    static float weights[2 * 3 * QUARTER_PIXELS];
    struct network net = {.opset = 13};
    for (int i = 0; i < 3 * QUARTER_PIXELS; i++) {
        int y = i % QUARTER_PIXELS / QUARTER_SIDE, x = i % QUARTER_SIDE;
        weights[2 * i] = y >= 8 && x >= 8 ? 0.05f : 0;
    }
    network_input(&net, "x", 4, (int64_t[]){-1, 3, QUARTER_SIDE, QUARTER_SIDE});
    network_floats(&net, "w", 2, (int64_t[]){3 * QUARTER_PIXELS, 2}, weights);
    network_node(&net, "Flatten", "x", "flat");
    network_node(&net, "MatMul", "flat,w", "y");
    network_port(&net, 12, "y", 1, 2, (int64_t[]){-1, 2});
    return network_file(&net);
}

static inline void quarter_write(const char *folder, const char *name,
                                 const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
        abort();
}

static inline void quarter_model_write(const char *folder) {
    static const char preprocessing[] =
        "{\"image_processor_type\": \"ViTImageProcessor\", "
        "\"do_resize\": true, \"size\": {\"height\": 16, \"width\": 16}, "
        "\"do_normalize\": false}";
    struct wire file = quarter_network();
    quarter_write(folder, "model.onnx", file.data, file.size);
    quarter_write(folder, "preprocessor_config.json", preprocessing,
                  strlen(preprocessing));
    wire_free(&file);
}

static inline void quarter_model_remove(const char *folder) {
    static const char *const names[] = {"model.onnx",
                                        "preprocessor_config.json"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* 24 bits a pixel, lines from below: black, but for the lower right quarter. */
static inline void quarter_bmp(unsigned char bmp[QUARTER_BMP_SIZE]) {
    const uint32_t head[] = {
        54, 40, QUARTER_SIDE, QUARTER_SIDE, 1 | 24u << 16, 0, 0, 0, 0, 0, 0};
    memset(bmp, 0, QUARTER_BMP_SIZE);
    memcpy(bmp, "BM", 2);
    memcpy(bmp + 2, &(uint32_t){QUARTER_BMP_SIZE}, 4);
    memcpy(bmp + 10, head, sizeof head);
    for (int y = 0; y < 8; y++)
        memset(bmp + 54 + (y * QUARTER_SIDE + 8) * 3, 255, (size_t)8 * 3);
}

#endif
