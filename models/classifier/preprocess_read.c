/*
 * preprocessor_config.json -> struct preprocess.
 */
#include "models/classifier/preprocess.h"
#include "models/classifier/json_file.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define MAX_SIDE 8192 /* no classifier looks at more; keeps products small */
#define VIEW_PART_LEAST 0.1
#define CROP_PCT_LEAST 0.05 /* of 8192 as well it makes no absurd side */

struct reader {
    const json_t *root;
    const char *path;
    int width, height; /* the network's, -1: open */
    struct err *err;
};

/* What differs between processors that read the same keys. */
static const struct processor {
    const char *prefix;  /* of image_processor_type or feature_extractor_type */
    bool number_is_edge; /* "size": 224 is the shortest edge */
    double crop_pct;     /* where the file has none; 0: no such step */
    double edge_factor;
} processors[] = {
    {"ConvNext", true, 224.0 / 256.0, 1},
    {"PoolFormer", true, 0.9, 1},
    {"Levit", true, 0, 256.0 / 224.0},
    {"CLIP", true, 0, 1},
    {"MobileNetV1", true, 0, 1},
    {"MobileNetV2", true, 0, 1},
    {"MobileViT", true, 0, 1},
    {"Bit", true, 0, 1},
    {"", false, 0, 1}, /* all others */
};

/* NULL where the key is missing or null. */
static const json_t *find(const struct reader *r, const char *key) {
    const json_t *value = json_object_get(r->root, key);
    return json_is_null(value) ? NULL : value;
}

/* "path: key: value: what is wrong". */
static int refuse(const struct reader *r, const char *key, const json_t *value,
                  const char *why) {
    char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
                                      JSON_SORT_KEYS | JSON_REAL_PRECISION(6))
              : NULL;
    err_set(r->err, "%s: \"%s\"%s%.80s: %s", r->path, key, text ? ": " : "",
            text ? text : "", why);
    free(text);
    return -1;
}

static int read_bool(const struct reader *r, const char *key, bool otherwise,
                     bool *out) {
    const json_t *value = find(r, key);
    *out = value ? json_is_true(value) : otherwise;
    if (value && !json_is_boolean(value))
        return refuse(r, key, value, "should be true or false");
    return 0;
}

static int read_number(const struct reader *r, const char *key,
                       double otherwise, double *out) {
    const json_t *value = find(r, key);
    *out = value ? json_number_value(value) : otherwise;
    if (value && (!json_is_number(value) || !isfinite(*out) || *out <= 0))
        return refuse(r, key, value, "should be a number greater than 0");
    return 0;
}

/* One number for each channel, or one for all, in a list or not. */
static int read_triple(const struct reader *r, const char *key, double out[3]) {
    const json_t *value = find(r, key);
    if (!value)
        return refuse(r, key, NULL, "is missing, but do_normalize is true");
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count != 1 && count != 3)
        return refuse(r, key, value, "should be three numbers");
    for (size_t c = 0; c < 3; c++) {
        const json_t *n = json_is_array(value)
                              ? json_array_get(value, count == 1 ? 0 : c)
                              : value;
        if (!json_is_number(n) || !isfinite(json_number_value(n)))
            return refuse(r, key, value, "should be three numbers");
        out[c] = json_number_value(n);
    }
    return 0;
}

static bool to_side(const json_t *value, int *side) {
    double number = json_number_value(value); /* 224.0 as well */
    if (!(number >= 1) || number > MAX_SIDE || number != floor(number))
        return false;
    *side = (int)number;
    return true;
}

/* [h, w] or [channels, h, w] */
static bool to_sides(const json_t *list, int *width, int *height) {
    size_t count = json_array_size(list);
    return (count == 2 || count == 3) &&
           to_side(json_array_get(list, count - 2), height) &&
           to_side(json_array_get(list, count - 1), width);
}

/* *edge, or *width and *height; the others are 0. */
static int read_size(const struct reader *r, const char *key,
                     bool number_is_edge, int *edge, int *width, int *height) {
    const json_t *value = find(r, key);
    *edge = *width = *height = 0;
    bool good = false;
    if (!value && r->width > 0 && r->height > 0) {
        *width = r->width;
        *height = r->height;
        return 0;
    }
    if (!value)
        return refuse(r, key, NULL, "is missing");
    if (json_is_number(value)) {
        good = to_side(value, edge);
        if (good && !number_is_edge) {
            *width = *height = *edge;
            *edge = 0;
        }
    } else if (json_is_array(value)) {
        good = to_sides(value, width, height);
    } else if (json_object_get(value, "shortest_edge")) {
        good = to_side(json_object_get(value, "shortest_edge"), edge) &&
               json_object_size(value) ==
                   (json_object_get(value, "longest_edge") ? 2 : 1);
    } else if (json_object_size(value) == 2) {
        good = to_side(json_object_get(value, "height"), height) &&
               to_side(json_object_get(value, "width"), width);
    }
    if (!good)
        return refuse(r, key, value,
                      "should be a number, {\"height\", \"width\"} or "
                      "{\"shortest_edge\"}, each 1 to 8192");
    return 0;
}

