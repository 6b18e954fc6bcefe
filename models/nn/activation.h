/*
 * activation: the function applied to a number after a layer.
 *
 *     struct activation relu6 = {ACTIVATION_CLIP, 0.0f, 6.0f};
 *
 * Convolutions take one to apply while their result is in cache (conv.h), and
 * vmath.h applies one to an array. NaN stays NaN.
 */
#ifndef CONVOY_NN_ACTIVATION_H
#define CONVOY_NN_ACTIVATION_H

enum activation_kind {
    ACTIVATION_NONE,         /* x */
    ACTIVATION_RELU,         /* max(x, 0) */
    ACTIVATION_CLIP,         /* min(max(x, alpha), beta) */
    ACTIVATION_LEAKY_RELU,   /* x < 0 ? alpha * x : x */
    ACTIVATION_ELU,          /* x < 0 ? alpha * (exp(x) - 1) : x */
    ACTIVATION_SIGMOID,      /* 1 / (1 + exp(-x)) */
    ACTIVATION_HARD_SIGMOID, /* min(max(alpha * x + beta, 0), 1) */
    ACTIVATION_TANH,
    ACTIVATION_GELU,       /* x / 2 * (1 + erf(x / sqrt(2))) */
    ACTIVATION_GELU_TANH,  /* its approximation by tanh */
    ACTIVATION_SILU,       /* x * sigmoid(x), also called swish */
    ACTIVATION_HARD_SWISH, /* x * min(max(x / 6 + 1/2, 0), 1) */
    ACTIVATION_MISH,       /* x * tanh(log(1 + exp(x))) */
    ACTIVATION_KINDS,
};

/* A zeroed one does nothing. */
struct activation {
    enum activation_kind kind;
    float alpha, beta; /* as above; ignored by the others */
};

#endif
