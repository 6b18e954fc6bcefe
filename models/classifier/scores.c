#include "models/classifier/scores.h"

#include "common/job.h"
#include "models/nn/tensor.h"

#include <math.h>
#include <string.h>

#define SUM_TOLERANCE 1e-3 /* of probabilities, from 1 */
#define TRIALS 2           /* logits that add up to 1 by chance do so once */

/* ---- which output -------------------------------------------------------- */

/* How many numbers a picture gets; 0: none that could be scores, as those of a
 * map. A network that loses its first dimension does so where that is 1. */
static int numbers_of(const struct nn_port *port, int batch) {
    size_t count = dims_count(port->dims, port->rank);
    bool fits = port->rank > 1 ? port->dims[0] == batch : batch == 1;
    int wide = 0;
    for (int i = 1; i < port->rank; i++)
        wide += port->dims[i] > 1;
    fits = fits && wide <= 1;
    if (port->type != NN_FLOAT32 || port->rank < 1 || !fits || count < 1 ||
        count / (size_t)batch > JOB_LABELS_MAX)
        return 0;
    return (int)(count / (size_t)batch);
}

static int classes_of(int numbers) {
    return numbers == 1 ? 2 : numbers;
}

/* Its place in the list of names; beyond them all where it has none of them. */
static int rank_of_name(const char *name) {
    static const char *const names[] = {"logits", "scores", "probabilities",
                                        "output"};
    int i = 0;
    while (i < 4 && strcmp(names[i], name) != 0)
        i++;
    return i;
}

/* Lower is better; the count of labels goes before the name. */
static int rank_of(const struct nn_port *port, int numbers, int labels) {
    bool fits = labels == 0 || classes_of(numbers) == labels;
    return (fits ? 0 : 100) + (port->rank <= 2 ? 0 : 10) +
           rank_of_name(port->name);
}

static int choose_output(struct scores *s, const struct scores_question *q,
                         struct err *err) {
    int best = INT_MAX;
    for (int i = 0; i < nn_output_count(q->network); i++) {
        const struct nn_port *port = nn_session_output_port(q->session, i);
        int numbers = numbers_of(port, q->batch);
        int rank = numbers ? rank_of(port, numbers, q->labels) : INT_MAX;
        if (rank < best) {
            best = rank;
            s->output = i;
            s->numbers = numbers;
        }
    }
    if (best == INT_MAX)
        return err_set(err,
                       "output \"%s\" should be float32 (images, classes), of "
                       "at most %d classes",
                       nn_output(q->network, 0)->name, JOB_LABELS_MAX);
    s->classes = classes_of(s->numbers);
    return 0;
}

/* "(N, 7)" */
static const char *shape_text(const struct nn_port *port, char text[128]) {
    size_t at = (size_t)snprintf(text, 128, "(N");
    for (int i = 1; i < port->rank && at < 100; i++)
        at += (size_t)snprintf(text + at, 128 - at, ", %lld",
                               (long long)port->dims[i]);
    snprintf(text + at, 128 - at, ")");
    return text;
}

/* A file that lies about its output was made by a broken tool, or to harm. */
static int compare_declared(const struct scores *s,
                            const struct scores_question *q, struct err *err) {
    const struct nn_port *declared = nn_output(q->network, s->output);
    const struct nn_port *given = nn_session_output_port(q->session, s->output);
    char texts[2][128];
    bool same = true, open = declared->rank < 2;
    int64_t left = s->numbers;
    for (int i = 1; i < declared->rank; i++) {
        open = open || declared->dims[i] < 0;
        same = same && declared->dims[i] > 0 && left % declared->dims[i] == 0;
        left = same ? left / declared->dims[i] : 0;
    }
    if (open || (same && left == 1))
        return 0;
    return err_set(err,
                   "output \"%s\" is declared as %s, but the network gives %s",
                   declared->name, shape_text(declared, texts[0]),
                   shape_text(given, texts[1]));
}

int scores_check(const struct scores *s, const struct nn_session *session,
                 int batch, struct err *err) {
    const struct nn_port *port = nn_session_output_port(session, s->output);
    if (numbers_of(port, batch) == s->numbers)
        return 0;
    return err_set(err,
                   "of %d pictures output \"%s\" should have %d numbers each; "
                   "it has %zu in all",
                   batch, port->name, s->numbers,
                   dims_count(port->dims, port->rank));
}

/* ---- what its numbers are ------------------------------------------------ */

static void fill_with_noise(float *x, size_t count, uint32_t state) {
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes, 7.1 */
        x[i] = (float)(state >> 8) / (float)(1 << 22) - 2;
    }
}

static bool adds_up(const float *row, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        if (!(row[i] >= 0))
            return false;
        sum += (double)row[i];
    }
    return fabs(sum - 1) <= SUM_TOLERANCE;
}

/* Whether the rows of made-up pictures add up to 1. */
static int measure(const struct scores *s, const struct scores_question *q,
                   bool *adding, struct err *err) {
    *adding = true;
    for (uint32_t trial = 1; trial <= TRIALS && *adding; trial++) {
        fill_with_noise(nn_session_input(q->session, 0), q->numbers, trial);
        if (nn_session_run(q->session, q->batch, err) < 0 ||
            scores_check(s, q->session, q->batch, err) < 0)
            return -1;
        const float *row = nn_session_output(q->session, s->output);
        for (int i = 0; i < q->batch; i++, row += s->numbers)
            *adding = *adding && adds_up(row, s->numbers);
    }
    return 0;
}

