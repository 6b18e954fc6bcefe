#include "models/train/loss.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

int loss_best(const float *logits, int classes) {
    int best = 0;
    for (int i = 1; i < classes; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

void loss_softmax(const float *logits, const uint16_t *labels, int n,
                  int classes, float smoothing, const float *weights,
                  float *gradient, struct loss *loss) {
    double off = (double)smoothing / classes;
    double on = 1 - (double)smoothing + off;

    for (int image = 0; image < n; image++, logits += classes) {
        int best = loss_best(logits, classes), class = labels[image];
        bool none = class == LOSS_NO_CLASS;
        double weight = weights && !none ? (double)weights[class] : 1;
        double top = (double)logits[best], sum = 0;
        for (int i = 0; i < classes; i++)
            sum += exp((double)logits[i] - top);
        double log_sum = top + log(sum);
        for (int i = 0; i < classes; i++) {
            double target = none ? 1.0 / classes : i == class ? on : off;
            double log_p = (double)logits[i] - log_sum;
            loss->sum -= weight * target * log_p;
            if (gradient)
                gradient[(size_t)image * (size_t)classes + (size_t)i] =
                    (float)(weight * (exp(log_p) - target));
        }
        loss->correct += best == class;
        loss->classed += !none;
    }
}
