/*
 * Multinomial logistic regression by Adam (Kingma and Ba 2015, arXiv
 * 1412.6980) over all images at once: a few hundred small matrix products. Each
 * feature is divided by its root mean square first, which makes them alike in
 * size; the weights take that up at the end.
 */
#include "models/train/probe.h"

#include "models/nn/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 300
#define RATE 0.02f
#define DECAY 1e-3f /* of the weights, an image */
#define BETA1 0.9f
#define BETA2 0.99f
#define EPSILON 1e-8f

struct probe {
    int n, c, k;
    float *x;                       /* (n, C) features, scaled */
    float *scales;                  /* (C) */
    float *logits;                  /* (n, K) */
    float *grads;                   /* (n, K) of the logits */
    float *w, *dw, *first, *second; /* (C, K) */
};

static int open_probe(struct probe *p, int n, int c, int k) {
    size_t images = (size_t)n, inputs = (size_t)c, classes = (size_t)k;
    *p = (struct probe){.n = n, .c = c, .k = k};
    p->x = malloc(images * inputs * sizeof *p->x);
    p->scales = calloc(inputs, sizeof *p->scales);
    p->logits = malloc(2 * images * classes * sizeof *p->logits);
    p->w = calloc(4 * inputs * classes, sizeof *p->w);
    if (!p->x || !p->scales || !p->logits || !p->w)
        return -1;
    p->grads = p->logits + images * classes;
    p->dw = p->w + inputs * classes;
    p->first = p->dw + inputs * classes;
    p->second = p->first + inputs * classes;
    return 0;
}

static void close_probe(struct probe *p) {
    free(p->x);
    free(p->scales);
    free(p->logits);
    free(p->w);
}

static void scale_features(struct probe *p, const float *pooled) {
    size_t c = (size_t)p->c;
    for (size_t i = 0; i < (size_t)p->n * c; i++)
        p->scales[i % c] += pooled[i] * pooled[i];
    for (size_t i = 0; i < c; i++)
        p->scales[i] =
            1 / sqrtf(p->scales[i] / (float)p->n + 1e-6f) / sqrtf((float)c);
    for (size_t i = 0; i < (size_t)p->n * c; i++)
        p->x[i] = pooled[i] * p->scales[i % c];
}

static void step(struct probe *p, int number) {
    float bias1 = 1 - powf(BETA1, (float)number);
    float bias2 = 1 - powf(BETA2, (float)number);
    for (int i = 0; i < p->c * p->k; i++) {
        float g = p->dw[i] / (float)p->n + DECAY * p->w[i];
        p->first[i] = BETA1 * p->first[i] + (1 - BETA1) * g;
        p->second[i] = BETA2 * p->second[i] + (1 - BETA2) * g * g;
        p->w[i] -= RATE * sqrtf((float)p->c) / 16 * (p->first[i] / bias1) /
                   (sqrtf(p->second[i] / bias2) + EPSILON);
    }
}

int probe_fit(struct network *net, const float *pooled, const uint16_t *labels,
              int n, float smoothing, struct err *err) {
    struct layer *l = &net->layers[net->layers_count - 1];
    struct param *weight = &l->params[0];
    int c = (int)shape_size(l->in), k = l->out.channels;
    struct probe p;
    int rc = -1;

    if (open_probe(&p, n, c, k) < 0) {
        err_set(err, "no memory to fit a last layer to %d images", n);
        goto fail;
    }
    scale_features(&p, pooled);
    for (int number = 1; number <= STEPS; number++) {
        struct loss loss = {0};
        gemm(false, false, n, k, c, 1, p.x, c, p.w, k, 0, p.logits, k);
        loss_softmax(p.logits, labels, n, k, smoothing, net->class_weights,
                     p.grads, &loss);
        gemm(true, false, c, k, n, 1, p.x, c, p.grads, k, 0, p.dw, k);
        step(&p, number);
    }
    for (int i = 0; i < c; i++)
        for (int o = 0; o < k; o++)
            weight->value[i * k + o] =
                p.w[i * k + o] * p.scales[i] / l->spec.scale;
    rc = 0;
fail:
    close_probe(&p);
    return rc;
}
