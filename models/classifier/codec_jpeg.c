/*
 * JPEG by libjpeg-turbo. Errors leave by longjmp, as the library wants it.
 *
 * What the library only warns about is an error here where pixels are missing
 * or made up (an early end, a bad Huffman code); stray bytes between markers,
 * which real cameras write, are not.
 */
#include "models/classifier/codec.h"
#include "models/classifier/exif.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* The standard progressive script has 10 scans; a hostile file can ask for
 * thousands, each a pass over the whole picture. */
#define MAX_SCANS 64

/* A block of 8 x 8 pixels takes one bit at least, but with arithmetic coding;
 * components that share out their sampling oddly have half as many blocks. */
#define PIXELS_PER_BYTE 1024

/* The library's own buffers, whatever the picture. */
#define OWN_MEMORY (16L << 20)

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    const char *problem;
    char reason[JMSG_LENGTH_MAX];
};

static struct decoder *decoder_of(j_common_ptr common) {
    return (struct decoder *)common->client_data;
}

static void on_error(j_common_ptr common) {
    static const int unsupported[] = {JERR_ARITH_NOTIMPL, JERR_BAD_PRECISION,
                                      JERR_CONVERSION_NOTIMPL,
                                      JERR_NOT_COMPILED, JERR_SOF_UNSUPPORTED};
    struct decoder *d = decoder_of(common);
    common->err->format_message(common, d->reason);
    d->problem = "corrupt-image";
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (common->err->msg_code == unsupported[i])
            d->problem = "unsupported-image";
    if (common->err->msg_code == JERR_OUT_OF_MEMORY ||
        common->err->msg_code == JERR_NO_BACKING_STORE)
        d->problem = "image-too-large";
    longjmp(d->leave, 1);
}

static void on_message(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    if (level < 0 &&
        (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER ||
         code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
         code == JWRN_MUST_RESYNC || code == JWRN_BOGUS_PROGRESSION))
        on_error(common);
}

static void on_progress(j_common_ptr common) {
    struct decoder *d = decoder_of(common);
    if (d->jpeg.input_scan_number > MAX_SCANS) {
        snprintf(d->reason, sizeof d->reason, "it has more than %d scans",
                 MAX_SCANS);
        d->problem = "unsupported-image";
        longjmp(d->leave, 1);
    }
}

/* The largest of 1/8, 1/4, 1/2 that leaves 2 * least pixels, else 1. */
static unsigned choose_scale(const struct jpeg_decompress_struct *jpeg,
                             int least) {
    if (least <= 0)
        return 8;
    size_t shorter = jpeg->image_width < jpeg->image_height
                         ? jpeg->image_width
                         : jpeg->image_height;
    for (unsigned eighths = 1; eighths < 8; eighths *= 2)
        if (shorter * eighths / 8 >= 2 * (size_t)least)
            return eighths;
    return 8;
}

/* CMYK files are written inverted (Adobe), and readers take all as such. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t count) {
    for (size_t i = 0; i < count; i++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((cmyk[c] * cmyk[3] + 127) / 255);
}

/* A progressive file makes the library keep all coefficients: two bytes each, a
 * block of 8 x 8 at a time, at most four components of full size. */
static long memory_for(const struct jpeg_decompress_struct *jpeg) {
    long width = (long)jpeg->image_width + 64;
    long height = (long)jpeg->image_height + 64;
    return OWN_MEMORY + width * height * jpeg->num_components * 2;
}

/* Everything that can longjmp. */
static int decode(struct decoder *d, struct image *image, size_t size,
                  int least, struct err *err) {
    struct jpeg_decompress_struct *jpeg = &d->jpeg;
    jpeg_read_header(jpeg, TRUE);
    if (codec_check_size("JPEG", jpeg->image_width, jpeg->image_height, err) <
        0)
        return -1;
    size_t pixels_claimed = (size_t)jpeg->image_width * jpeg->image_height;
    if (!jpeg->arith_code && codec_check_ratio("JPEG", pixels_claimed, size,
                                               PIXELS_PER_BYTE, err) < 0)
        return -1;
    jpeg->mem->max_memory_to_use = memory_for(jpeg);
    int four = jpeg->jpeg_color_space == JCS_CMYK ||
               jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg->scale_num = choose_scale(jpeg, least);
    jpeg->scale_denom = 8;
    jpeg_start_decompress(jpeg);

    size_t width = jpeg->output_width, height = jpeg->output_height;
    size_t stride = width * (size_t)jpeg->output_components;
    uint8_t *pixels = codec_reserve(&image->pixels, stride * height, err);
    if (!pixels)
        return -1;
    while (jpeg->output_scanline < height) {
        JSAMPROW row = pixels + stride * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    if (four)
        cmyk_to_rgb(pixels, pixels, width * height);
    image->width = (int)width;
    image->height = (int)height;
    double scale = (double)jpeg->scale_num / jpeg->scale_denom;
    image->box = (struct resize_box){0, 0, jpeg->image_width * scale,
                                     jpeg->image_height * scale};
    image->shown_width = (int)jpeg->image_width;
    image->shown_height = (int)jpeg->image_height;
    return 0;
}

int codec_jpeg(struct image *image, const uint8_t *bytes, size_t size,
               int least, int *orientation, struct err *err) {
    int status = -1;
    struct decoder d = {.problem = NULL};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    d.progress.progress_monitor = on_progress;
    d.jpeg.client_data = &d;
    if (setjmp(d.leave)) {
        err_problem(err, d.problem, "the JPEG file cannot be decoded: %s",
                    d.reason);
        jpeg_destroy_decompress(&d.jpeg);
        return -1;
    }
    jpeg_create_decompress(&d.jpeg);
    d.jpeg.progress = &d.progress;
    jpeg_mem_src(&d.jpeg, bytes, size);
    status = decode(&d, image, size, least, err);
    jpeg_destroy_decompress(&d.jpeg);

    size_t exif_size = 0;
    const uint8_t *exif = exif_find_jpeg(bytes, size, &exif_size);
    *orientation = exif_orientation(exif, exif_size);
    return status;
}
