#include "models/train/photos.h"

#include "models/classifier/image.h"
#include "models/classifier/resize.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HELD_OUT_SHARE 5 /* one in so many, unless told otherwise */
#define SAMPLE 64        /* photos whose size says how large the others are */
#define SMALL 32         /* sides of the network's input */
#define LARGE 48
#define FEW 20   /* photos of a class that are called very few */
#define UNEVEN 3 /* times as many of one class as of another */
#define SPLIT_STREAM (1ull << 59)
#define KEEP_BYTES ((size_t)16 << 20) /* of a thread's decoding buffers */

/* ---- decoding ------------------------------------------------------------ */

/* A thread's buffers. */
struct desk {
    struct image image;
    struct resizer resizer;
};

static void clear_desk(struct desk *desk) {
    image_free(&desk->image);
    resizer_free(&desk->resizer);
}

static int squeeze(struct desk *desk, int width, int height, uint8_t *out,
                   struct err *err) {
    const struct image *image = &desk->image;
    const struct resize_source from = {image->rgb, image->width, image->height,
                                       image->box};
    const struct resize_window all = {0, 0, width, height};
    return resize(&desk->resizer, &from, RESIZE_BICUBIC, width, height, &all,
                  out, err);
}

static int decode(struct desk *desk, const struct photo_list *list, int file,
                  int least, struct err *err) {
    size_t size;
    void *bytes = photo_list_bytes(list, file, &size, err);
    if (!bytes)
        return -1;
    int rc = image_decode(&desk->image, bytes, size, least, err);
    free(bytes);
    return rc;
}

struct decode_job {
    struct photos *photos;
    struct desk *desks; /* by thread */
    struct err *errors; /* by file; text is "" where it went well */
};

static void decode_photo(void *arg, int item, int thread) {
    struct decode_job *job = arg;
    struct dataset *set = &job->photos->set;
    struct desk *desk = &job->desks[thread];
    int side = set->shape.width;
    uint8_t *out = set->pixels + (size_t)item * shape_size(set->shape);

    if (decode(desk, &job->photos->list, item, side, &job->errors[item]) == 0)
        squeeze(desk, side, side, out, &job->errors[item]);
    image_trim(&desk->image, KEEP_BYTES);
    resizer_trim(&desk->resizer, KEEP_BYTES);
}

/* Takes out what could not be decoded; the others move up. */
static void drop_broken(struct photos *photos, const struct err *errors) {
    struct photo_list *list = &photos->list;
    struct dataset *set = &photos->set;
    size_t size = shape_size(set->shape);
    int kept = 0;
    for (int i = 0; i < list->count; i++) {
        struct photo_file *file = &list->files[i];
        if (*errors[i].text) {
            findings_add(&photos->found, FINDING_BROKEN, "%s: %s", file->path,
                         errors[i].text);
            free(file->path);
            file->path = NULL;
        } else {
            memmove(set->pixels + (size_t)kept++ * size,
                    set->pixels + (size_t)i * size, size);
        }
    }
    photo_list_tidy(list, &photos->found);
}

static int decode_all(struct photos *photos, struct team *team,
                      struct err *err) {
    int count = photos->list.count, threads = team_threads(team);
    struct decode_job job = {.photos = photos};
    int rc = -1;
    job.desks = calloc((size_t)threads, sizeof *job.desks);
    job.errors = calloc((size_t)count + 1, sizeof *job.errors);
    photos->set.pixels =
        malloc(((size_t)count + 1) * shape_size(photos->set.shape));
    if (!job.desks || !job.errors || !photos->set.pixels) {
        err_set(err, "no memory for %d photos of %d x %d pixels", count,
                photos->set.shape.width, photos->set.shape.height);
        goto fail;
    }
    team_run(team, count, decode_photo, &job);
    drop_broken(photos, job.errors);
    rc = 0;
fail:
    for (int i = 0; job.desks && i < threads; i++)
        clear_desk(&job.desks[i]);
    free(job.desks);
    free(job.errors);
    return rc;
}

uint8_t *photos_picture(const struct photos *photos, int i, int longest,
                        int *width, int *height) {
    struct desk desk = {0};
    uint8_t *rgb = NULL;
    if (decode(&desk, &photos->list, i, longest, NULL) < 0)
        goto done;
    double w = desk.image.shown_width, h = desk.image.shown_height;
    double scale = longest / (w > h ? w : h);
    if (scale > 1)
        scale = 1;
    *width = w * scale < 1 ? 1 : (int)(w * scale + 0.5);
    *height = h * scale < 1 ? 1 : (int)(h * scale + 0.5);
    rgb = malloc((size_t)*width * (size_t)*height * 3);
    if (rgb && squeeze(&desk, *width, *height, rgb, NULL) < 0) {
        free(rgb);
        rgb = NULL;
    }
done:
    clear_desk(&desk);
    return rgb;
}

