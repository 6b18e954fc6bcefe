/*
 * WebP by libwebp. The demuxer finds the first frame of an animation and the
 * EXIF chunk; a still picture is an animation of one frame to it.
 *
 * libwebp lets nobody else allocate: beside our four bytes a pixel it takes as
 * many again, whatever the file says, so the size that is checked bounds it. A
 * picture of one colour is whole in 38 bytes, whatever its size.
 */
#include "models/classifier/codec.h"
#include "models/classifier/exif.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

/* Decodes the frame's bytes as RGBA into its place on the canvas. */
static int decode_frame(const WebPIterator *frame, uint8_t *canvas,
                        size_t width, size_t height, struct err *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return err_set(err, "libwebp is of another version than its headers");
    size_t stride = width * 4;
    size_t x = (size_t)frame->x_offset, y = (size_t)frame->y_offset;
    if (WebPGetFeatures(frame->fragment.bytes, frame->fragment.size,
                        &config.input) != VP8_STATUS_OK)
        return codec_corrupt(err, "WebP", "it has no picture in it");
    size_t w = (size_t)config.input.width, h = (size_t)config.input.height;
    if (w > width || x > width - w || h > height || y > height - h)
        return codec_corrupt(err, "WebP", "a frame is larger than its canvas");
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = canvas + y * stride + x * 4;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (h - 1) * stride + w * 4;
    switch (WebPDecode(frame->fragment.bytes, frame->fragment.size, &config)) {
    case VP8_STATUS_OK:
        return 0;
    case VP8_STATUS_OUT_OF_MEMORY:
        return err_problem(err, "image-too-large",
                           "not enough memory to decode the WebP file");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return err_problem(err, "unsupported-image",
                           "the WebP file uses a feature that is not known");
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return codec_corrupt(err, "WebP", "it ends early");
    default:
        return codec_corrupt(err, "WebP", "its pixel data cannot be decoded");
    }
}

static int decode(WebPDemuxer *demux, struct image *image, struct err *err) {
    WebPIterator frame = {0};
    size_t width = WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH);
    size_t height = WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT);
    if (codec_check_size("WebP", width, height, err) < 0)
        return -1;
    if (!WebPDemuxGetFrame(demux, 1, &frame))
        return codec_corrupt(err, "WebP", "it has no picture in it");
    int status = -1;
    uint8_t *pixels = codec_reserve(&image->pixels, width * height * 4, err);
    if (!pixels)
        goto done;
    if ((size_t)frame.width != width || (size_t)frame.height != height)
        memset(pixels, 0, width * height * 4); /* transparent around it */
    if (decode_frame(&frame, pixels, width, height, err) < 0)
        goto done;
    codec_over_white(pixels, pixels, width * height);
    codec_set_size(image, (int)width, (int)height);
    status = 0;
done:
    WebPDemuxReleaseIterator(&frame);
    return status;
}

static int read_orientation(WebPDemuxer *demux) {
    WebPChunkIterator chunk = {0};
    int orientation = 1;
    if (WebPDemuxGetChunk(demux, "EXIF", 1, &chunk))
        orientation = exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

int codec_webp(struct image *image, const uint8_t *bytes, size_t size,
               int least, int *orientation, struct err *err) {
    (void)least;
    WebPData data = {bytes, size};
    WebPDemuxer *demux = WebPDemux(&data);
    if (!demux)
        return codec_corrupt(err, "WebP", "it ends early or is malformed");
    int status = decode(demux, image, err);
    *orientation = read_orientation(demux);
    WebPDemuxDelete(demux);
    return status;
}
