/* What lies beside a network: preprocessor_config.json, config.json and
 * labels.txt; what makes sense of the first is applied to a picture. */
#include "models/classifier/confidence.h"
#include "models/classifier/labels.h"
#include "models/classifier/preprocess.h"
#include "tests/fuzz/fuzz.h"

enum { CLASSES = 3, SIDE = 16 };
#define TENSOR_MAX (1 << 20) /* numbers; larger ones are left alone */

static void apply(const struct preprocess *p) {
    static const uint8_t rgb[3 * SIDE * SIDE];
    struct image image = {.rgb = rgb,
                          .width = SIDE,
                          .height = SIDE,
                          .box = {0, 0, SIDE, SIDE},
                          .shown_width = SIDE,
                          .shown_height = SIDE};
    struct preprocess_work work = {0};
    struct err err = {0};
    MUST(p->width > 0 && p->height > 0);
    size_t count = 3 * (size_t)p->width * (size_t)p->height;
    if (count > TENSOR_MAX)
        return;
    float *tensor = malloc(count * sizeof *tensor);
    MUST(tensor);
    preprocess_apply(p, &work, &image, tensor, &err);
    preprocess_work_free(&work);
    free(tensor);
}

static void use(const struct preprocess *p) {
    float region[4];
    MUST(preprocess_least(p) >= 0);
    preprocess_region(p, SIDE, SIDE, region);
    free(preprocess_describe(p));
    apply(p);
}

static void read_preprocess(const char *text, size_t size, int side) {
    struct preprocess p;
    struct err err = {0};
    bool found = false;
    if (preprocess_read(&p, text, size, "preprocessor_config.json", side, side,
                        &err) == 0) {
        use(&p);
        if (preprocess_see_grey(&p, &err) == 0)
            use(&p);
    }
    if (preprocess_read_timm(&p, text, size, "config.json", side, side, &found,
                             &err) == 0 &&
        found)
        use(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct labels labels = {0};
    struct err err = {0};
    bool found = false;
    float threshold = 0;
    char *text = fuzz_text(data, size);
    read_preprocess(text, size, 32);
    read_preprocess(text, size, 0);
    if (confidence_read(text, size, "config.json", &threshold, &err) == 0)
        MUST(threshold >= 0 && threshold <= 1);
    if (labels_read_config(&labels, text, size, "config.json", CLASSES, &found,
                           &err) == 0 &&
        found) {
        MUST(labels.count == CLASSES && labels.text[CLASSES - 1]);
        labels_free(&labels);
    }
    if (labels_read_text(&labels, text, size, "labels.txt", CLASSES, &err) ==
        0) {
        MUST(labels.count == CLASSES && labels.text[CLASSES - 1]);
        labels_free(&labels);
    }
    free(text);
    return 0;
}
