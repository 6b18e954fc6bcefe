/*
 * Charts as SVG: curves by epoch on a grid of round numbers, and the
 * reliability diagram of Guo et al. 2017 (arXiv 1706.04599, figure 1).
 */
#include "models/train/report_page.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 560
#define HEIGHT 250
#define LEFT 46
#define RIGHT 14
#define TOP 18
#define BOTTOM 26
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define TICKS 5

struct scale {
    double low, high, step;
    bool percent;
};

/* A step of 1, 2 or 5 times a power of ten, about TICKS to the range. */
static double round_step(double range) {
    double rough = range / TICKS, power = pow(10, floor(log10(rough)));
    double times = rough / power;
    return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

static struct scale make_scale(double low, double high, bool percent) {
    if (!(high > low))
        high = low + 1;
    struct scale s = {.step = round_step(high - low), .percent = percent};
    s.low = floor(low / s.step + 1e-9) * s.step;
    s.high = ceil(high / s.step - 1e-9) * s.step;
    return s;
}

static double place_y(const struct scale *s, double value) {
    double share = (value - s->low) / (s->high - s->low);
    return TOP + PLOT_HEIGHT * (1 - fmin(fmax(share, 0), 1));
}

static void open_svg(FILE *out, const char *label) {
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">",
            WIDTH, HEIGHT, label);
}

static void put_value(FILE *out, const struct scale *s, double value) {
    if (s->percent)
        fprintf(out, "%.*f %%", s->step < 0.01 ? 1 : 0, 100 * value);
    else
        fprintf(out, "%.6g", fabs(value) < s->step / 1e3 ? 0 : value);
}

static void put_grid(FILE *out, const struct scale *s) {
    for (double v = s->low; v < s->high + s->step / 2; v += s->step) {
        double y = place_y(s, v);
        fprintf(out,
                "<line class=\"gridline\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
                "y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
        put_value(out, s, v);
        fprintf(out, "</text>");
    }
}

/* ---- by epoch ------------------------------------------------------------ */

/* A number of an epoch. */
typedef double figure(const struct trainer *t, int epoch);

struct curve {
    const char *name;
    const char *class; /* of its colour */
    figure *value;
};

static double loss(const struct trainer *t, int e) {
    return trainer_epoch(t, e)->loss;
}

static double held_out_loss(const struct trainer *t, int e) {
    return trainer_epoch(t, e)->validation_loss;
}

static double accuracy(const struct trainer *t, int e) {
    return trainer_epoch(t, e)->accuracy;
}

static double held_out_accuracy(const struct trainer *t, int e) {
    return trainer_epoch(t, e)->validation_accuracy;
}

static double rate(const struct trainer *t, int e) {
    return trainer_rate(t, e);
}

/* Epochs are counted from 1; a single one stands in the middle. */
static double place_epoch(int epoch, int epochs) {
    double share = epochs > 1 ? (double)epoch / (epochs - 1) : 0.5;
    return LEFT + PLOT_WIDTH * share;
}

static void put_epochs(FILE *out, int epochs) {
    int step = (int)fmax(1, round_step(fmax(epochs, 2)));
    for (int e = 0; e < epochs; e++)
        if ((e + 1) % step == 0 || e == 0)
            fprintf(out,
                    "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d"
                    "</text>",
                    place_epoch(e, epochs), HEIGHT - 6, e + 1);
}

static void put_line(const struct page *p, const struct curve *c,
                     const struct scale *s, int done, int epochs) {
    fprintf(p->out, "<path class=\"%s\" d=\"", c->class);
    for (int e = 0; e < done; e++)
        fprintf(p->out, "%s%.1f %.1f", e == 0 ? "M" : "L",
                place_epoch(e, epochs), place_y(s, c->value(p->trainer, e)));
    fprintf(p->out, "\"/>");
    double last = c->value(p->trainer, done - 1);
    fprintf(p->out,
            "<circle class=\"%s\" r=\"3.5\" cx=\"%.1f\" cy=\"%.1f\">"
            "<title>%s, epoch %d: ",
            c->class, place_epoch(done - 1, epochs), place_y(s, last), c->name,
            done);
    put_value(p->out, s, last);
    fprintf(p->out, "</title></circle>");
}

static void put_key(const struct page *p, const struct curve *curves, int count,
                    const struct scale *s, int done, bool marked) {
    fprintf(p->out, "<div class=\"key\">");
    for (int i = 0; i < count; i++) {
        double last = curves[i].value(p->trainer, done - 1);
        fprintf(p->out, "<span class=\"%s\"><i></i>%s ", curves[i].class,
                curves[i].name);
        if (s->percent)
            fprintf(p->out, "%.2f %%</span>", 100 * last);
        else
            fprintf(p->out, "%.4g</span>", last);
    }
    if (marked)
        fprintf(p->out, "<span><i class=\"best\"></i>best epoch: %d</span>",
                trainer_best_epoch(p->trainer) + 1);
    fprintf(p->out, "</div>");
}

static void put_curves(const struct page *p, const char *title,
                       const char *sentence, const struct curve *curves,
                       int count, bool percent) {
    int done = trainer_epochs_done(p->trainer);
    int epochs = trainer_settings(p->trainer)->epochs;
    double low = curves[0].value(p->trainer, 0), high = low;
    for (int i = 0; i < count; i++)
        for (int e = 0; e < done; e++) {
            low = fmin(low, curves[i].value(p->trainer, e));
            high = fmax(high, curves[i].value(p->trainer, e));
        }
    struct scale s = make_scale(percent ? low : 0, percent ? 1 : high, percent);
    page_section(p, "", title, sentence);
    open_svg(p->out, title);
    put_grid(p->out, &s);
    put_epochs(p->out, epochs);
    int best = trainer_best_epoch(p->trainer);
    bool marked = trainer_settings(p->trainer)->patience > 0 && count > 1;
    if (marked)
        fprintf(p->out,
                "<line class=\"best\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" "
                "y2=\"%d\"><title>best epoch: %d</title></line>",
                place_epoch(best, epochs), place_epoch(best, epochs), TOP,
                TOP + PLOT_HEIGHT, best + 1);
    for (int i = count - 1; i >= 0; i--)
        put_line(p, &curves[i], &s, done, epochs);
    fprintf(p->out, "</svg>");
    put_key(p, curves, count, &s, done, marked);
    fprintf(p->out, "</section>\n");
}

void page_curves(const struct page *p) {
    static const struct curve accuracies[] = {
        {"held out", "a", held_out_accuracy}, {"training", "b", accuracy}};
    static const struct curve losses[] = {{"held out", "a", held_out_loss},
                                          {"training", "b", loss}};
    static const struct curve rates[] = {
        {"at the beginning of an epoch", "a", rate}};
    bool held_out = p->held_out->count > 0;
    int first = held_out ? 0 : 1, count = held_out ? 2 : 1;
    put_curves(p, "Accuracy",
               "Share that is named right, by epoch. Training images are "
               "counted as changed by augmentation, so they may be behind.",
               accuracies + first, count, true);
    put_curves(p, "Loss",
               "Cross entropy. On training images that of smoothed labels, "
               "which does not go to 0.",
               losses + first, count, false);
    put_curves(p, "Learning rate", "Per 1024 images.", rates, 1, false);
}

/* ---- reliability --------------------------------------------------------- */

#define FEW 5 /* images of a bin that say little; shown pale */

/* A bar a bin, how many images it stands for above the plot. */
static void put_bars(const struct page *p, const struct calibration *c,
                     const struct scale *s) {
    double width = (double)PLOT_WIDTH / CALIBRATION_BINS;
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        if (c->count[i] == 0)
            continue;
        double right = (double)c->right[i] / (double)c->count[i];
        double y = place_y(s, right);
        fprintf(p->out,
                "<rect class=\"a\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                "height=\"%.1f\" rx=\"2\" fill-opacity=\"%s\"><title>%ld "
                "images with a mean score of %.1f %%: %.1f %% right</title>"
                "</rect><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">"
                "%ld</text>",
                LEFT + i * width + 3, y, width - 6, TOP + PLOT_HEIGHT - y,
                c->count[i] < FEW ? ".35" : ".85", c->count[i],
                100 * c->score[i] / (double)c->count[i], 100 * right,
                LEFT + (i + 0.5) * width, TOP - 5, c->count[i]);
    }
}

