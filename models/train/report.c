#include "models/train/report.h"

#include "common/file.h"
#include "models/train/names.h"
#include "models/train/progress.h"
#include "models/train/report_page.h"

#include <stdlib.h>
#include <time.h>

#define RELOAD_SECONDS 15
#define FIRST_EPOCH_SECONDS 600 /* that one may take before any has ended */
#define FINDINGS_SHOWN 40       /* of a kind */

void page_text(const struct page *p, const char *text) {
    names_html(p->out, text);
}

void page_section(const struct page *p, const char *class, const char *title,
                  const char *sentence) {
    fprintf(p->out,
            "<section class=\"%s\"><h2>%s</h2><p class=\"soft\">%s</p>\n",
            class, title, sentence);
}

/* ---- the top of the page ------------------------------------------------- */

static void put_head(const struct page *p) {
    fprintf(p->out, "<!doctype html>\n<html lang=\"en\"><head>"
                    "<meta charset=\"utf-8\"><meta name=\"viewport\" "
                    "content=\"width=device-width,initial-scale=1\">"
                    "<meta name=\"color-scheme\" content=\"light dark\">");
    if (p->report->running)
        fprintf(p->out, "<meta http-equiv=\"refresh\" content=\"%d\">",
                RELOAD_SECONDS);
    fprintf(p->out, "<title>");
    page_text(p, p->report->name);
    fprintf(p->out,
            "%s</title><style>%s</style></head>\n<body>"
            "<main>\n",
            p->report->running ? " in training" : "", report_style);
}

static void put_state(const struct page *p) {
    const struct trainer *t = p->trainer;
    const struct report *report = p->report;
    bool over = !report->running && !report->reason && trainer_finished(t);
    char time[32];
    progress_time(trainer_seconds(t), time);
    fprintf(p->out,
            "<p><span class=\"state%s\">%s</span> <span class=\"soft\">epoch "
            "%d of %d, %s of training</span></p>",
            report->running ? " on"
            : over          ? ""
                            : " off",
            report->running ? "training"
            : over          ? "finished"
                            : "stopped",
            trainer_epochs_done(t), trainer_settings(t)->epochs, time);
    if (report->reason) {
        fprintf(p->out, "<p>");
        page_text(p, report->reason);
        fprintf(p->out, "</p>");
    }
}

/* A training that was killed leaves the page as it was, reloading for ever. So
 * the page itself says when no epoch has ended for as long as three take. */
static const char news_script[] =
    "<script>{const p=document.querySelector('.news'),"
    "silent=Date.now()/1000-p.dataset.written;"
    "if(silent>60+3*p.dataset.epoch){"
    "const m=Math.round(silent/60),h=Math.round(m/60),"
    "long=m<120?m+' minutes':h<48?h+' hours':Math.round(h/24)+' days';"
    "p.textContent='No epoch has ended for '+long+'. If the training is not '+"
    "'running any more, the same command with --resume goes on where it '+"
    "'ended.';p.hidden=false;"
    "const s=document.querySelector('.state');"
    "s.textContent='no news';s.className='state off'}}</script>";

static void put_news(const struct page *p) {
    int done = trainer_epochs_done(p->trainer);
    fprintf(p->out,
            "<p class=\"news\" data-written=\"%lld\" data-epoch=\"%.0f\" "
            "hidden></p>%s",
            (long long)time(NULL),
            done > 0 ? trainer_seconds(p->trainer) / done : FIRST_EPOCH_SECONDS,
            news_script);
}

static void put_header(const struct page *p) {
    fprintf(p->out, "<header><h1>");
    page_text(p, p->report->name);
    fprintf(p->out, "</h1>");
    put_state(p);
    if (p->report->running) {
        put_news(p);
        fprintf(p->out,
                "<div class=\"bar\"><i style=\"width:%.1f%%\"></i>"
                "</div>",
                100.0 * trainer_epochs_done(p->trainer) /
                    trainer_settings(p->trainer)->epochs);
    }
    fprintf(p->out, "</header>\n");
}

static void put_tile(const struct page *p, const char *label, double value,
                     int decimals, const char *unit) {
    fprintf(p->out,
            "<div class=\"tile\"><b>%.*f%s</b><span class=\"soft\">%s</span>"
            "</div>",
            decimals, value, unit, label);
}

