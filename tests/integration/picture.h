/*
 * picture: images for the tests, made on the spot.
 *
 *     struct picture picture;
 *     picture_random(&picture, PICTURE_PNG);     no one has seen it before
 *     predict(picture.bytes, picture.size, &reply);
 *     picture_free(&picture);
 *
 * picture_cifar() takes one of the labelled photographs in
 * $CONVOY_DATA/cifar10 that training leaves out.
 */
#ifndef CONVOY_TEST_PICTURE_H
#define CONVOY_TEST_PICTURE_H

#include <stddef.h>
#include <stdint.h>

enum picture_format { PICTURE_PNG, PICTURE_JPEG, PICTURE_BMP };

struct picture {
    uint8_t *bytes; /* owned */
    size_t size;
    char sha256[65];
};

/* rgb: (height, width, 3) */
void picture_encode(const uint8_t *rgb, int width, int height,
                    enum picture_format format, struct picture *picture);

/* 32 x 32 pixels that are another's with every call and every run. */
void picture_random_pixels(uint8_t rgb[32 * 32 * 3]);
void picture_random(struct picture *picture, enum picture_format format);

/* The held-out photograph number `index` (0..4999): its pixels and the name of
 * its class; NULL where CONVOY_DATA is not set. */
const char *picture_cifar(int index, uint8_t rgb[32 * 32 * 3]);

void picture_free(struct picture *picture);

#endif
