#include "models/classifier/exif.h"

#include <stdbool.h>
#include <string.h>

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 |
           p[0];
}

static uint16_t be16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint16_t le16(const uint8_t *p) {
    return (uint16_t)(p[1] << 8 | p[0]);
}

int exif_orientation(const uint8_t *tiff, size_t size) {
    if (!tiff)
        return 1;
    if (size >= 6 && memcmp(tiff, "Exif\0\0", 6) == 0) {
        tiff += 6;
        size -= 6;
    }
    if (size < 8)
        return 1;
    bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0)
        return 1;
    uint16_t (*u16)(const uint8_t *) = big ? be16 : le16;
    uint32_t (*u32)(const uint8_t *) = big ? be32 : le32;

    /* The first directory: a count, then entries of 12 bytes. */
    size_t at = u32(tiff + 4);
    if (at > size || size - at < 2)
        return 1;
    unsigned entries = u16(tiff + at);
    at += 2;
    for (unsigned i = 0; i < entries && size - at >= 12; i++, at += 12) {
        if (u16(tiff + at) != TAG_ORIENTATION)
            continue;
        unsigned value = u16(tiff + at + 8);
        bool sound = u16(tiff + at + 2) == TYPE_SHORT &&
                     u32(tiff + at + 4) == 1 && value >= 1 && value <= 8;
        return sound ? (int)value : 1;
    }
    return 1;
}

const uint8_t *exif_find_jpeg(const uint8_t *file, size_t size, size_t *found) {
    size_t at = 2; /* behind SOI */
    while (at + 4 <= size && file[at] == 0xff) {
        uint8_t marker = file[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) /* SOS, EOI: too late */
            break;
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
            at += 2; /* these have no length */
            continue;
        }
        size_t length = be16(file + at + 2); /* counts itself */
        if (length < 2 || length > size - at - 2)
            break;
        const uint8_t *body = file + at + 4;
        if (marker == 0xe1 && length >= 8 && memcmp(body, "Exif\0\0", 6) == 0) {
            *found = length - 2 - 6;
            return body + 6;
        }
        at += 2 + length;
    }
    return NULL;
}

const uint8_t *exif_find_png(const uint8_t *file, size_t size, size_t *found) {
    size_t at = 8; /* behind the signature */
    while (at <= size && size - at >= 12) {
        size_t length = be32(file + at);
        if (length > size - at - 12)
            break;
        if (memcmp(file + at + 4, "eXIf", 4) == 0) {
            *found = length;
            return file + at + 8;
        }
        at += 12 + length;
    }
    return NULL;
}
