/*
 * jpeg_write: pixels become a JPEG file, for training on what JPEG does to a
 * picture. No part of the service writes pictures.
 *
 *     unsigned char *file = NULL;
 *     unsigned long size;
 *     if (jpeg_write(rgb, 32, 32, 50, &file, &size) == 0) ...
 *     free(file);
 */
#ifndef CONVOY_CLASSIFIER_JPEG_WRITE_H
#define CONVOY_CLASSIFIER_JPEG_WRITE_H

#include <stdint.h>

/* `rgb` (height, width, 3); `quality` 1..100 as libjpeg has it, colours at half
 * the size. -1 only where memory ends. *file, NULL before, is to be freed also
 * then. */
int jpeg_write(const uint8_t *rgb, int width, int height, int quality,
               unsigned char **file, unsigned long *size);

#endif