/* A stroke a bin. */
static void put_strokes(const struct page *p, const struct calibration *c,
                        const struct scale *s) {
    double width = (double)PLOT_WIDTH / CALIBRATION_BINS;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        if (c->count[i] > 0)
            fprintf(p->out, "<path class=\"b\" d=\"M%.1f %.1fh%.1f\"/>",
                    LEFT + i * width + 3,
                    place_y(s, (double)c->right[i] / (double)c->count[i]),
                    width - 6);
}

void page_reliability(const struct page *p) {
    const struct scale s = {0, 1, 0.2, true};
    const float *logits = trainer_validation_logits(p->trainer);
    struct calibration before = {0}, after = {0};
    calibration_measure(&before, logits, p->held_out->labels,
                        p->held_out->count, p->classes, 1);
    calibration_measure(&after, logits, p->held_out->labels, p->held_out->count,
                        p->classes, p->temperature);
    page_section(p, "", "Calibration",
                 "Of the images that get a score of 80 %, 80 % should be "
                 "right: then the bars meet the line. Numbers are images.");
    open_svg(p->out, "Reliability of the scores");
    put_grid(p->out, &s);
    put_bars(p, &after, &s);
    put_strokes(p, &before, &s);
    fprintf(p->out, "<path class=\"ideal\" d=\"M%d %dL%d %d\"/>", LEFT,
            TOP + PLOT_HEIGHT, WIDTH - RIGHT, TOP);
    for (int i = 0; i <= 5; i++)
        fprintf(p->out,
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d %%"
                "</text>",
                LEFT + PLOT_WIDTH * i / 5.0, HEIGHT - 6, 20 * i);
    fprintf(p->out,
            "</svg><div class=\"key\"><span class=\"a\"><i></i>at temperature "
            "%.3g: error %.4f</span><span class=\"b\"><i></i>as trained: "
            "%.4f</span><span><i class=\"ideal\"></i>as sure as right"
            "</span></div></section>\n",
            p->temperature, calibration_error(&after),
            calibration_error(&before));
}