static const struct processor *find_processor(const struct reader *r) {
    const char *type = json_string_value(find(r, "image_processor_type"));
    if (!type)
        type = json_string_value(find(r, "feature_extractor_type"));
    const struct processor *p = processors;
    while (strncmp(type ? type : "", p->prefix, strlen(p->prefix)) != 0)
        p++; /* the last row fits all */
    return p;
}

/*
 * crop_pct: the picture is made larger than the network wants by that factor,
 * and the rim cut off. ConvNeXt does so below 384 only, and crops by itself;
 * PoolFormer's crop is do_center_crop's.
 */
static int apply_crop_pct(const struct reader *r, struct preprocess *p,
                          double crop_pct) {
    int base = p->shortest_edge ? p->shortest_edge : p->resize_width;
    if (crop_pct > 1 || crop_pct < CROP_PCT_LEAST)
        return refuse(r, "crop_pct", find(r, "crop_pct"),
                      "should be 0.05 to 1");
    if (!p->shortest_edge && p->resize_width != p->resize_height)
        return refuse(r, "size", find(r, "size"),
                      "has to be square together with crop_pct");
    if (!p->crop && base >= 384) {
        p->shortest_edge = 0;
        p->resize_width = p->resize_height = base;
        return 0;
    }
    if (!p->crop)
        p->width = p->height = base;
    p->crop = true;
    p->shortest_edge = (int)(base / crop_pct);
    return 0;
}

/* What "size" bounds the longer side to. */
static int read_longest(const struct reader *r, struct preprocess *p) {
    const json_t *size = find(r, "size");
    const json_t *longest = json_object_get(size, "longest_edge");
    if (p->shortest_edge && longest &&
        (!to_side(longest, &p->longest_edge) ||
         p->longest_edge < p->shortest_edge))
        return refuse(r, "size", size,
                      "\"longest_edge\" should be a number, no less than "
                      "\"shortest_edge\"");
    return 0;
}

static int read_filter(const struct reader *r, enum resize_filter *filter) {
    const json_t *value = find(r, "resample");
    const char *name = json_string_value(value);
    *filter = RESIZE_BILINEAR;
    if (!value)
        return 0;
    for (int i = 0; i < RESIZE_FILTERS; i++)
        if (name ? strcasecmp(name, resize_filter_name(i)) == 0
                 : json_is_integer(value) && json_integer_value(value) == i) {
            *filter = (enum resize_filter)i;
            return 0;
        }
    return refuse(r, "resample", value,
                  "should be 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, "
                  "4 box or 5 hamming");
}

/* do_center_crop, and how large. */
static int read_crop(const struct reader *r, struct preprocess *p) {
    int edge;
    if (read_bool(r, "do_center_crop", false, &p->crop) < 0)
        return -1;
    if (!p->crop)
        return 0;
    if (read_size(r, "crop_size", false, &edge, &p->width, &p->height) < 0)
        return -1;
    if (edge)
        return refuse(r, "crop_size", find(r, "crop_size"),
                      "should be {\"height\", \"width\"}");
    return 0;
}

static int read_geometry(const struct reader *r, struct preprocess *p) {
    const struct processor *kind = find_processor(r);
    bool square;
    double crop_pct;
    if (read_bool(r, "do_resize", true, &p->resize) < 0 ||
        read_bool(r, "default_to_square", !kind->number_is_edge, &square) < 0 ||
        read_number(r, "crop_pct", kind->crop_pct, &crop_pct) < 0 ||
        read_filter(r, &p->filter) < 0 || read_crop(r, p) < 0)
        return -1;
    if (!p->resize)
        return 0;
    if (p->crop && !find(r, "size")) /* larger than the crop, but how much? */
        return refuse(r, "size", NULL, "is missing");
    if (read_size(r, "size", !square, &p->shortest_edge, &p->resize_width,
                  &p->resize_height) < 0 ||
        read_longest(r, p) < 0)
        return -1;
    if (crop_pct > 0)
        return apply_crop_pct(r, p, crop_pct);
    p->shortest_edge = (int)(p->shortest_edge * kind->edge_factor);
    return 0;
}

