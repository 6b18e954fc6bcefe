/*
 * Running: pictures into the session's input, one after the other, the plan
 * once for all of them, scores and maps out.
 */
#include "models/classifier/classifier_private.h"
#include "models/classifier/codec.h"
#include "models/classifier/maps.h"
#include "models/classifier/occlusion.h"
#include "models/classifier/views.h"

#include "common/clock.h"
#include "common/fault.h"

#include <stdlib.h>
#include <string.h>

/* Buffers beyond this are given back after the picture that needed them, so
 * that one huge upload does not stay in memory for good. */
#define KEEP_BYTES ((size_t)16 << 20)

/* A picture in the session's input: rows row .. row + views->count - 1. */
struct fed {
    int picture; /* of the chunk */
    int row;
    const struct views *views;
};

struct classifier_run {
    const struct classifier *c;
    struct nn_session *session;
    int batch_max;             /* pictures */
    struct err single;         /* why that is 1; "": as was asked for */
    const struct views *views; /* asked for, or NULL: as the folder says */
    int view_max;              /* rows a picture may take */
    struct classifier_watch watch;
    struct image image;
    struct preprocess_work work;
    struct fed *fed; /* (batch_max) */
    float *scores;   /* (batch_max * view_max, classes): averaged over views */
    float *part;     /* a tensor: a view before it is mirrored */
};

struct nn_session *classifier_session_open(const struct classifier *c,
                                           int batch_max, struct err *err) {
    struct nn_port shape;
    classifier_input(c, &shape);
    if (c->fixed_batch)
        batch_max = c->fixed_batch;
    shape.dims[0] = batch_max;
    struct nn_options options = {.batch_max = batch_max, .shapes = &shape};
    return nn_session_open(c->network, &options, err);
}

static int check_views(const struct classifier *c, int views, struct err *err) {
    if (views > 1 && c->fixed_batch)
        return err_set(err,
                       "%s: its file fixes the batch at %d; for several views "
                       "of a picture export it with an open one",
                       c->name, c->fixed_batch);
    return 0;
}

/* Sees to it that a full batch gives what it should. */
static struct nn_session *try_batch(const struct classifier *c, int rows,
                                    struct err *err) {
    struct nn_session *session = classifier_session_open(c, rows, err);
    if (session && scores_check(&c->scores, session, rows, err) < 0) {
        nn_session_close(session);
        session = NULL;
    }
    if (!session)
        err_prefix(err, "%s, in batches of %d", c->name, rows);
    return session;
}

/* Where a file leaves the batch open and the graph has it fixed at one (by
 * x.view(1, -1), say), one picture at a time is what works. */
static int open_session(struct classifier_run *run, struct err *err) {
    int rows = run->batch_max * run->view_max;
    run->session = try_batch(run->c, rows, &run->single);
    if (run->session)
        return 0;
    if (rows > 1 && !run->c->fixed_batch && run->view_max == 1) {
        run->batch_max = 1;
        run->session = try_batch(run->c, 1, NULL);
    }
    return run->session ? 0 : err_set(err, "%s", run->single.text);
}

static int allocate(struct classifier_run *run, struct err *err) {
    size_t pictures = (size_t)run->batch_max;
    size_t scores =
        pictures * (size_t)run->view_max * (size_t)run->c->scores.classes;
    run->fed = calloc(pictures, sizeof *run->fed);
    run->scores = calloc(scores, sizeof *run->scores);
    run->part = calloc(classifier_tensor_size(run->c), sizeof *run->part);
    if (!run->fed || !run->scores || !run->part)
        return err_set(err, "not enough memory to run %s", run->c->name);
    return 0;
}

