#include "common/id.h"

#include <stdbool.h>
#include <string.h>

/* Locale-free on purpose: ids come from strangers. */
static bool is_hex(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') ||
              (text[i] >= 'a' && text[i] <= 'f')))
            return false; /* also stops at an early NUL */
    return true;
}

int id_parse(const char *text, struct id *id) {
    id->text[0] = 0;
    if (!is_hex(text, ID_IMAGE_LEN) || text[ID_IMAGE_LEN] != '-' ||
        !is_hex(text + ID_IMAGE_LEN + 1, ID_VERSION_LEN) || text[ID_LEN])
        return -1;
    memcpy(id->text, text, ID_LEN + 1);
    return 0;
}

int id_make(const char *image_sha256, const char *version, struct id *id) {
    id->text[0] = 0;
    if (!is_hex(image_sha256, ID_IMAGE_LEN) || image_sha256[ID_IMAGE_LEN] ||
        !is_hex(version, ID_VERSION_LEN) || version[ID_VERSION_LEN])
        return -1;
    memcpy(id->text, image_sha256, ID_IMAGE_LEN);
    id->text[ID_IMAGE_LEN] = '-';
    memcpy(id->text + ID_IMAGE_LEN + 1, version, ID_VERSION_LEN + 1);
    return 0;
}

const char *id_image(const struct id *id) {
    return id->text;
}

const char *id_version(const struct id *id) {
    return id->text + ID_IMAGE_LEN + 1;
}