static void decide(struct scores *s, enum nn_ending ending, bool adding,
                   bool independent) {
    bool sigmoid = ending == NN_ENDS_IN_SIGMOID;
    s->step = SCORES_AS_THEY_ARE;
    if (s->numbers == 1 && sigmoid) {
        s->why = "one number p, as it ends in Sigmoid: 1 - p is the score of "
                 "the first label, p of the second";
    } else if (s->numbers == 1) {
        s->step = SCORES_SOFTMAX;
        s->why = "one logit, of which sigmoid makes p: 1 - p is the score of "
                 "the first label, p of the second";
    } else if (sigmoid) {
        s->why = "independent scores as they are, as it ends in Sigmoid";
    } else if (ending == NN_ENDS_IN_SOFTMAX) {
        s->why = "probabilities as they are, as it ends in Softmax";
    } else if (adding) {
        s->why = "probabilities as they are, as they add up to 1";
    } else if (independent) {
        s->step = SCORES_SIGMOID;
        s->why = "logits, of which sigmoid makes independent scores, as "
                 "config.json says multi_label_classification";
    } else {
        s->step = SCORES_SOFTMAX;
        s->why = "logits, of which softmax makes probabilities";
    }
}

int scores_find(struct scores *s, const struct scores_question *q,
                struct err *err) {
    bool adding = false;
    *s = (struct scores){0};
    if (choose_output(s, q, err) < 0 || compare_declared(s, q, err) < 0)
        return -1;
    enum nn_ending ending = nn_output_ending(q->network, s->output);
    if (s->numbers == 1 && ending == NN_ENDS_IN_SOFTMAX)
        return err_set(err,
                       "output \"%s\" is the softmax of one number, which is 1 "
                       "whatever the picture",
                       nn_output(q->network, s->output)->name);
    if (s->numbers > 1 && ending == NN_ENDS_OTHERWISE &&
        measure(s, q, &adding, err) < 0)
        return -1;
    decide(s, ending, adding, q->independent);
    return 0;
}

/* ---- what comes of them -------------------------------------------------- */

void scores_spread(const struct scores *s, const float *given, int rows,
                   float *rows_out) {
    if (s->numbers == s->classes) {
        memcpy(rows_out, given,
               (size_t)rows * (size_t)s->numbers * sizeof *given);
        return;
    }
    /* softmax of 0 and z is 1 - sigmoid(z) and sigmoid(z) */
    for (int i = 0; i < rows; i++) {
        rows_out[2 * i] = s->step == SCORES_SOFTMAX ? 0 : 1 - given[i];
        rows_out[2 * i + 1] = given[i];
    }
}

/* The largest logit, and the sum of all exp(logit - largest). */
struct scale {
    double largest, sum;
};

static struct scale softmax_scale(const float *row, int classes) {
    struct scale scale = {(double)row[0], 0};
    for (int i = 1; i < classes; i++)
        scale.largest = fmax(scale.largest, (double)row[i]);
    for (int i = 0; i < classes; i++)
        scale.sum += exp((double)row[i] - scale.largest);
    return scale;
}

/* The `top_k` greatest, best first, the lower index first among equals. */
static void pick_top(const float *row, int classes, int top_k,
                     struct classification *out) {
    int count = 0;
    for (int i = 0; i < classes; i++) {
        if (count == top_k && !(row[i] > out->top[count - 1].score))
            continue;
        int at = count < top_k ? count++ : count - 1;
        while (at > 0 && row[i] > out->top[at - 1].score) {
            out->top[at] = out->top[at - 1];
            at--;
        }
        out->top[at].index = i;
        out->top[at].score = row[i];
    }
    out->top_count = count;
}

static double finish(const struct scores *s, struct scale scale, double x) {
    switch (s->step) {
    case SCORES_SOFTMAX:
        return exp(x - scale.largest) / scale.sum;
    case SCORES_SIGMOID:
        return 1 / (1 + exp(-x));
    default: /* rounding may have led beyond */
        return fmin(fmax(x, 0), 1);
    }
}

int scores_top(const struct scores *s, const float *row, int top_k,
               struct classification *out, struct err *err) {
    for (int i = 0; i < s->classes; i++)
        if (!isfinite(row[i]))
            return err_set(err, "gave a score that is not a number (class %d)",
                           i);
    struct scale scale = {0};
    if (s->step == SCORES_SOFTMAX)
        scale = softmax_scale(row, s->classes);
    pick_top(row, s->classes, top_k, out);
    for (int i = 0; i < out->top_count; i++)
        out->top[i].score = (float)finish(s, scale, (double)out->top[i].score);
    return 0;
}

float scores_log(const struct scores *s, const float *row, int k) {
    if (s->step == SCORES_SOFTMAX) {
        struct scale scale = softmax_scale(row, s->classes);
        return (float)((double)row[k] - scale.largest - log(scale.sum));
    }
    return (float)log(
        fmax(finish(s, (struct scale){0}, (double)row[k]), 1e-12));
}
