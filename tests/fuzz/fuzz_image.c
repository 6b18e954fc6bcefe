/* A picture file, decoded whole and as a small network asks for it, and made
 * into its tensor, within the memory that a hand's arena gives. */
#include "models/classifier/image.h"
#include "models/classifier/preprocess.h"
#include "tests/fuzz/fuzz.h"

#define SIDE 32

static void decode(const uint8_t *data, size_t size, int least) {
    static float tensor[3 * SIDE * SIDE];
    struct image image = {0};
    struct preprocess p;
    struct preprocess_work work = {0};
    struct err err = {0};
    if (image_decode(&image, data, size, least, &err) == 0) {
        size_t bytes = 3 * (size_t)image.width * (size_t)image.height;
        volatile uint8_t last; /* every pixel is there to be read */
        for (size_t i = 0; i < bytes; i++)
            last = image.rgb[i];
        (void)last;
        MUST(image.width > 0 && image.height > 0);
        preprocess_imagenet(&p, SIDE, SIDE);
        preprocess_apply(&p, &work, &image, tensor, &err);
    } else {
        MUST(err.problem && *err.text);
    }
    preprocess_work_free(&work);
    image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size, 0);
    decode(data, size, SIDE);
    return 0;
}
