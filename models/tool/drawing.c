#include "models/tool/drawing.h"

#include "models/nn/tensor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Inputs, then steps, then outputs: a box each. */
struct box {
    char head[160]; /* "Conv+Relu", and how */
    char shape[64];
    const char *name;
    double flops; /* less than 0: an end of the network */
};

struct drawing {
    const char *title;
    struct box *boxes;
    struct nn_edge *edges; /* between boxes */
    int *lanes;            /* of an edge: 0 leads straight down */
    int box_count, edge_count, lane_count;
    double most; /* flops of a box */
};

/* ---- what there is to draw ----------------------------------------------- */

static void make_end(struct box *box, const char *what,
                     const struct nn_port *port) {
    struct tensor t = {.type = port->type, .rank = port->rank};
    char text[160];
    *box = (struct box){.name = port->name, .flops = -1};
    memcpy(t.dims, port->dims, sizeof t.dims);
    const char *shape = strchr(tensor_text(&t, text, sizeof text), '[');
    snprintf(box->head, sizeof box->head, "%s, %s", what,
             type_name(port->type));
    if (port->rank >= 0)
        snprintf(box->shape, sizeof box->shape, "%s", shape ? shape : "");
}

static void make_step(struct box *box, const struct nn_step_report *step) {
    *box = (struct box){.name = step->name, .flops = step->flops};
    snprintf(box->head, sizeof box->head, "%s%s%s", step->op,
             *step->algorithm ? ", " : "", step->algorithm);
    memcpy(box->shape, step->shape, sizeof box->shape);
}

static int take_boxes(struct drawing *d, const struct nn_model *model,
                      const struct nn_session *session, struct err *err) {
    const int inputs = nn_input_count(model), outputs = nn_output_count(model);
    const int steps = nn_session_step_count(session);
    d->box_count = inputs + steps + outputs;
    d->boxes = calloc((size_t)d->box_count + 1, sizeof *d->boxes);
    if (!d->boxes)
        return err_set(err, "no memory for a drawing of %d steps", steps);
    for (int i = 0; i < inputs; i++)
        make_end(&d->boxes[i], "input", nn_input(model, i));
    for (int i = 0; i < steps; i++) {
        struct nn_step_report step;
        nn_session_step(session, i, &step);
        make_step(&d->boxes[inputs + i], &step);
        if (step.flops > d->most)
            d->most = step.flops;
    }
    for (int i = 0; i < outputs; i++)
        make_end(&d->boxes[inputs + steps + i], "output",
                 nn_session_output_port(session, i));
    return 0;
}

static int take_edges(struct drawing *d, const struct nn_session *session,
                      int inputs, struct err *err) {
    d->edge_count = nn_session_edges(session, NULL, 0);
    d->edges = calloc((size_t)d->edge_count + 1, sizeof *d->edges);
    d->lanes = calloc((size_t)d->edge_count + 1, sizeof *d->lanes);
    if (!d->edges || !d->lanes)
        return err_set(err, "no memory for a drawing of %d edges",
                       d->edge_count);
    nn_session_edges(session, d->edges, d->edge_count);
    for (int i = 0; i < d->edge_count; i++) {
        struct nn_edge *e = &d->edges[i];
        e->from = e->from < 0 ? -1 - e->from : inputs + e->from;
        e->to += inputs;
    }
    return 0;
}

/* Edges that pass other boxes get the first lane in which no other one is on
 * the way; those of one box share one. */
static void find_lanes(struct drawing *d) {
    for (int i = 0; i < d->edge_count; i++) {
        const struct nn_edge *e = &d->edges[i];
        if (e->to == e->from + 1)
            continue;
        bool free_lane = false;
        while (!free_lane) {
            d->lanes[i]++;
            free_lane = true;
            for (int k = 0; k < i; k++)
                if (d->lanes[k] == d->lanes[i] && d->edges[k].from != e->from &&
                    d->edges[k].to > e->from && d->edges[k].from < e->to)
                    free_lane = false;
        }
        if (d->lanes[i] > d->lane_count)
            d->lane_count = d->lanes[i];
    }
}

/* ---- Graphviz ------------------------------------------------------------ */

static void put_quoted(FILE *f, const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', f);
        fputc(*text, f);
    }
}

static void write_dot(const struct drawing *d, FILE *f) {
    fputs("digraph \"", f);
    put_quoted(f, d->title);
    fputs("\" {\n  node [shape=box, fontname=\"sans-serif\"];\n", f);
    for (int i = 0; i < d->box_count; i++) {
        fprintf(f, "  b%d [label=\"", i);
        put_quoted(f, d->boxes[i].head);
        fprintf(f, "\\n%s\\n", d->boxes[i].shape);
        put_quoted(f, d->boxes[i].name);
        fprintf(f, "\"%s];\n", d->boxes[i].flops < 0 ? ", style=rounded" : "");
    }
    for (int i = 0; i < d->edge_count; i++)
        fprintf(f, "  b%d -> b%d;\n", d->edges[i].from, d->edges[i].to);
    fputs("}\n", f);
}

