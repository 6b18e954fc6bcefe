/*
 * exif: which way up a camera held the picture.
 *
 *     size_t size;
 *     const uint8_t *tiff = exif_find_jpeg(file, file_size, &size);
 *     int orientation = exif_orientation(tiff, size);     1..8
 *
 * Orientation as in Exif 2.32, tag 0x0112: 1 upright, 2 mirrored, 3 upside
 * down, 4 flipped, 5 transposed, 6 to be turned right by 90 degrees,
 * 7 transversed, 8 to be turned left. Anything missing or malformed is 1, as
 * viewers do: a broken note about a picture is no reason to refuse it.
 * All functions read only [bytes, bytes + size).
 */
#ifndef CONVOY_EXIF_H
#define CONVOY_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* `tiff`: the block that begins with "II*" or "MM*"; a leading "Exif\0\0" is
 * skipped. NULL is 1. */
int exif_orientation(const uint8_t *tiff, size_t size);

/* The block inside a JPEG (first APP1 named Exif before the picture data) or a
 * PNG (eXIf chunk before or after it). NULL where there is none. */
const uint8_t *exif_find_jpeg(const uint8_t *file, size_t size, size_t *found);
const uint8_t *exif_find_png(const uint8_t *file, size_t size, size_t *found);

#endif
