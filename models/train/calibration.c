#include "models/train/calibration.h"

#include "models/train/loss.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#define COLDEST 0.05
#define HOTTEST 20.0
#define HALVINGS 60

void calibration_add(struct calibration *c, double score, bool right) {
    int bin = (int)ceil(score * CALIBRATION_BINS) - 1; /* (0, 1/15], ... */
    bin = bin < 0 ? 0 : bin >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : bin;
    c->count[bin]++;
    c->score[bin] += score;
    c->right[bin] += right;
}

double calibration_error(const struct calibration *c) {
    double gaps = 0, images = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        gaps += fabs((double)c->right[i] - c->score[i]);
        images += (double)c->count[i];
    }
    return images > 0 ? gaps / images : 0;
}

int calibration_softmax(const float *logits, int classes, double temperature,
                        double *p) {
    int best = loss_best(logits, classes);
    double sum = 0;
    for (int i = 0; i < classes; i++) {
        p[i] = exp((double)(logits[i] - logits[best]) / temperature);
        sum += p[i];
    }
    for (int i = 0; i < classes; i++)
        p[i] /= sum;
    return best;
}

/* The score of the class named. */
static double top_score(const float *logits, int classes, int best,
                        double temperature) {
    double sum = 0;
    for (int i = 0; i < classes; i++)
        sum += exp((double)(logits[i] - logits[best]) / temperature);
    return 1 / sum;
}

void calibration_measure(struct calibration *c, const float *logits,
                         const uint16_t *labels, int n, int classes,
                         double temperature) {
    for (int image = 0; image < n; image++, logits += classes) {
        int best = loss_best(logits, classes);
        calibration_add(c, top_score(logits, classes, best, temperature),
                        best == labels[image]);
    }
}

/* Of one image's cross entropy with regard to 1 / temperature: the logits'
 * mean under the softmax less that under the target. */
static double slope(const float *logits, int classes, int label, double target,
                    double coldness) {
    int best = loss_best(logits, classes);
    double sum = 0, expected = 0, others = 0;
    for (int i = 0; i < classes; i++) {
        double z = (double)(logits[i] - logits[best]);
        double e = exp(z * coldness);
        sum += e;
        expected += e * z;
        others += i == label ? 0 : z;
    }
    double z = (double)(logits[label] - logits[best]);
    double rest = classes > 1 ? (1 - target) / (classes - 1) : 0;
    return expected / sum - target * z - rest * others;
}

/*
 * Cross entropy is convex in 1 / temperature, so its slope has one zero. Where
 * all answers are right it falls for ever, and the network would be told to be
 * certain. Platt's remedy (1999, "Probabilistic outputs for support vector
 * machines", section 2.2): of n right answers the next is taken to be right
 * with probability (n + 1) / (n + 2).
 */
double calibration_temperature(const float *logits, const uint16_t *labels,
                               int n, int classes) {
    double low = 1 / HOTTEST, high = 1 / COLDEST;
    double target = (n + 1.0) / (n + 2.0);
    if (n == 0)
        return 1;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = sqrt(low * high), sum = 0;
        for (int image = 0; image < n; image++)
            sum += slope(logits + (size_t)image * (size_t)classes, classes,
                         labels[image], target, middle);
        if (sum > 0)
            high = middle;
        else
            low = middle;
    }
    return 1 / sqrt(low * high);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double calibration_threshold(const float *logits, const uint16_t *labels, int n,
                             int classes, double temperature) {
    double *scores = malloc(((size_t)n + 1) * sizeof *scores), threshold = 0;
    int right = 0;
    for (int image = 0; scores && image < n; image++, logits += classes) {
        int best = loss_best(logits, classes);
        if (best == labels[image])
            scores[right++] = top_score(logits, classes, best, temperature);
    }
    if (right > 0) {
        qsort(scores, (size_t)right, sizeof *scores, ascending);
        threshold = scores[right * 5 / 100];
    }
    free(scores);
    return threshold;
}
