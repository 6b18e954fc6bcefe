#include "models/classifier/jpeg_write.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

struct encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf leave;
};

static void on_error(j_common_ptr common) {
    longjmp(((struct encoder *)common->client_data)->leave, 1);
}

int jpeg_write(const uint8_t *rgb, int width, int height, int quality,
               unsigned char **file, unsigned long *size) {
    struct encoder e = {0};
    size_t row = (size_t)width * 3;
    e.jpeg.err = jpeg_std_error(&e.errors);
    e.errors.error_exit = on_error;
    e.jpeg.client_data = &e;
    if (setjmp(e.leave)) {
        jpeg_destroy_compress(&e.jpeg);
        return -1;
    }
    jpeg_create_compress(&e.jpeg);
    jpeg_mem_dest(&e.jpeg, file, size);
    e.jpeg.image_width = (JDIMENSION)width;
    e.jpeg.image_height = (JDIMENSION)height;
    e.jpeg.input_components = 3;
    e.jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&e.jpeg);
    jpeg_set_quality(&e.jpeg, quality, TRUE);
    jpeg_start_compress(&e.jpeg, TRUE);
    while (e.jpeg.next_scanline < e.jpeg.image_height) {
        JSAMPROW line = (JSAMPROW)(rgb + e.jpeg.next_scanline * row);
        jpeg_write_scanlines(&e.jpeg, &line, 1);
    }
    jpeg_finish_compress(&e.jpeg);
    jpeg_destroy_compress(&e.jpeg);
    return 0;
}