struct classifier_run *classifier_run_open_views(const struct classifier *c,
                                                 int batch_max, int views,
                                                 struct err *err) {
    const struct views *asked = views_find(views);
    if (views != 0 && !asked) {
        err_set(err, "a picture has 1, 2 or 6 views, not %d", views);
        return NULL;
    }
    int view_max = asked ? asked->count : c->preprocess.views.count;
    if (check_views(c, view_max, err) < 0)
        return NULL;
    struct classifier_run *run = calloc(1, sizeof *run);
    if (!run) {
        err_set(err, "not enough memory to run %s", c->name);
        return NULL;
    }
    run->c = c;
    run->batch_max = c->fixed_batch ? c->fixed_batch : batch_max;
    run->views = asked;
    run->view_max = view_max;
    if (open_session(run, err) < 0 || allocate(run, err) < 0) {
        classifier_run_close(run);
        return NULL;
    }
    return run;
}

struct classifier_run *classifier_run_open(const struct classifier *c,
                                           int batch_max, struct err *err) {
    return classifier_run_open_views(c, batch_max, 0, err);
}

const char *classifier_run_single(const struct classifier_run *run) {
    return *run->single.text ? run->single.text : NULL;
}

void classifier_run_close(struct classifier_run *run) {
    if (run) {
        nn_session_close(run->session);
        image_free(&run->image);
        preprocess_work_free(&run->work);
        free(run->fed);
        free(run->scores);
        free(run->part);
        free(run);
    }
}

void classifier_run_watch(struct classifier_run *run,
                          const struct classifier_watch *watch) {
    run->watch = watch ? *watch : (struct classifier_watch){0};
}

static void fail(struct classification *out, const struct err *err) {
    out->failed = true;
    out->err = *err;
}

static const struct views *views_of(const struct classifier_run *run) {
    const struct preprocess *p = &run->c->preprocess;
    if (run->views)
        return run->views;
    return preprocess_is_small(p, run->image.shown_width,
                               run->image.shown_height)
               ? views_find(1)
               : &p->views;
}

/* What a view shows of run->image -> tensor; of the whole, `plain` has it. */
static int feed_view(struct classifier_run *run, const struct view *view,
                     const float *plain, float *tensor, struct err *err) {
    const struct classifier *c = run->c;
    struct image part;
    if (!view_is_whole(view)) {
        view_part(view, &run->image, &part);
        if (preprocess_apply(&c->preprocess, &run->work, &part, run->part,
                             err) < 0)
            return -1;
        plain = run->part;
    }
    view_write(view, c->shape, plain, tensor);
    return 0;
}

/* Picture in run->image -> entry `slot` of the batch, all its views. */
static int feed(struct classifier_run *run, int slot,
                struct classification *out, struct err *err) {
    const struct classifier *c = run->c;
    struct image *image = &run->image;
    struct fed *fed = &run->fed[slot];
    size_t size = classifier_tensor_size(c);
    fed->views = views_of(run);
    fed->row = slot > 0 ? fed[-1].row + fed[-1].views->count : 0;
    float *tensor = nn_session_input(run->session, 0);
    tensor += (size_t)fed->row * size;
    out->width = image->shown_width;
    out->height = image->shown_height;
    preprocess_region(&c->preprocess, out->width, out->height, out->map_region);
    if (c->shape.channels == 1 && image_make_grey(image, err) < 0)
        return -1;
    if (preprocess_apply(&c->preprocess, &run->work, image, tensor, err) < 0)
        return -1;
    for (int v = 1; v < fed->views->count; v++)
        if (feed_view(run, &fed->views->list[v], tensor,
                      tensor + (size_t)v * size, err) < 0)
            return -1;
    return 0;
}

/* Rows that the first `count` pictures take. */
static int rows_of(const struct classifier_run *run, int count) {
    const struct fed *last = &run->fed[count - 1];
    return last->row + last->views->count;
}

/* Runs the first `rows` of the input; a row of run->scores for each. */
static int run_network(struct classifier_run *run, int rows, struct err *err) {
    const struct classifier *c = run->c;
    int batch = c->fixed_batch ? c->fixed_batch : rows;
    if (nn_session_run(run->session, batch, err) < 0 ||
        scores_check(&c->scores, run->session, batch, err) < 0)
        return -1;
    scores_spread(&c->scores, nn_session_output(run->session, c->scores.output),
                  rows, run->scores);
    return 0;
}

