/*
 * What a run is told, and what of it makes sense.
 */
#include "models/train/trainer.h"

#include "models/train/photometric.h"

/* The recipe of arXiv 2404.00498, but for half the batch and more epochs. */
const struct settings trainer_defaults = {
    .architecture = "airbench",
    .width = 1,
    .rate = 11.5,
    .momentum = 0.85,
    .weight_decay = 0.0153,
    .smoothing = 0.2,
    .seed = 1,
    .epochs = 20,
    .batch = 512,
    .validation = 5000,
    .translate = 2,
    .feature_rate = 1,
};

static int check_steps(const struct settings *s, struct err *err) {
    if (s->epochs < 1)
        return err_set(err, "--epochs %d: at least 1", s->epochs);
    if (s->batch < 1)
        return err_set(err, "--batch %d: at least 1", s->batch);
    if (!(s->rate > 0))
        return err_set(err, "--lr %g: a learning rate is above 0", s->rate);
    if (!(s->feature_rate >= 0))
        return err_set(err, "--feature-lr %g: not negative", s->feature_rate);
    if (!(s->momentum >= 0 && s->momentum < 1))
        return err_set(err, "--momentum %g: at least 0 and below 1",
                       s->momentum);
    if (!(s->weight_decay >= 0))
        return err_set(err, "--weight-decay %g: not negative", s->weight_decay);
    if (!(s->smoothing >= 0 && s->smoothing < 1))
        return err_set(err, "--label-smoothing %g: at least 0 and below 1",
                       s->smoothing);
    if (s->frozen < 0)
        return err_set(err, "--frozen %d: not negative", s->frozen);
    if (s->validation < 0)
        return err_set(err, "--validation %d: not negative", s->validation);
    if (s->patience < 0 || (s->patience > 0 && s->validation == 0))
        return err_set(err,
                       "--patience %d: not negative, and it needs held-out "
                       "images to be judged by",
                       s->patience);
    if (s->average < 0 || s->average > s->epochs)
        return err_set(err, "--average %d: not negative, and %d epochs at most",
                       s->average, s->epochs);
    if (s->average > 0 && s->patience > 0)
        return err_set(err,
                       "--average %d keeps the mean of the last epochs, and "
                       "--patience %d one of them: say --patience 0, or leave "
                       "--average out",
                       s->average, s->patience);
    return 0;
}

static int check_changes(const struct settings *s, struct shape input,
                         struct err *err) {
    int side = input.height < input.width ? input.height : input.width;
    if (s->cutout < 0 || s->cutout >= side)
        return err_set(err,
                       "--cutout %d: a square of %d pixels leaves nothing of "
                       "images of %d x %d",
                       s->cutout, s->cutout, input.width, input.height);
    if (s->translate < 0 || s->translate > side / 4)
        return err_set(err,
                       "--translate %d: images of %d x %d are moved by 0 to "
                       "%d pixels, a quarter of their side",
                       s->translate, input.width, input.height, side / 4);
    if (!(s->zoom >= 0 && s->zoom <= 1))
        return err_set(err, "--zoom %g: 0 to 1", s->zoom);
    if (!(s->outliers >= 0 && s->outliers <= 0.5))
        return err_set(err, "--outliers %g: a share of 0 to 0.5 of the images",
                       s->outliers);
    if (!(s->photometric >= 0 && s->photometric <= 1))
        return err_set(err, "--photometric %g: a share of 0 to 1 of the images",
                       s->photometric);
    if (s->photometric > 0 && input.width > PHOTOMETRIC_SIDE_MAX)
        return err_set(err,
                       "--photometric %g: only for images of a side of %d "
                       "pixels at most",
                       s->photometric, PHOTOMETRIC_SIDE_MAX);
    return 0;
}

int trainer_check(const struct settings *s, struct shape input,
                  struct err *err) {
    return check_steps(s, err) < 0 ? -1 : check_changes(s, input, err);
}
