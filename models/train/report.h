/*
 * report: report.html, a run of training for people to look at.
 *
 *     const struct report report = {.trainer = t, .photos = &photos,
 *                                   .name = "flowers", .command = text};
 *     report_write("DIR/report.html", &report, &err);      after each epoch
 *
 * One file that needs nothing else: its style sheet, charts (SVG) and pictures
 * (data: URIs) are inside. Light and dark, phone and desktop. While the run is
 * on it reloads itself. Written whole and renamed, so a browser never sees
 * half of it.
 *
 *   report.c           the page, figures at its top, data and settings
 *   report_chart.c     curves by epoch, and the reliability of scores
 *   report_classes.c   accuracy by class, and who is taken for whom
 *   report_mistakes.c  the worst answers, with their pictures and maps
 *   report_style.c     the style sheet
 *
 * Everything measured is measured on the held-out images with the network as
 * it is in the trainer: that of the latest epoch, or, after trainer_use_best(),
 * the one that is kept.
 */
#ifndef CONVOY_TRAIN_REPORT_H
#define CONVOY_TRAIN_REPORT_H

#include "models/train/photos.h"
#include "models/train/trainer.h"

struct report {
    struct trainer *trainer;
    const struct photos *photos; /* NULL: CIFAR-10 */
    const char *name;            /* of the model */
    const char *command;         /* that trains the network again */
    double temperature;          /* 0: fitted on the held-out images */
    bool running;
    const char *reason; /* that it ended for before its time, or NULL */
};

/* Before the first epoch it says what is to be trained on. */
int report_write(const char *path, const struct report *report,
                 struct err *err);

#endif