static double error_now(const struct page *p) {
    struct calibration c = {0};
    calibration_measure(&c, trainer_validation_logits(p->trainer),
                        p->held_out->labels, p->held_out->count, p->classes,
                        p->temperature);
    return calibration_error(&c);
}

/* Of the network that the page is about. */
static const struct epoch_record *record_of(const struct page *p) {
    return trainer_ended(p->trainer) ? trainer_kept(p->trainer)
                                     : trainer_epoch(p->trainer, p->epoch);
}

static void put_measures(const struct page *p) {
    const struct epoch_record *record = record_of(p);
    int averaged = trainer_averaged(p->trainer);
    char label[64];
    if (p->held_out->count > 0) {
        if (trainer_ended(p->trainer) && averaged > 1)
            snprintf(label, sizeof label,
                     "of %d held-out images right, mean of %d epochs",
                     p->held_out->count, averaged);
        else
            snprintf(label, sizeof label,
                     "of %d held-out images right, epoch %d",
                     p->held_out->count, p->epoch + 1);
        put_tile(p, label, 100 * record->validation_accuracy, 2, " %");
        put_tile(p, "right in the mean over the classes",
                 100 * record->validation_balanced, 2, " %");
        put_tile(p, "calibration error", error_now(p), 4, "");
    }
    snprintf(label, sizeof label, "of the training images right, epoch %d",
             p->epoch + 1);
    put_tile(p, label, 100 * record->accuracy, 2, " %");
}

static void put_tiles(const struct page *p) {
    const struct trainer *t = p->trainer;
    int images = trainer_training_set(t)->count;
    char label[64];
    fprintf(p->out, "<div class=\"tiles\">");
    if (p->epoch >= 0)
        put_measures(p);
    snprintf(label, sizeof label, "images to learn from, %d classes",
             p->classes);
    put_tile(p, label, images, 0, "");
    if (p->epoch >= 0)
        put_tile(p, "images a second",
                 (double)images * trainer_epochs_done(t) / trainer_seconds(t),
                 0, "");
    fprintf(p->out, "</div>\n");
}

static void put_mean_note(const struct page *p) {
    const struct trainer *t = p->trainer;
    const int averaged = trainer_averaged(t);
    if (!trainer_ended(t))
        fprintf(p->out,
                "All of it is of the latest epoch, %d. What will be written is "
                "the mean of the last epochs, %d so far.",
                p->epoch + 1, averaged);
    else
        fprintf(p->out,
                "All but the curves is of the model that was written: the mean "
                "of the weights after each of the last %d epochs, with the "
                "statistics of batch normalisation measured anew. The curves "
                "are of each epoch alone.",
                averaged);
}

/* Which network the page is about, where that is a question. */
static void put_note(const struct page *p) {
    const struct trainer *t = p->trainer;
    int best = trainer_best_epoch(t);
    bool anew;
    const struct epoch_record *settled = trainer_settled(t, &anew);
    fprintf(p->out, "<p class=\"soft note\">");
    if (p->epoch < 0)
        fprintf(p->out, "The first epoch is not done yet.");
    else if (trainer_averaged(t) > 1)
        put_mean_note(p);
    else if (settled)
        fprintf(p->out,
                "All but the curves is of the model that was written: epoch "
                "%d, %.2f %% right as training left it (so in the curves), "
                "%.2f %% with the statistics of batch normalisation measured "
                "anew. The %s is the better and was kept.",
                best + 1, 100 * trainer_epoch(t, best)->validation_accuracy,
                100 * settled->validation_accuracy, anew ? "latter" : "former");
    else if (best != p->epoch)
        fprintf(p->out,
                "All but the curves is of the latest epoch, %d. The best so "
                "far is epoch %d: %.2f %% right.",
                p->epoch + 1, best + 1,
                100 * trainer_epoch(t, best)->validation_accuracy);
    fprintf(p->out, "</p>\n");
}

/* ---- data and settings --------------------------------------------------- */

static void put_findings(const struct page *p, const struct findings *found) {
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        int count = findings_of(found, (enum finding_kind)kind), shown = 0;
        if (count == 0)
            continue;
        fprintf(p->out, "<h3>%d %s</h3><ul>", count,
                finding_title((enum finding_kind)kind));
        for (int i = 0; i < found->count && shown < FINDINGS_SHOWN; i++)
            if (found->items[i].kind == (enum finding_kind)kind) {
                fprintf(p->out, "<li>");
                page_text(p, found->items[i].text ? found->items[i].text : "?");
                fprintf(p->out, "</li>");
                shown++;
            }
        if (count > shown)
            fprintf(p->out, "<li>and %d more</li>", count - shown);
        fprintf(p->out, "</ul>");
    }
}

