/* The bytes as an EXIF block, and as a JPEG and a PNG that may hold one. */
#include "models/classifier/exif.h"
#include "tests/fuzz/fuzz.h"

typedef const uint8_t *finder(const uint8_t *, size_t, size_t *);

static void find(finder *find_in, const uint8_t *data, size_t size) {
    size_t found = 0;
    const uint8_t *block = find_in(data, size, &found);
    if (block) {
        MUST(block >= data && found <= (size_t)(data + size - block));
        int orientation = exif_orientation(block, found);
        MUST(orientation >= 1 && orientation <= 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int orientation = exif_orientation(data, size);
    MUST(orientation >= 1 && orientation <= 8);
    find(exif_find_jpeg, data, size);
    find(exif_find_png, data, size);
    return 0;
}
