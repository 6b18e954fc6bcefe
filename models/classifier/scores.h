/*
 * scores: which output of a network says what is on a picture, and how its
 * numbers become scores from 0 to 1.
 *
 *     struct scores s;
 *     scores_find(&s, &asked, &err);
 *     nn_session_run(session, batch, &err);
 *     if (scores_check(&s, session, batch, &err) == 0) {
 *         scores_spread(&s, nn_session_output(session, s.output), batch, rows);
 *         scores_top(&s, rows, 5, out);                   of the first picture
 *     }
 *
 * Of several outputs it is the one that has as many numbers as there are
 * labels, and of those the one called logits, scores, probabilities or output,
 * in this order, else the first.
 *
 * What a file declares of its output is not believed: the shape is what a run
 * gives, and another one declared is an error. Numbers are probabilities
 * already where the network ends in Softmax or, in whatever way it is written,
 * where those of made-up pictures add up to 1; scores of their own where it
 * ends in Sigmoid; and else logits, for softmax. A single number stands for two
 * classes: it is what speaks for the second.
 */
#ifndef CONVOY_CLASSIFIER_SCORES_H
#define CONVOY_CLASSIFIER_SCORES_H

#include "models/classifier/classifier.h"

struct scores {
    int output;  /* of the network */
    int numbers; /* that it gives a picture */
    int classes; /* numbers, or two where that is one */
    enum { SCORES_AS_THEY_ARE, SCORES_SOFTMAX, SCORES_SIGMOID } step;
    const char *why; /* the step, in words */
};

struct scores_question {
    const struct nn_model *network;
    struct nn_session *session; /* of exactly `batch` pictures; may be run */
    int batch;
    size_t numbers;   /* of its input, in all */
    int labels;       /* how many there are; 0: not known */
    bool independent; /* several classes may be true of a picture */
};
int scores_find(struct scores *s, const struct scores_question *q,
                struct err *err);

/* Refuses another shape than (batch, numbers) from what `session` is about to
 * give, or gave last. */
int scores_check(const struct scores *s, const struct nn_session *session,
                 int batch, struct err *err);

/* `given` (rows, numbers) -> `rows_out` (rows, classes), to be averaged over
 * views and passed to the functions below. */
void scores_spread(const struct scores *s, const float *given, int rows,
                   float *rows_out);

/* The `top_k` best of a row, best first; fails where one is not a number. */
int scores_top(const struct scores *s, const float *row, int top_k,
               struct classification *out, struct err *err);

/* The logarithm of the score of class `k`. */
float scores_log(const struct scores *s, const float *row, int k);

#endif
