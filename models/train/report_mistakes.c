/*
 * The answers that are most wrong: wrong ones by how sure they are, and where
 * there are few, right ones by how unsure. Each with its picture and, to lay
 * over it, the map of the class that it was taken for.
 */
#include "models/train/report_page.h"

#include "common/base64.h"
#include "common/heatmap.h"
#include "common/png.h"
#include "models/train/explain.h"

#include <stdlib.h>

#define SHOWN 12
#define PICTURE_SIDE 180 /* pixels: sharp on the page, small in the file */
#define TINY 64          /* pixels; below, enlarged without blur */

struct answer {
    int image;
    double badness;
};

static int worst_first(const void *a, const void *b) {
    const struct answer *x = a, *y = b;
    if (x->badness > y->badness || x->badness < y->badness)
        return x->badness > y->badness ? -1 : 1;
    return x->image - y->image;
}

/* Takes the PNG over. */
static void put_image(const struct page *p, const char *class, const char *alt,
                      uint8_t *png, size_t size) {
    char *text = png ? base64_encode(png, size) : NULL;
    if (text) {
        fprintf(p->out, "<img class=\"%s\" alt=\"", class);
        page_text(p, alt);
        fprintf(p->out, "\" src=\"data:image/png;base64,%s\">", text);
    }
    free(text);
    free(png);
}

/* The photo itself where there is one, else what the network sees of it. */
static uint8_t *picture(const struct page *p, int i, int *width, int *height,
                        size_t *size) {
    const struct photos *photos = p->report->photos;
    const struct dataset *set = p->held_out;
    int place = trainer_training_set(p->trainer)->count + i;
    uint8_t *rgb =
        photos ? photos_picture(photos, place, PICTURE_SIDE, width, height)
               : NULL;
    const uint8_t *pixels = rgb;
    if (!rgb) {
        pixels = set->pixels + (size_t)i * shape_size(set->shape);
        *width = set->shape.width;
        *height = set->shape.height;
    }
    uint8_t *png = png_encode(pixels, *width, *height, 3, size);
    free(rgb);
    return png;
}

static void put_map(const struct page *p, int i, int width, int height) {
    static const float whole[4] = {0, 0, 1, 1};
    struct explanation e;
    size_t size = 0;
    if (!explain_image(trainer_network(p->trainer), trainer_augment(p->trainer),
                       p->held_out, i, p->named[i], &e))
        return;
    uint8_t *png = heatmap_png(e.cells, e.width, e.height, whole, width, height,
                               &size, NULL);
    put_image(p, "map", "", png, size);
}

static void put_caption(const struct page *p, int i) {
    const struct photos *photos = p->report->photos;
    int truth = p->held_out->labels[i],
        place = trainer_training_set(p->trainer)->count + i;
    bool right = p->named[i] == truth;
    fprintf(p->out, "<figcaption><b class=\"%s\">", right ? "right" : "wrong");
    page_text(p, p->names[p->named[i]]);
    fprintf(p->out, " %.0f %%</b>", 100 * p->scores[i]);
    if (!right) {
        fprintf(p->out, ", is ");
        page_text(p, p->names[truth]);
        fprintf(p->out, " (%.0f %%)", 100 * p->truth[i]);
    }
    if (photos) {
        fprintf(p->out, "<br><span class=\"soft\">");
        page_text(p, photos->list.files[place].path);
        fprintf(p->out, "</span>");
    }
    fprintf(p->out, "</figcaption>");
}

static void put_answer(const struct page *p, int i) {
    int width = 0, height = 0;
    size_t size = 0;
    uint8_t *png = picture(p, i, &width, &height, &size);
    int longest = width > height ? width : height;
    fprintf(p->out,
            "<figure><div class=\"photo\"><div style=\"width:%.1f%%;"
            "height:%.1f%%\">",
            100.0 * width / longest, 100.0 * height / longest);
    put_image(p, longest < TINY ? "tiny" : "", p->names[p->named[i]], png,
              size);
    put_map(p, i, width, height);
    fprintf(p->out, "</div></div>");
    put_caption(p, i);
    fprintf(p->out, "</figure>");
}

void page_mistakes(const struct page *p) {
    int count = p->held_out->count, wrong = 0;
    struct answer *answers = calloc((size_t)count + 1, sizeof *answers);
    for (int i = 0; answers && i < count; i++) {
        bool right = p->named[i] == p->held_out->labels[i];
        wrong += !right;
        answers[i].image = i;
        answers[i].badness = right ? -p->truth[i] : p->scores[i];
    }
    if (answers)
        qsort(answers, (size_t)count, sizeof *answers, worst_first);
    page_section(p, "wide",
                 wrong > 0 ? "The worst mistakes" : "The least sure answers",
                 wrong > 0 ? "Wrong and sure of it: look for wrong labels, and "
                             "for what the photos of a class have in common."
                           : "None of the held-out images is named wrong; "
                             "these came closest to it.");
    fprintf(p->out, "<input type=\"checkbox\" id=\"maps\" checked><label "
                    "for=\"maps\">show where the network looked (point at a "
                    "picture to see it bare)</label><div class=\"photos\">");
    for (int i = 0; answers && i < count && i < SHOWN; i++)
        put_answer(p, answers[i].image);
    fprintf(p->out, "</div></section>\n");
    free(answers);
}
