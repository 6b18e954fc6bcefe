/*
 * Accuracy by class, and the confusion matrix: a row a class, a column what its
 * images are taken for. Beyond CLASSES_SHOWN classes nobody reads a matrix, and
 * the pairs that are confused most are listed.
 */
#include "models/train/report_page.h"

#include <stdlib.h>

#define CLASSES_SHOWN 32
#define PAIRS_SHOWN 24

struct class_row {
    int class;
    int images, right;
};

static double share(const struct class_row *row) {
    return row->images ? (double)row->right / row->images : 0;
}

/* Behind them those that nothing is known of. */
static int worst_first(const void *a, const void *b) {
    const struct class_row *x = a, *y = b;
    if (!x->images != !y->images)
        return x->images ? -1 : 1;
    double difference = share(x) - share(y);
    return difference < 0 ? -1 : difference > 0 ? 1 : x->class - y->class;
}

static void put_class(const struct page *p, const struct class_row *row) {
    fprintf(p->out, "<div class=\"row\"><span title=\"");
    page_text(p, p->names[row->class]);
    fprintf(p->out, "\">");
    page_text(p, p->names[row->class]);
    fprintf(p->out,
            "</span><div class=\"bar\"><i style=\"width:%.1f%%\"></i></div>",
            100 * share(row));
    if (row->images)
        fprintf(p->out,
                "<span>%.1f %%</span><span class=\"soft\">%d/%d</span></div>",
                100 * share(row), row->right, row->images);
    else
        fprintf(p->out, "<span class=\"soft\">none held out</span>"
                        "<span></span></div>");
}

void page_classes(const struct page *p) {
    struct class_row *rows = calloc((size_t)p->classes, sizeof *rows);
    for (int i = 0; rows && i < p->classes; i++)
        rows[i].class = i;
    for (int i = 0; rows && i < p->held_out->count; i++) {
        int label = p->held_out->labels[i];
        rows[label].images++;
        rows[label].right += p->named[i] == label;
    }
    if (rows)
        qsort(rows, (size_t)p->classes, sizeof *rows, worst_first);
    page_section(p, "", "By class",
                 "Share of each class's held-out images that is named right, "
                 "the hardest first.");
    fprintf(p->out, "<div class=\"rows\">");
    for (int i = 0; rows && i < p->classes; i++)
        put_class(p, &rows[i]);
    fprintf(p->out, "</div></section>\n");
    free(rows);
}

/* ---- who is taken for whom ----------------------------------------------- */

static void put_cell(const struct page *p, int count, int of, bool right) {
    double part = of > 0 ? (double)count / of : 0;
    if (count == 0) {
        fprintf(p->out, "<td></td>");
        return;
    }
    /* Never quite pale: a single mistake is to be seen. Never so strong that
     * the number has less contrast than 4.5 : 1 (WCAG 2.1, 1.4.3). */
    double strength = right ? 0.15 + 0.75 * part : 0.25 + 0.65 * part;
    fprintf(p->out, "<td style=\"background:rgb(var(--cell-%s)/%.2f)\">%d</td>",
            right ? "blue" : "red", strength, count);
}

/* The span, not the cell of a table, can be kept short. */
static void put_matrix_head(const struct page *p, const char *scope,
                            const char *name) {
    fprintf(p->out, "<th scope=\"%s\" title=\"", scope);
    page_text(p, name);
    fprintf(p->out, "\"><span>");
    page_text(p, name);
    fprintf(p->out, "</span></th>");
}

static void put_matrix(const struct page *p, const int *counts) {
    int k = p->classes;
    fprintf(p->out, "<div class=\"scroll\"><table class=\"matrix\"><thead>"
                    "<tr><td style=\"background:none\"></td>");
    for (int i = 0; i < k; i++)
        put_matrix_head(p, "col", p->names[i]);
    fprintf(p->out, "</tr></thead><tbody>");
    for (int row = 0; row < k; row++) {
        int images = 0;
        for (int i = 0; i < k; i++)
            images += counts[row * k + i];
        fprintf(p->out, "<tr>");
        put_matrix_head(p, "row", p->names[row]);
        for (int i = 0; i < k; i++)
            put_cell(p, counts[row * k + i], images, i == row);
        fprintf(p->out, "</tr>");
    }
    fprintf(p->out, "</tbody></table></div>");
}

static void put_pairs(const struct page *p, int *counts) {
    int k = p->classes;
    fprintf(p->out, "<table class=\"data\"><tr><th>class</th><th>taken for"
                    "</th><th>images</th></tr>");
    for (int shown = 0; shown < PAIRS_SHOWN; shown++) {
        int most = -1;
        for (int i = 0; i < k * k; i++)
            if (i / k != i % k && counts[i] > 0 &&
                (most < 0 || counts[i] > counts[most]))
                most = i;
        if (most < 0)
            break;
        fprintf(p->out, "<tr><td>");
        page_text(p, p->names[most / k]);
        fprintf(p->out, "</td><td>");
        page_text(p, p->names[most % k]);
        fprintf(p->out, "</td><td>%d</td></tr>", counts[most]);
        counts[most] = 0;
    }
    fprintf(p->out, "</table>");
}

void page_confusion(const struct page *p) {
    size_t k = (size_t)p->classes;
    int *counts = calloc(k * k, sizeof *counts);
    bool matrix = p->classes <= CLASSES_SHOWN;
    for (int i = 0; counts && i < p->held_out->count; i++)
        counts[p->held_out->labels[i] * p->classes + p->named[i]]++;
    page_section(p, "", "Who is taken for whom",
                 matrix ? "A row is a class, a column what its held-out "
                          "images are named. What is off the diagonal is wrong."
                        : "The pairs of classes that are confused most.");
    if (counts && matrix)
        put_matrix(p, counts);
    else if (counts)
        put_pairs(p, counts);
    fprintf(p->out, "</section>\n");
    free(counts);
}
