#include "models/train/progress.h"

#include "common/clock.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 24
#define REDRAW_SECONDS 0.1

void progress_time(double seconds, char text[32]) {
    long s = lround(fmax(0, fmin(seconds, 1e9)));
    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
}

void progress_open(struct progress *p, FILE *out, int epochs, int epochs_done) {
    *p = (struct progress){.out = out,
                           .terminal = isatty(fileno(out)) == 1,
                           .epochs = epochs,
                           .first_epoch = epochs_done,
                           .begun = clock_seconds()};
}

void progress_start(struct progress *p, int epoch, long steps) {
    p->epoch = epoch;
    p->steps = steps;
    p->epoch_begun = clock_seconds();
}

/* Of the epochs that this process has run, and is running. */
static double seconds_left(const struct progress *p, double epochs_run) {
    double elapsed = clock_seconds() - p->begun;
    double all = p->epochs - p->first_epoch;
    return epochs_run > 0 ? elapsed * (all - epochs_run) / epochs_run : 0;
}

void progress_step(struct progress *p, long step, long images, double loss,
                   double accuracy) {
    double now = clock_seconds();
    if (!p->terminal || (now - p->last_drawn < REDRAW_SECONDS))
        return;
    p->last_drawn = now;

    double done = (double)step / (double)p->steps;
    char left[32], bar[BAR_WIDTH + 1];
    progress_time(seconds_left(p, p->epoch - p->first_epoch + done), left);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(done * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = 0;
    fprintf(p->out,
            "\r\033[Kepoch %d/%d [%s] loss %.3f, accuracy %.2f %%, "
            "%.0f images/s, %s left",
            p->epoch + 1, p->epochs, bar, loss, 100 * accuracy,
            (double)images / (now - p->epoch_begun), left);
    fflush(p->out);
}

void progress_epoch(struct progress *p, long images,
                    const struct epoch_record *record) {
    char left[32], held_out[96] = "";
    progress_time(seconds_left(p, p->epoch + 1 - p->first_epoch), left);
    if (record->validation_loss > 0) /* 0: none were held out */
        snprintf(held_out, sizeof held_out,
                 "held out: loss %.4f, accuracy %.2f %%, ",
                 record->validation_loss, 100 * record->validation_accuracy);
    fprintf(p->out,
            "%sepoch %d/%d: loss %.4f, accuracy %.2f %%, %s%.0f images/s, %s "
            "left\n",
            p->terminal ? "\r\033[K" : "", p->epoch + 1, p->epochs,
            record->loss, 100 * record->accuracy, held_out,
            (double)images / record->seconds, left);
    fflush(p->out);
}
