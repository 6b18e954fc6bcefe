#include "common/sniff.h"

#include <string.h>

struct magic {
    const char *format;
    size_t size;
    const char *bytes;
    const char *mask; /* '.' where any byte may stand */
};

static const struct magic magics[] = {
    {"png", 8, "\x89PNG\r\n\x1a\n", "########"},
    {"jpeg", 3, "\xff\xd8\xff", "###"},
    {"gif", 6, "GIF87a", "######"},
    {"gif", 6, "GIF89a", "######"},
    {"webp", 12, "RIFF\0\0\0\0WEBP", "####....####"},
    /* Two letters are little: the four reserved bytes of a BMP are zero. */
    {"bmp", 10, "BM\0\0\0\0\0\0\0\0", "##....####"},
};

static int matches(const struct magic *magic, const char *bytes) {
    for (size_t i = 0; i < magic->size; i++)
        if (magic->mask[i] == '#' && bytes[i] != magic->bytes[i])
            return 0;
    return 1;
}

const char *sniff_image(const void *bytes, size_t size) {
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (size >= magics[i].size && matches(&magics[i], bytes))
            return magics[i].format;
    return NULL;
}
