/*
 * photos: a folder of photos, a folder a class, as a data set.
 *
 *     struct photos photos;
 *     struct photos_options o = {.folder = "DIR", .held_out = -1, .seed = 1};
 *     if (photos_read(&photos, &o, team, &err) < 0) ...
 *     findings_print(&photos.found, stderr, 10);
 *     trainer_open(..., &photos.set, ...)     photos.held_out at its end
 *     photos_free(&photos);
 *
 * Decoding and resizing are the classifier's own, so that a photo is the same
 * bytes here and when it is served: upright by its EXIF orientation, all of it
 * squeezed to a square of `side`, bicubic. For that this folder may call
 * models/classifier. A photo that cannot be decoded is left out and named in
 * `found`; fewer than two classes are an error.
 *
 * Held-out photos are drawn by `seed` from every class alike (stratified), at
 * least one of each where there are two, and lie at the end of the set.
 */
#ifndef CONVOY_TRAIN_PHOTOS_H
#define CONVOY_TRAIN_PHOTOS_H

#include "models/train/dataset.h"
#include "models/train/photo_list.h"

struct photos_options {
    const char *folder;
    int side;     /* 0: chosen by how large the photos are */
    int held_out; /* photos; -1: a fifth, or what is possible */
    uint64_t seed;
};

struct photos {
    struct dataset set;
    struct photo_list list; /* list.files[i] is image i of `set` */
    struct findings found;
    int held_out;
    int *class_counts; /* (classes) all photos of each */
};

int photos_read(struct photos *photos, const struct photos_options *o,
                struct team *team, struct err *err);
void photos_free(struct photos *photos);

/* Photo i as it is in the file, no side longer than `longest` pixels:
 * (height, width, 3), to be freed. NULL where it cannot be had any more. */
uint8_t *photos_picture(const struct photos *photos, int i, int longest,
                        int *width, int *height);

/* How many of each class are held out: `held_out` in all, in proportion to
 * `counts` (classes), none of a class left without one to train on. Returns
 * how many it came to: fewer where there are not as many, never more, so that
 * asking for that number gives the same shares. */
int photos_share(const int *counts, int classes, int held_out, int *shares);

#endif
