/* A stored prediction as Redis gives it back. */
#include "common/prediction.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct prediction p, again;
    struct err err = {0};
    if (prediction_decode((const char *)data, size, &p, &err) < 0)
        return 0;
    char *json = prediction_encode(&p);
    MUST(json);
    MUST(prediction_decode(json, strlen(json), &again, &err) == 0);
    MUST(strcmp(again.id.text, p.id.text) == 0);
    MUST(again.top_count == p.top_count && again.map_count == p.map_count);
    prediction_free(&again);
    prediction_free(&p);
    free(json);
    return 0;
}