static void put_photos(const struct page *p) {
    const struct photos *photos = p->report->photos;
    int most = 1;
    page_section(p, "", "The photos",
                 photos->found.count > 0
                     ? "How many of each class, and what was found wrong."
                     : "How many of each class. Nothing was found wrong.");
    for (int i = 0; i < p->classes; i++)
        if (photos->class_counts[i] > most)
            most = photos->class_counts[i];
    fprintf(p->out, "<div class=\"rows\">");
    for (int i = 0; i < p->classes; i++) {
        fprintf(p->out, "<div class=\"row\"><span title=\"");
        page_text(p, p->names[i]);
        fprintf(p->out, "\">");
        page_text(p, p->names[i]);
        fprintf(p->out,
                "</span><div class=\"bar\"><i style=\"width:%.1f%%\"></i>"
                "</div><span>%d</span><span></span></div>",
                100.0 * photos->class_counts[i] / most,
                photos->class_counts[i]);
    }
    fprintf(p->out, "</div>");
    put_findings(p, &photos->found);
    fprintf(p->out, "</section>\n");
}

static void put_command(const struct page *p) {
    page_section(p, p->report->photos ? "" : "wide", "The same again",
                 "With all settings written out. Same photos, seed and kind "
                 "of processor: the same network, bit for bit.");
    fprintf(p->out, "<pre>");
    page_text(p, p->report->command);
    fprintf(p->out, "</pre></section>\n");
}

/* ---- the page ------------------------------------------------------------ */

static int judge(struct page *p, struct err *err) {
    const float *logits = trainer_validation_logits(p->trainer);
    size_t count = (size_t)p->held_out->count;
    double *probabilities = malloc((size_t)p->classes * sizeof *probabilities);
    p->named = malloc((count + 1) * sizeof *p->named);
    p->scores = malloc((count + 1) * sizeof *p->scores);
    p->truth = malloc((count + 1) * sizeof *p->truth);
    if (!probabilities || !p->named || !p->scores || !p->truth) {
        free(probabilities);
        return err_set(err, "no memory for the report");
    }
    if (!(p->temperature > 0))
        p->temperature = calibration_temperature(
            logits, p->held_out->labels, p->held_out->count, p->classes);
    for (size_t i = 0; i < count; i++, logits += p->classes) {
        p->named[i] = calibration_softmax(logits, p->classes, p->temperature,
                                          probabilities);
        p->scores[i] = probabilities[p->named[i]];
        p->truth[i] = probabilities[p->held_out->labels[i]];
    }
    free(probabilities);
    return 0;
}

static void put_page(const struct page *p) {
    put_head(p);
    put_header(p);
    put_tiles(p);
    put_note(p);
    fprintf(p->out, "<div class=\"grid\">\n");
    if (p->epoch >= 0)
        page_curves(p);
    if (p->epoch >= 0 && p->held_out->count > 0) {
        page_reliability(p);
        page_confusion(p);
        page_classes(p);
        page_mistakes(p);
    }
    if (p->report->photos)
        put_photos(p);
    put_command(p);
    fprintf(p->out, "</div></main></body></html>\n");
}

int report_write(const char *path, const struct report *report,
                 struct err *err) {
    const struct dataset *held_out = trainer_validation_set(report->trainer);
    struct page p = {.report = report,
                     .trainer = report->trainer,
                     .held_out = held_out,
                     .names = held_out->names,
                     .classes = held_out->classes,
                     .epoch = trainer_ended(report->trainer)
                                  ? trainer_best_epoch(report->trainer)
                                  : trainer_epochs_done(report->trainer) - 1,
                     .temperature = report->temperature};
    char *text = NULL;
    size_t size = 0;
    int rc = -1;
    p.out = open_memstream(&text, &size);
    if (!p.out || (p.epoch >= 0 && judge(&p, err) < 0))
        goto fail;
    put_page(&p);
    int closed = fclose(p.out);
    p.out = NULL;
    rc = closed != 0 ? err_set(err, "no memory for the report")
                     : file_write(path, text, size, err);
fail:
    if (p.out)
        fclose(p.out);
    free(text);
    free(p.named);
    free(p.scores);
    free(p.truth);
    return rc;
}
