/*
 * whiten: the first convolution from the statistics of the training images.
 *
 * Its filters are the eigenvectors of the covariance of all patches of its
 * size, each divided by the root of its eigenvalue, and the same negated: what
 * comes out has unit variance in every direction (Page 2019, "How to train
 * your ResNet"; section 3.2 of arXiv 2404.00498). They are not trained.
 */
#ifndef CONVOY_TRAIN_WHITEN_H
#define CONVOY_TRAIN_WHITEN_H

#include "models/train/layer.h"

/* Fills the weights of `l`, a convolution of kernel k and 2*k*k*C outputs,
 * from x (images, its input). `images` must not be 0. */
int whiten_conv(struct layer *l, const float *x, int images, struct err *err);

/* Eigenvalues and eigenvectors of the symmetric a (n, n) by Jacobi's
 * rotations; a's diagonal becomes the eigenvalues, row i of `vectors` is the
 * eigenvector of eigenvalue i. No order. */
void whiten_eigen(double *a, int n, double *vectors);

#endif
