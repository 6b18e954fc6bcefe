#include "models/train/whiten.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 5e-4 /* added to eigenvalues; the original's */
#define SIDE_MAX 64  /* of the covariance matrix */
#define SWEEPS 60    /* Jacobi converges in about ten */

/* One rotation that makes a[p][q] zero (Golub and Van Loan, Matrix
 * Computations, section 8.5). */
static void rotate(double *a, int n, double *vectors, int p, int q) {
    double apq = a[p * n + q];
    if (apq == 0)
        return;
    double tau = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau));
    double cosine = 1 / sqrt(1 + t * t), sine = t * cosine;
    for (int k = 0; k < n; k++) {
        double kp = a[k * n + p], kq = a[k * n + q];
        a[k * n + p] = cosine * kp - sine * kq;
        a[k * n + q] = sine * kp + cosine * kq;
    }
    for (int k = 0; k < n; k++) {
        double pk = a[p * n + k], qk = a[q * n + k];
        a[p * n + k] = cosine * pk - sine * qk;
        a[q * n + k] = sine * pk + cosine * qk;
        double vp = vectors[p * n + k], vq = vectors[q * n + k];
        vectors[p * n + k] = cosine * vp - sine * vq;
        vectors[q * n + k] = sine * vp + cosine * vq;
    }
}

void whiten_eigen(double *a, int n, double *vectors) {
    for (int i = 0; i < n * n; i++)
        vectors[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int p = 0; p < n - 1; p++)
            for (int q = p + 1; q < n; q++)
                rotate(a, n, vectors, p, q);
}

/* Adds the products of one image's patches (kernel, kernel, C) to `sums`. */
static void add_patches(const struct layer *l, const float *image, int side,
                        double *sums) {
    int size = l->spec.kernel, c = l->in.channels;
    double patch[SIDE_MAX];
    for (int y = 0; y + size <= l->in.height; y++)
        for (int x = 0; x + size <= l->in.width; x++) {
            for (int i = 0; i < side; i++) {
                int row = y + i / (size * c), column = x + i / c % size;
                patch[i] =
                    (double)image[(row * l->in.width + column) * c + i % c];
            }
            for (int i = 0; i < side; i++)
                for (int j = 0; j < side; j++)
                    sums[i * side + j] += patch[i] * patch[j];
        }
}

int whiten_conv(struct layer *l, const float *x, int images, struct err *err) {
    int size = l->spec.kernel, side = size * size * l->in.channels;
    int k = l->out.channels;
    double covariance[SIDE_MAX * SIDE_MAX] = {0};
    double vectors[SIDE_MAX * SIDE_MAX];

    if (side > SIDE_MAX || k != 2 * side)
        return err_set(err,
                       "a whitening convolution of %dx%d needs %d outputs, "
                       "not %d, and patches of at most %d numbers",
                       size, size, 2 * side, k, SIDE_MAX);
    for (int n = 0; n < images; n++)
        add_patches(l, x + (size_t)n * shape_size(l->in), side, covariance);
    double patches =
        (double)images * (l->in.height - size + 1) * (l->in.width - size + 1);
    for (int i = 0; i < side * side; i++)
        covariance[i] /= patches;
    whiten_eigen(covariance, side, vectors);
    float *weights = l->params[0].value; /* (kernel, kernel, C, K) */
    for (int v = 0; v < side; v++) {
        double scale = 1 / sqrt(fmax(covariance[v * side + v], 0) + EPSILON);
        for (int i = 0; i < side; i++) {
            float weight = (float)(vectors[v * side + i] * scale);
            weights[i * k + v] = weight;
            weights[i * k + side + v] = -weight;
        }
    }
    return 0;
}