/* ---- SVG ----------------------------------------------------------------- */

enum { MARGIN = 16, WIDTH = 600, HEIGHT = 36, PITCH = 52, LANE = 12 };

static void put_xml(FILE *f, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '&'                  ? "&amp;"
                             : *text == '<'                ? "&lt;"
                             : *text == '>'                ? "&gt;"
                             : (unsigned char)*text < 0x20 ? "?"
                                                           : NULL;
        if (entity)
            fputs(entity, f);
        else
            fputc(*text, f);
    }
}

static void put_text(FILE *f, int x, int y, const char *style,
                     const char *text) {
    fprintf(f, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
    put_xml(f, text);
    fputs("</text>\n", f);
}

/* A box, as much of it coloured as it has of the largest one's arithmetic. */
static void put_box(const struct drawing *d, int i, FILE *f) {
    const struct box *box = &d->boxes[i];
    const bool end = box->flops < 0;
    const int top = MARGIN + i * PITCH, right = MARGIN + WIDTH;
    char flops[64];
    if (!end && d->most > 0)
        fprintf(f,
                "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
                "fill=\"#cfe3f7\"/>\n",
                MARGIN, top, WIDTH * box->flops / d->most, HEIGHT);
    fprintf(f,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\" "
            "fill=\"none\" stroke=\"#456\"/>\n",
            MARGIN, top, WIDTH, HEIGHT, end ? HEIGHT / 2 : 3);
    put_text(f, MARGIN + 12, top + 15, "font-weight=\"bold\"", box->head);
    put_text(f, right - 12, top + 15, "text-anchor=\"end\"", box->shape);
    put_text(f, MARGIN + 12, top + 29, "font-size=\"10\" fill=\"#456\"",
             box->name);
    if (end)
        return;
    snprintf(flops, sizeof flops, "%.2f MFLOP", box->flops / 1e6);
    put_text(f, right - 12, top + 29,
             "text-anchor=\"end\" font-size=\"10\" fill=\"#456\"", flops);
}

static void put_edge(const struct drawing *d, int i, FILE *f) {
    const struct nn_edge *e = &d->edges[i];
    const int from = MARGIN + e->from * PITCH, to = MARGIN + e->to * PITCH;
    const int right = MARGIN + WIDTH;
    fputs("<path class=\"edge\" d=\"", f);
    if (d->lanes[i] == 0)
        fprintf(f, "M%d %dV%d", MARGIN + WIDTH / 2, from + HEIGHT, to - 1);
    else
        fprintf(f, "M%d %dH%dV%dH%d", right, from + HEIGHT - 12,
                right + 8 + LANE * d->lanes[i], to + 12, right + 1);
    fputs("\" fill=\"none\" stroke=\"#456\" marker-end=\"url(#tip)\"/>\n", f);
}

static void write_svg(const struct drawing *d, FILE *f) {
    const int width = 2 * MARGIN + WIDTH + LANE * (d->lane_count + 1);
    const int height = 2 * MARGIN + d->box_count * PITCH;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<title>",
            width, height, width, height);
    put_xml(f, d->title);
    fputs("</title>\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" "
          "refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">"
          "<path d=\"M0 0L8 4L0 8z\" fill=\"#456\"/></marker></defs>\n"
          "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
          f);
    for (int i = 0; i < d->box_count; i++)
        put_box(d, i, f);
    for (int i = 0; i < d->edge_count; i++)
        put_edge(d, i, f);
    fputs("</svg>\n", f);
}

/* ---- the file ------------------------------------------------------------ */

static const struct {
    const char *ending;
    void (*write)(const struct drawing *d, FILE *f);
} formats[] = {{".svg", write_svg}, {".dot", write_dot}, {".gv", write_dot}};

static int write_as(const struct drawing *d, const char *path,
                    void (*write)(const struct drawing *d, FILE *f),
                    struct err *err) {
    FILE *f = fopen(path, "w");
    if (!f)
        return err_set(err, "%s: %s", path, strerror(errno));
    write(d, f);
    const bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed)
        return err_set(err, "%s cannot be written: %s", path, strerror(errno));
    return 0;
}

int drawing_write(const struct nn_model *model,
                  const struct nn_session *session, const char *title,
                  const char *path, struct err *err) {
    const char *ending = strrchr(path, '.');
    struct drawing d = {.title = title};
    size_t format = 0;
    const size_t count = sizeof formats / sizeof *formats;
    while (format < count &&
           (!ending || strcmp(ending, formats[format].ending) != 0))
        format++;
    if (format == count)
        return err_set(err, "%s should end in .svg or .dot", path);
    int rc = take_boxes(&d, model, session, err);
    if (rc == 0)
        rc = take_edges(&d, session, nn_input_count(model), err);
    if (rc == 0) {
        find_lanes(&d);
        rc = write_as(&d, path, formats[format].write, err);
    }
    free(d.boxes);
    free(d.edges);
    free(d.lanes);
    return rc;
}
