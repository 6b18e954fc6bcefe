/*
 * report_page: what the parts of report.html are written from and with. See
 * report.h.
 */
#ifndef CONVOY_TRAIN_REPORT_PAGE_H
#define CONVOY_TRAIN_REPORT_PAGE_H

#include "models/train/calibration.h"
#include "models/train/report.h"

#include <stdio.h>

struct page {
    FILE *out;
    const struct report *report;
    struct trainer *trainer;
    const struct dataset *held_out;
    const char *const *names; /* (classes) */
    int classes;
    int epoch; /* of the network that all is measured with; -1: none yet */
    double temperature;
    int *named;     /* (held_out->count) the class that each is taken for */
    double *scores; /* (held_out->count) its probability */
    double *truth;  /* (held_out->count) the probability of the right class */
};

extern const char report_style[];

/* Text with what means something in HTML escaped. */
void page_text(const struct page *p, const char *text);

/* A section begins, with a heading and a sentence below it; "</section>"
 * ends it. `class` may be "wide". */
void page_section(const struct page *p, const char *class, const char *title,
                  const char *sentence);

void page_curves(const struct page *p);
void page_reliability(const struct page *p);
void page_classes(const struct page *p);
void page_confusion(const struct page *p);
void page_mistakes(const struct page *p);

#endif
