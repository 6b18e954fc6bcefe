/*
 * unfold: the patches of a convolution as rows of a matrix (im2col), so that
 * the convolution is its product with the weights (KH*KW*C, K).
 */
#ifndef CONVOY_TRAIN_UNFOLD_H
#define CONVOY_TRAIN_UNFOLD_H

#include "models/train/layer.h"

/* x (images, H, W, C) -> rows (images * out H * out W, KH*KW*C) */
void unfold(const struct layer *l, const float *x, int images, float *rows);

/* The adjoint, of one image: adds rows up where they came from. */
void fold(const struct layer *l, const float *rows, float *image);

#endif
