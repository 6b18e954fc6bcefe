/*
 * drawing: a picture of what a network computes, step by step.
 *
 *     if (drawing_write(model, session, "resnet50", "plan.svg", &err) < 0) ...
 *
 * The end of the file's name says what is written: .svg is a finished drawing,
 * .dot (or .gv) is text for Graphviz: dot -Tpdf plan.dot >plan.pdf. The SVG is
 * made here and needs nothing else: steps stand below one another in the order
 * in which they run, as in the log of a version control system, and lines on
 * the right lead past those in between.
 */
#ifndef CONVOY_TOOL_DRAWING_H
#define CONVOY_TOOL_DRAWING_H

#include "models/nn/nn.h"

int drawing_write(const struct nn_model *model,
                  const struct nn_session *session, const char *title,
                  const char *path, struct err *err);

#endif
