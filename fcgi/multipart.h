/*
 * multipart: the parts of a multipart/form-data body (RFC 7578, RFC 2046).
 *
 *     char boundary[MULTIPART_BOUNDARY_MAX + 1];
 *     struct multipart_part parts[64];
 *     if (!multipart_is(content_type)) ... something else
 *     if (multipart_boundary(content_type, boundary, &err) < 0) ... 400
 *     int count = multipart_parse(body, size, boundary, parts, 64, &err);
 *
 * Nothing is copied: parts point into the body. Errors have the problem
 * "malformed-multipart". Linear in the size of the body.
 */
#ifndef CONVOY_MULTIPART_H
#define CONVOY_MULTIPART_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */
#define MULTIPART_NAME_MAX 63
#define MULTIPART_HEADER_MAX 8192 /* bytes of the headers of one part */

struct multipart_part {
    char name[MULTIPART_NAME_MAX + 1]; /* of the form's field */
    const uint8_t *bytes;              /* borrowed */
    size_t size;
};

bool multipart_is(const char *content_type);
int multipart_boundary(const char *content_type,
                       char boundary[MULTIPART_BOUNDARY_MAX + 1],
                       struct err *err);

/* How many parts; -1 where it is malformed or has more than `max`. */
int multipart_parse(const uint8_t *body, size_t size, const char *boundary,
                    struct multipart_part *parts, int max, struct err *err);

#endif