/* The size of the tensor, which has to be the network's. */
static int settle_size(const struct reader *r, struct preprocess *p, int width,
                       int height) {
    if (!p->crop && !p->resize)
        return refuse(r, "do_resize", find(r, "do_resize"),
                      "without do_center_crop pictures of any size would "
                      "reach the network");
    if (!p->crop && p->shortest_edge)
        return refuse(r, "size", find(r, "size"),
                      "gives pictures of various sizes; say crop_size and "
                      "do_center_crop, or height and width");
    if (!p->crop) {
        p->width = p->resize_width;
        p->height = p->resize_height;
    }
    if ((width > 0 && width != p->width) || (height > 0 && height != p->height))
        return err_set(r->err,
                       "%s: \"%s\" makes pictures of %d x %d (width x height), "
                       "but the network takes %d x %d",
                       r->path, p->crop ? "crop_size" : "size", p->width,
                       p->height, width, height);
    return 0;
}

static int read_arithmetic(const struct reader *r, struct preprocess *p) {
    bool offset;
    if (read_bool(r, "do_flip_channel_order", false, &p->flip_channels) < 0 ||
        read_bool(r, "do_rescale", true, &p->rescale) < 0 ||
        read_number(r, "rescale_factor", 1.0 / 255, &p->rescale_factor) < 0 ||
        read_bool(r, "rescale_offset", false, &offset) < 0 ||
        read_bool(r, "do_normalize", find(r, "image_mean") != NULL,
                  &p->normalise) < 0 ||
        read_bool(r, "include_top", false, &p->divide_again) < 0)
        return -1;
    p->rescale_offset = offset ? 1 : 0;
    if (!p->normalise)
        return 0;
    if (read_triple(r, "image_mean", p->mean) < 0 ||
        read_triple(r, "image_std", p->std) < 0)
        return -1;
    for (int c = 0; c < 3; c++)
        if (p->std[c] <= 0)
            return refuse(r, "image_std", find(r, "image_std"),
                          "should be greater than 0");
    return 0;
}

/* A step that is asked for and not known would give wrong answers. */
static int refuse_unknown_steps(const struct reader *r) {
    static const char *const known[] = {
        "do_resize",       "do_center_crop",        "do_rescale",
        "do_normalize",    "do_flip_channel_order", "do_convert_rgb",
        "do_reduce_labels"}; /* the last concerns segmentation */
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)r->root, key, value) {
        bool found = strncmp(key, "do_", 3) != 0 || !json_is_true(value);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(key, known[i]) == 0;
        if (!found)
            return refuse(r, key, value, "this step is not supported");
    }
    return 0;
}

static int read_view(const struct reader *r, const json_t *list, size_t i,
                     struct view *view) {
    const json_t *each = json_array_get(list, i);
    const char *key;
    json_t *value;
    *view = (struct view){.part = 1};
    if (!json_is_object(each) || (i == 0 && json_object_size(each) > 0))
        return refuse(r, "views", list,
                      "should be objects, the first of them empty: {}");
    json_object_foreach((json_t *)each, key, value) {
        double part = json_number_value(value);
        if (strcmp(key, "mirror") == 0 && json_is_boolean(value))
            view->mirrored = json_is_true(value);
        else if (strcmp(key, "square") == 0 && json_is_boolean(value))
            view->square = json_is_true(value);
        else if (strcmp(key, "part") == 0 && part >= VIEW_PART_LEAST &&
                 part <= 1)
            view->part = (float)part;
        else
            return refuse(r, "views", each,
                          "a view may have \"mirror\" and \"square\", true or "
                          "false, and \"part\", 0.1 to 1");
    }
    return 0;
}

static int read_views(const struct reader *r, struct views *views) {
    const json_t *list = find(r, "views");
    size_t count = json_array_size(list);
    *views = *views_find(1);
    if (!list)
        return 0;
    if (count < 1 || count > VIEWS_MAX)
        return refuse(r, "views", list, "should be a list of 1 to 8 views");
    views->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        views->weights[i] = 1 / (float)count;
        if (read_view(r, list, i, &views->list[i]) < 0)
            return -1;
    }
    return 0;
}

/* In float32, step by step, as transformers computes with numpy. */
static void fill_table(struct preprocess *p) {
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            float x = (float)v;
            if (p->rescale)
                x = (float)(v * p->rescale_factor - p->rescale_offset);
            if (p->normalise)
                x = (x - (float)p->mean[c]) / (float)p->std[c];
            if (p->normalise && p->divide_again)
                x /= (float)p->std[c];
            p->table[c][v] = x;
        }
}

static int read(struct preprocess *p, const struct reader *r) {
    memset(p, 0, sizeof *p);
    p->channels = 3;
    if (refuse_unknown_steps(r) < 0 || read_geometry(r, p) < 0 ||
        settle_size(r, p, r->width, r->height) < 0 ||
        read_arithmetic(r, p) < 0 || read_views(r, &p->views) < 0)
        return -1;
    fill_table(p);
    return 0;
}