/* The first row of a picture becomes the mean of its views. */
static void average(struct classifier_run *run, int count) {
    int classes = run->c->scores.classes;
    for (int n = 0; n < count; n++)
        if (run->fed[n].views->count > 1)
            views_average(run->fed[n].views,
                          run->scores +
                              (size_t)run->fed[n].row * (size_t)classes,
                          classes);
}

static void answer(struct classifier_run *run, const struct fed *fed,
                   const struct nn_cam *cam, int top_k,
                   struct classification *out) {
    const struct classifier *c = run->c;
    const float *row =
        run->scores + (size_t)fed->row * (size_t)c->scores.classes;
    struct err err = {.problem = "worker-failed"};
    if (scores_top(&c->scores, row, top_k, out, &err) < 0) {
        err_prefix(&err, "the network %s", c->name);
        fail(out, &err);
    } else if (cam) {
        maps_activation(cam, fed->row, out);
    }
}

/* Runs the first `count` pictures that were fed. */
static void infer(struct classifier_run *run, int count, int top_k,
                  struct classification *out) {
    struct err err = {0};
    if (count == 0)
        return;
    double start = clock_seconds();
    FAULT_POINT(HAND_DECODED, NULL);
    int status = run_network(run, rows_of(run, count), &err);
    FAULT_POINT(HAND_INFERRED, NULL);
    double ms = (clock_seconds() - start) * 1000;
    struct nn_cam cam;
    bool mapped = status == 0 && run->c->explainable &&
                  nn_session_cam(run->session, &cam);
    if (status == 0)
        average(run, count);
    else
        err.problem = "worker-failed";
    for (int n = 0; n < count; n++) {
        struct classification *o = &out[run->fed[n].picture];
        o->infer_ms = ms;
        if (status < 0)
            fail(o, &err);
        else
            answer(run, &run->fed[n], mapped ? &cam : NULL, top_k, o);
    }
}

/* Where pictures come from: files, or pixels of one size. */
struct source {
    const struct classifier_image *files;
    const uint8_t *const *rgb;
    int width, height;
};

/* Picture i -> entry `slot` of the batch. */
static int take(struct classifier_run *run, const struct source *source, int i,
                int slot, struct classification *out, struct err *err) {
    int least = preprocess_least(&run->c->preprocess);
    memset(out, 0, offsetof(struct classification, maps));
    if (source->files) {
        FAULT_IMAGE(source->files[i].bytes, source->files[i].size);
        int status = image_decode(&run->image, source->files[i].bytes,
                                  source->files[i].size, least, err);
        out->format = run->image.format;
        if (status < 0)
            return -1;
    } else {
        codec_set_size(&run->image, source->width, source->height);
        run->image.rgb = source->rgb[i];
    }
    return feed(run, slot, out, err);
}

/* take(), told to who watches. */
static int take_watched(struct classifier_run *run, const struct source *source,
                        int i, int slot, struct classification *out,
                        struct err *err) {
    double start = clock_seconds();
    if (run->watch.begin)
        run->watch.begin(run->watch.context, i);
    int status = take(run, source, i, slot, out, err);
    if (run->watch.end)
        run->watch.end(run->watch.context);
    image_trim(&run->image, KEEP_BYTES);
    preprocess_work_trim(&run->work, KEEP_BYTES);
    out->decode_ms = (clock_seconds() - start) * 1000;
    return status;
}

static void classify(struct classifier_run *run, const struct source *source,
                     int count, int top_k, struct classification *out) {
    const struct classifier *c = run->c;
    if (top_k > CLASSIFIER_TOP_MAX)
        top_k = CLASSIFIER_TOP_MAX;
    if (top_k > c->scores.classes)
        top_k = c->scores.classes;
    int fed = 0;
    for (int i = 0; i < count; i++) {
        struct err err = {0};
        if (take_watched(run, source, i, fed, &out[i], &err) < 0)
            fail(&out[i], &err);
        else
            run->fed[fed++].picture = i;
        if (fed == run->batch_max || i == count - 1) {
            infer(run, fed, top_k, out);
            fed = 0;
        }
    }
}