/* ---- the size of the input ----------------------------------------------- */

static int ascending(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

/* Thumbnails have nothing to show on a larger input. For photographs it is a
 * matter of time, which goes with the square: 48 costs 2.3 times 32, and its
 * maps have 11 x 11 cells instead of 7 x 7. */
static int choose_side(const struct photo_list *list) {
    int sides[SAMPLE], count = 0;
    struct desk desk = {0};
    for (int i = 0; i < SAMPLE && i < list->count; i++) {
        int file = (int)((int64_t)i * list->count / SAMPLE);
        if (list->count < SAMPLE)
            file = i;
        if (decode(&desk, list, file, 1, NULL) < 0)
            continue;
        int w = desk.image.shown_width, h = desk.image.shown_height;
        sides[count++] = w < h ? w : h;
    }
    clear_desk(&desk);
    qsort(sides, (size_t)count, sizeof *sides, ascending);
    return count > 0 && sides[count / 2] < LARGE ? SMALL : LARGE;
}

/* ---- which are held out -------------------------------------------------- */

struct shares {
    const int *counts; /* (classes) */
    int classes, held_out;
    long total;
    int *shares; /* (classes) */
};

/* How far a class is from its part of all that are held out. */
static double lack(const struct shares *s, int class) {
    return (double)s->held_out * s->counts[class] / (double)s->total -
           s->shares[class];
}

/* Of the classes that can give one more (step 1) or one less (-1), the one that
 * lacks most, or has most beyond its part; the first of equals. -1: none. */
static int neediest(const struct shares *s, int step) {
    int found = -1;
    for (int i = 0; i < s->classes; i++) {
        bool can =
            step > 0 ? s->shares[i] < s->counts[i] - 1 : s->shares[i] > 1;
        if (can && (found < 0 || step * lack(s, i) > step * lack(s, found)))
            found = i;
    }
    return found;
}

int photos_share(const int *counts, int classes, int held_out, int *shares) {
    struct shares s = {counts, classes, held_out, 0, shares};
    int given = 0;
    for (int i = 0; i < classes; i++)
        s.total += counts[i];
    for (int i = 0; i < classes; i++) {
        long share = s.total ? (long)held_out * counts[i] / s.total : 0;
        if (share == 0 && held_out >= classes)
            share = 1;
        if (share >= counts[i])
            share = counts[i] - 1;
        shares[i] = (int)share;
        given += shares[i];
    }
    /* Rounding leaves some over, and one of each tiny class may be too many:
     * the sum is what was asked for, for a run is resumed by asking for it. */
    while (given != held_out) {
        int step = given < held_out ? 1 : -1;
        int class = neediest(&s, step);
        if (class < 0)
            break;
        shares[class] += step;
        given += step;
    }
    return given;
}

static void swap_photos(struct photos *photos, int a, int b, uint8_t *room) {
    size_t size = shape_size(photos->set.shape);
    uint8_t *x = photos->set.pixels + (size_t)a * size;
    uint8_t *y = photos->set.pixels + (size_t)b * size;
    struct photo_file file = photos->list.files[a];
    photos->list.files[a] = photos->list.files[b];
    photos->list.files[b] = file;
    memcpy(room, x, size);
    memcpy(x, y, size);
    memcpy(y, room, size);
}

/* Files lie by class: a random order of each class's, its share at the end of
 * it marked, says who is held out. order[place] is a file. */
static void draw_order(const struct photos *photos, const int *shares,
                       uint64_t seed, uint32_t *order) {
    struct rng rng;
    uint32_t count = (uint32_t)photos->list.count, train = 0, class = 0;
    uint32_t held = count - (uint32_t)photos->held_out, first = 0;
    uint32_t *files = order + count; /* second half: scratch */
    rng_seed(&rng, seed, SPLIT_STREAM);
    for (; first < count; first += (uint32_t)photos->class_counts[class ++]) {
        uint32_t size = (uint32_t)photos->class_counts[class];
        uint32_t out = (uint32_t)shares[class];
        for (uint32_t i = 0; i < size; i++)
            files[i] = first + i;
        rng_shuffle(&rng, files, size);
        for (uint32_t i = 0; i < size; i++)
            order[i < out ? held++ : train++] = files[i];
    }
    /* Not class by class: the first images stand for all when whitening. */
    rng_shuffle(&rng, order, train);
}

/* Puts file order[place] at `place`, for all places, by swaps. */
static void arrange(struct photos *photos, uint32_t *order, uint8_t *room) {
    uint32_t count = (uint32_t)photos->list.count;
    uint32_t *where = order + count; /* of file i, by now; and its inverse */
    uint32_t *who = order + 2 * count;
    for (uint32_t i = 0; i < count; i++)
        where[i] = who[i] = i;
    for (uint32_t place = 0; place < count; place++) {
        uint32_t at = where[order[place]];
        if (at != place)
            swap_photos(photos, (int)place, (int)at, room);
        who[at] = who[place];
        where[who[at]] = at;
        who[place] = order[place];
        where[order[place]] = place;
    }
}

static int split(struct photos *photos, const struct photos_options *o,
                 struct err *err) {
    struct dataset *set = &photos->set;
    size_t count = (size_t)photos->list.count;
    int wanted = o->held_out >= 0 ? o->held_out : (int)count / HELD_OUT_SHARE;
    uint32_t *order = calloc(3 * count, sizeof *order);
    int *shares = calloc((size_t)set->classes, sizeof *shares);
    uint8_t *room = malloc(shape_size(set->shape));
    int rc = -1;
    set->labels = malloc(count * sizeof *set->labels);
    if (!order || !shares || !room || !set->labels) {
        err_set(err, "no memory to split %zu photos", count);
        goto fail;
    }
    photos->held_out =
        photos_share(photos->class_counts, set->classes, wanted, shares);
    if (photos->held_out < o->held_out) { /* without a wish what is possible */
        err_set(err,
                "%s: cannot hold out %d of %zu photos: at least one of each "
                "class must be left to train on",
                o->folder, wanted, count);
        goto fail;
    }
    draw_order(photos, shares, o->seed, order);
    arrange(photos, order, room);
    for (size_t i = 0; i < count; i++)
        set->labels[i] = (uint16_t)photos->list.files[i].class;
    rc = 0;
fail:
    free(order);
    free(shares);
    free(room);
    return rc;
}

/* ---- what to expect of the classes --------------------------------------- */

/* Nothing to tell apart. Where folders hold folders, one too high was named. */
static int refuse_single(const struct photo_list *list, struct err *err) {
    const char *what = list->classes == 0 ? "none of its folders holds a photo"
                                          : "only one folder holds photos";
    if (list->nested)
        return err_set(err,
                       "%s: %s. %s holds folders, not photos. The classes "
                       "should be the folders right below the one that you "
                       "name: is it --folder %s?",
                       list->folder, what, list->nested, list->nested);
    return err_set(err,
                   "%s: %s; there is nothing to tell apart: put the photos "
                   "of at least two classes into a folder each",
                   list->folder, what);
}

static int judge_classes(struct photos *photos, struct err *err) {
    const struct photo_list *list = &photos->list;
    int most = 0, least = 0;
    if (list->classes < 2)
        return refuse_single(list, err);
    photos->class_counts =
        calloc((size_t)list->classes, sizeof *photos->class_counts);
    if (!photos->class_counts)
        return err_set(err, "no memory for %d classes", list->classes);
    int *counts = photos->class_counts;
    for (int i = 0; i < list->count; i++)
        counts[list->files[i].class]++;
    for (int i = 0; i < list->classes; i++) {
        if (counts[i] < FEW)
            findings_add(&photos->found, FINDING_SMALL,
                         "%s: %d; expect little of it below a few dozen",
                         list->names[i], counts[i]);
        most = counts[i] > counts[most] ? i : most;
        least = counts[i] < counts[least] ? i : least;
    }
    if (counts[most] >= UNEVEN * counts[least])
        findings_add(&photos->found, FINDING_IMBALANCE,
                     "%s has %d photos, %s only %d", list->names[most],
                     counts[most], list->names[least], counts[least]);
    return 0;
}

int photos_read(struct photos *photos, const struct photos_options *o,
                struct team *team, struct err *err) {
    *photos = (struct photos){0};
    if (photo_list_read(&photos->list, o->folder, team, &photos->found, err) <
        0)
        goto fail;
    int side = o->side > 0 ? o->side : choose_side(&photos->list);
    photos->set.shape = (struct shape){side, side, 3};
    if (decode_all(photos, team, err) < 0 || judge_classes(photos, err) < 0)
        goto fail;
    photos->set.count = photos->list.count;
    photos->set.classes = photos->list.classes;
    photos->set.names = (const char *const *)photos->list.names;
    if (split(photos, o, err) < 0)
        goto fail;
    return 0;
fail:
    findings_print(&photos->found, stderr, 10);
    photos_free(photos);
    return -1;
}

void photos_free(struct photos *photos) {
    dataset_free(&photos->set);
    photo_list_free(&photos->list);
    findings_free(&photos->found);
    free(photos->class_counts);
    *photos = (struct photos){0};
}
