/* The first line is the Content-Type, the rest the body of an upload. */
#include "fcgi/multipart.h"
#include "tests/fuzz/fuzz.h"

#define PARTS_MAX 64 /* submission.c asks for no more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct multipart_part parts[PARTS_MAX];
    struct err err = {0};
    const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
    size_t first = eol ? (size_t)(eol - data) : size;
    const uint8_t *body = data + first + (eol != NULL);
    size_t left = size - first - (eol != NULL);

    char *type = fuzz_text(data, first);
    if (!multipart_is(type) || multipart_boundary(type, boundary, &err) < 0)
        strcpy(boundary, "XX");
    free(type);
    int count = multipart_parse(body, left, boundary, parts, PARTS_MAX, &err);
    MUST(count <= PARTS_MAX);
    for (int i = 0; i < count; i++) {
        MUST(memchr(parts[i].name, 0, sizeof parts[i].name));
        MUST(parts[i].bytes >= body &&
             parts[i].size <= (size_t)(body + left - parts[i].bytes));
    }
    return 0;
}