/* ---- timm ---------------------------------------------------------------- */

/* The size that timm resizes to before it cuts `width` x `height` out (its
 * data/transforms_factory.py): "squash" goes by both sides. NULL: this is not
 * known. */
static json_t *timm_size(const struct reader *timm, int width, int height,
                         double crop_pct) {
    const char *mode = json_string_value(find(timm, "crop_mode"));
    if (mode && strcmp(mode, "squash") == 0)
        return json_pack("{s:i, s:i}", "height", (int)(height / crop_pct),
                         "width", (int)(width / crop_pct));
    if ((mode && strcmp(mode, "center") != 0) || width != height)
        return NULL;
    return json_pack("{s:i}", "shortest_edge", (int)(width / crop_pct));
}

/* The keys of timm as those of preprocessor_config.json. */
static int read_timm(struct preprocess *p, const struct reader *timm) {
    int width = timm->width, height = timm->height;
    double crop_pct;
    if (read_number(timm, "crop_pct", 0.875, &crop_pct) < 0)
        return -1;
    if (crop_pct < CROP_PCT_LEAST)
        return refuse(timm, "crop_pct", find(timm, "crop_pct"),
                      "should be 0.05 or more");
    if ((width <= 0 || height <= 0) &&
        !to_sides(find(timm, "input_size"), &width, &height))
        return refuse(timm, "input_size", find(timm, "input_size"),
                      "should be [channels, height, width]");
    json_t *size = timm_size(timm, width, height, crop_pct);
    if (!size)
        return refuse(timm, "crop_mode", find(timm, "crop_mode"),
                      "should be \"center\" for square inputs or \"squash\"");
    json_t *root =
        json_pack("{s:o, s:b, s:[i, i], s:O?, s:O?, s:O?, s:b}", "size", size,
                  "do_center_crop", 1, "crop_size", height, width, "resample",
                  find(timm, "interpolation"), "image_mean", find(timm, "mean"),
                  "image_std", find(timm, "std"), "do_normalize", 1);
    if (!root)
        return err_set(timm->err, "%s: not enough memory", timm->path);
    struct reader r = *timm;
    r.root = root;
    int status = read(p, &r);
    json_decref(root);
    return status;
}

/* ---- the files ----------------------------------------------------------- */

int preprocess_read(struct preprocess *p, const char *json, size_t size,
                    const char *path, int width, int height, struct err *err) {
    json_t *root = json_file_parse(json, size, path, err);
    if (!root)
        return -1;
    const struct reader r = {root, path, width, height, err};
    bool timm = find(&r, "input_size") && !find(&r, "size");
    int status = timm ? read_timm(p, &r) : read(p, &r);
    json_decref(root);
    return status;
}

int preprocess_read_timm(struct preprocess *p, const char *json, size_t size,
                         const char *path, int width, int height, bool *found,
                         struct err *err) {
    json_t *root = json_file_parse(json, size, path, err);
    const json_t *timm = json_object_get(root, "pretrained_cfg");
    *found = json_is_object(timm);
    int status = root ? 0 : -1;
    if (*found)
        status = read_timm(p, &(struct reader){timm, path, width, height, err});
    json_decref(root);
    return status;
}

/* ---- without a file ------------------------------------------------------ */

void preprocess_imagenet(struct preprocess *p, int width, int height) {
    static const double mean[3] = {0.485, 0.456, 0.406};
    static const double std[3] = {0.229, 0.224, 0.225};
    memset(p, 0, sizeof *p);
    p->channels = 3;
    p->width = width > 0 ? width : 224;
    p->height = height > 0 ? height : 224;
    int longer = p->width > p->height ? p->width : p->height;
    p->resize = p->crop = p->rescale = p->normalise = true;
    p->filter = RESIZE_BILINEAR;
    p->shortest_edge = (int)(longer / 0.875);
    p->rescale_factor = 1.0 / 255;
    memcpy(p->mean, mean, sizeof mean);
    memcpy(p->std, std, sizeof std);
    p->views = *views_find(1);
    fill_table(p);
}

void preprocess_grey(struct preprocess *p, int width, int height) {
    preprocess_imagenet(p, width, height);
    p->channels = 1;
    p->crop = p->normalise = false;
    p->shortest_edge = 0;
    p->resize_width = p->width;
    p->resize_height = p->height;
    fill_table(p);
}

int preprocess_see_grey(struct preprocess *p, struct err *err) {
    for (int c = 1; c < 3; c++)
        if (p->mean[c] != p->mean[0] || p->std[c] != p->std[0])
            return err_set(err, "the network takes grey pictures, but the mean "
                                "or deviation differs by channel: give one "
                                "number");
    p->channels = 1;
    p->flip_channels = false;
    return 0;
}
