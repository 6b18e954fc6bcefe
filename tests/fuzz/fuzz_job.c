/* A ZeroMQ message as a front or a worker gets it from a stranger: the length
 * of the header frame, the frame, and the body, which READY has as JSON. */
#include "common/job.h"
#include "tests/fuzz/fuzz.h"

/* What was understood is said again in the same bytes. */
static void check_header(const uint8_t *frame, size_t len,
                         const struct job_header *header) {
    uint8_t again[JOB_HEADER_MAX];
    MUST(job_encode(header, again) == len);
    MUST(memcmp(again, frame, len) == 0);
}

static void check_advert(const struct job_advert *advert) {
    MUST(job_name_valid(advert->name) && advert->model_count > 0);
    char *json = job_advert_encode(advert);
    struct job_advert again;
    struct err err = {0};
    /* A label may hold what makes its JSON longer than the first one. */
    MUST(json);
    if (job_advert_decode(json, strlen(json), &again, &err) == 0) {
        MUST(again.model_count == advert->model_count);
        job_advert_free(&again);
    }
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct job_header header;
    struct job_advert advert;
    struct err err = {0};
    if (size == 0)
        return 0;
    size_t len = *data < size - 1 ? *data : size - 1;
    const uint8_t *frame = data + 1, *body = frame + len;
    if (job_decode(frame, len, &header, &err) == 0)
        check_header(frame, len, &header);
    size_t left = size - 1 - len;
    if (job_advert_decode((const char *)body, left, &advert, &err) == 0) {
        check_advert(&advert);
        job_advert_free(&advert);
    }
    return 0;
}
