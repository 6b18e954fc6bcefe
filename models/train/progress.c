#include "models/train/progress.h"

#include "common/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_WIDTH 24
#define BAR_LEAST 4 /* narrower ones say nothing */
#define COLUMNS 80  /* of a terminal that does not say */
#define REDRAW_SECONDS 0.1

void progress_time(double seconds, char text[32]) {
    long s = lround(fmax(0, fmin(seconds, 1e9)));
    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
}

/* A line that wraps is not the one that "\r" goes back to. */
static int columns(FILE *out) {
    struct winsize size = {0};
    const char *said = getenv("COLUMNS");
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    int count = said ? atoi(said) : 0;
    return count > 0 ? count : COLUMNS;
}

/* Whether it can move its cursor. */
static bool is_terminal(FILE *out) {
    const char *kind = getenv("TERM");
    return isatty(fileno(out)) == 1 && kind && strcmp(kind, "dumb") != 0;
}

void progress_open(struct progress *p, FILE *out, int epochs, int epochs_done) {
    *p = (struct progress){.out = out,
                           .terminal = is_terminal(out),
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
    char left[32], head[64], tail[128], bar[BAR_WIDTH + 1] = "";
    progress_time(seconds_left(p, p->epoch - p->first_epoch + done), left);
    snprintf(head, sizeof head, "epoch %d/%d ", p->epoch + 1, p->epochs);
    snprintf(tail, sizeof tail,
             "loss %.3f, accuracy %.2f %%, %.0f images/s, %s left", loss,
             100 * accuracy, (double)images / (now - p->epoch_begun), left);

    /* The last column stays free: some terminals wrap once it is written. */
    int room = columns(p->out) - 1;
    int width = room - (int)strlen(head) - (int)strlen(tail) - 3;
    width = width < BAR_LEAST ? 0 : width < BAR_WIDTH ? width : BAR_WIDTH;
    for (int i = 0; i < width; i++)
        bar[i] = i < (int)(done * width) ? '#' : '.';
    char line[256];
    snprintf(line, sizeof line, width ? "%s[%s] %s" : "%s%s%s", head, bar,
             tail);
    fprintf(p->out, "\r\033[K%.*s", room, line);
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
