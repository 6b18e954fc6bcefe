/*
 * sniff: what kind of image bytes are, by their first bytes. File names and
 * declared types are never asked.
 *
 *     const char *format = sniff_image(bytes, size);    "jpeg", or NULL
 */
#ifndef CONVOY_SNIFF_H
#define CONVOY_SNIFF_H

#include <stddef.h>

/* "png", "jpeg", "webp", "bmp" or "gif"; NULL: none that is served. */
const char *sniff_image(const void *bytes, size_t size);

#endif