void classifier_run(struct classifier_run *run,
                    const struct classifier_image *images, int count, int top_k,
                    struct classification *out) {
    struct source source = {.files = images};
    classify(run, &source, count, top_k, out);
}

void classifier_run_pixels(struct classifier_run *run,
                           const uint8_t *const *rgb, int width, int height,
                           int count, int top_k, struct classification *out) {
    struct source source = {.rgb = rgb, .width = width, .height = height};
    classify(run, &source, count, top_k, out);
}

/* ---- maps by occlusion --------------------------------------------------- */

static int fall_of_scores(struct classifier_run *run, const float *picture,
                          const float *before, int first, int count,
                          const struct classification *out,
                          float cells[][OCCLUSION_CELLS], struct err *err) {
    const struct classifier *c = run->c;
    size_t size = classifier_tensor_size(c);
    float *tensor = nn_session_input(run->session, 0);
    for (int i = 0; i < count; i++)
        occlusion_cover(first + i, c->shape, picture,
                        tensor + (size_t)i * size);
    if (run_network(run, count, err) < 0)
        return -1;
    const float *row = run->scores;
    for (int i = 0; i < count; i++, row += c->scores.classes)
        for (int m = 0; m < out->map_count; m++) {
            float after = scores_log(&c->scores, row, out->top[m].index);
            occlusion_add(first + i, before[m] - after, cells[m]);
        }
    return 0;
}

static int occlude(struct classifier_run *run, const float *picture,
                   struct classification *out, struct err *err) {
    float cells[CLASSIFIER_MAPS_MAX][OCCLUSION_CELLS] = {0};
    out->map_count = out->top_count < CLASSIFIER_MAPS_MAX ? out->top_count
                                                          : CLASSIFIER_MAPS_MAX;
    out->map_width = out->map_height = OCCLUSION_SIDE;
    const struct scores *s = &run->c->scores;
    float before[CLASSIFIER_MAPS_MAX]; /* of the picture as it is: row 0 */
    scores_spread(s, nn_session_output(run->session, s->output), 1,
                  run->scores);
    for (int m = 0; m < out->map_count; m++)
        before[m] = scores_log(s, run->scores, out->top[m].index);
    for (int i = 0; i < OCCLUSION_PLACES; i += run->batch_max) {
        int left = OCCLUSION_PLACES - i;
        int count = left < run->batch_max ? left : run->batch_max;
        if (fall_of_scores(run, picture, before, i, count, out, cells, err) < 0)
            return -1;
    }
    for (int m = 0; m < out->map_count; m++)
        maps_scale(cells[m], OCCLUSION_CELLS, out->maps[m]);
    return 0;
}

void classifier_run_explain(struct classifier_run *run,
                            const struct classifier_image *image, int top_k,
                            struct classification *out) {
    const struct classifier *c = run->c;
    size_t size = classifier_tensor_size(c);
    struct source source = {.files = image};
    struct err err = {0};
    float *picture = malloc(size * sizeof *picture);
    if (!picture) {
        err_problem(&err, "worker-failed", "no memory to explain");
        fail(out, &err);
        return;
    }
    if (take_watched(run, &source, 0, 0, out, &err) < 0) {
        fail(out, &err);
        free(picture);
        return;
    }
    double start = clock_seconds();
    memcpy(picture, nn_session_input(run->session, 0), size * sizeof *picture);
    run->fed[0].picture = 0;
    infer(run, 1, top_k < c->scores.classes ? top_k : c->scores.classes, out);
    if (!out->failed && out->map_count == 0 &&
        occlude(run, picture, out, &err) < 0) {
        err.problem = "worker-failed";
        fail(out, &err);
    }
    out->infer_ms = (clock_seconds() - start) * 1000;
    free(picture);
}
