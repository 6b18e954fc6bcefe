/*
 * preprocess: from a decoded picture to the numbers that a network was
 * trained on, as preprocessor_config.json says.
 *
 *     struct preprocess p;
 *     preprocess_read(&p, json, json_size, path, 224, 224, &err);
 *     image_decode(&image, bytes, size, preprocess_least(&p), &err);
 *     preprocess_apply(&p, &work, &image, tensor, &err);   (3, 224, 224)
 *
 * The file is what Hugging Face's image processors write; the steps and their
 * arithmetic are those of transformers' processors on PIL images:
 *
 *   resize       do_resize, resample 0..5 or a name ("bicubic"), size:
 *                {"height", "width"}, [h, w], [channels, h, w],
 *                {"shortest_edge"}, beside which "longest_edge" bounds the
 *                other, or a number, which is the shortest edge for processors
 *                that take it so, else both sides. Without size it is the
 *                network's. crop_pct divides the shortest edge (ConvNeXt,
 *                PoolFormer).
 *   crop         do_center_crop, crop_size, or else the network's; a smaller
 *                picture is padded with black on all sides.
 *   channels     do_flip_channel_order: B, G, R.
 *   rescale      do_rescale, rescale_factor, rescale_offset.
 *   normalise    do_normalize, image_mean, image_std, in the order of the
 *                tensor's channels; a list of one is for all of them;
 *                include_top (EfficientNet) divides by image_std once more.
 *
 * A network of one channel sees grey: the picture's luma, as Pillow's
 * convert("L") has it, taken before the first step (image_make_grey()).
 *
 * One key is ours, for whoever reads the file by other means to ignore:
 *
 *   views        [{}, {"mirror": true}, {"square": true, "part": 0.85}]: ways
 *                to look at a picture, whose scores are averaged (views.h). The
 *                first is {}, the picture as the other keys have it. A picture
 *                no larger than the network's input is looked at once.
 *
 * A value that makes no sense, two that contradict, and a step that is asked
 * for but not known are errors that name the file, the key and the value.
 */
#ifndef CONVOY_PREPROCESS_H
#define CONVOY_PREPROCESS_H

#include "common/err.h"
#include "models/classifier/image.h"
#include "models/classifier/resize.h"
#include "models/classifier/views.h"

#include <stdbool.h>
#include <stddef.h>

struct preprocess {
    bool resize, crop, flip_channels;
    enum resize_filter filter;
    int shortest_edge; /* 0: resize to resize_width x _height */
    int longest_edge;  /* of which the other side has no more; 0: any */
    int resize_width, resize_height;
    int width, height; /* of the tensor */
    bool rescale, normalise;
    double rescale_factor, rescale_offset;
    double mean[3], std[3];
    bool divide_again;
    int channels;        /* 3, or 1: all of a grey picture's are equal */
    bool channels_last;  /* the network wants (H, W, channels) */
    float table[3][256]; /* byte -> number, by channel of the tensor */
    struct views views;  /* one, where the file names none */
};

/* `width`, `height`: of the network's input, -1 where it leaves them open;
 * where it does not, the file has to agree. */
int preprocess_read(struct preprocess *p, const char *json, size_t size,
                    const char *path, int width, int height, struct err *err);

/* The same from `pretrained_cfg` in a config.json of timm: input_size (where
 * the network leaves it open), crop_pct, crop_mode, interpolation, mean, std.
 * *found is false where there is no such key. (preprocess_read() knows these
 * keys too, where they stand instead of Hugging Face's.) */
int preprocess_read_timm(struct preprocess *p, const char *json, size_t size,
                         const char *path, int width, int height, bool *found,
                         struct err *err);

/* For a network of one channel; refuses numbers that differ by channel. */
int preprocess_see_grey(struct preprocess *p, struct err *err);

/* What ImageNet networks without such a file expect: shortest edge to the
 * input size / 0.875 (256 for 224), bilinear, centre crop, mean and deviation
 * of ImageNet. An open size is 224. */
void preprocess_imagenet(struct preprocess *p, int width, int height);

/* Where a network of one channel has no such file: resized to the input size,
 * bilinear, 0 black and 1 white. */
void preprocess_grey(struct preprocess *p, int width, int height);

/* The `least` for image_decode(). */
int preprocess_least(const struct preprocess *p);

/* Whether a picture is no larger than what the network sees: other looks than
 * one show nothing more of it. */
bool preprocess_is_small(const struct preprocess *p, int width, int height);

/* Scratch, kept from one picture to the next. */
struct preprocess_work {
    struct resizer resizer;
    struct image_buffer window;
};
void preprocess_work_free(struct preprocess_work *work);
void preprocess_work_trim(struct preprocess_work *work, size_t keep);

/* Fills `tensor`, (channels, height, width) or (height, width, channels). */
int preprocess_apply(const struct preprocess *p, struct preprocess_work *work,
                     const struct image *image, float *tensor, struct err *err);

/* What of a picture of that size the network sees: x, y, width, height as
 * fractions. Beyond 0..1 where the crop pads. */
void preprocess_region(const struct preprocess *p, int shown_width,
                       int shown_height, float region[4]);

/* One sentence a line. Caller frees. */
char *preprocess_describe(const struct preprocess *p);

#endif
