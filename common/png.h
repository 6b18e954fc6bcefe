/*
 * png: pixels as a PNG file (ISO/IEC 15948), 8 bits a channel.
 *
 *     size_t size;
 *     uint8_t *png = png_encode(pixels, 32, 32, 3, &size);    free()
 *
 * For pictures that the project draws itself; reading them is the codecs' work.
 */
#ifndef CONVOY_PNG_H
#define CONVOY_PNG_H

#include <stddef.h>
#include <stdint.h>

/* pixels (height, width, channels) with 3 channels, RGB, or 4, RGBA. NULL
 * where there is no memory. */
uint8_t *png_encode(const uint8_t *pixels, int width, int height, int channels,
                    size_t *size);

#endif
