/*
 * Resize and Upsample: nearest, linear and cubic. Each is separable: a number
 * of the output is a weighted sum of a few numbers ("taps") along each axis
 * that is resized. The taps of all axes are computed into the scratch; the walk
 * over the output then multiplies them out.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <math.h>
#include <string.h>

#define TAPS_MAX 4 /* cubic */

struct resize {
    double scales[NN_MAX_RANK];
    const char *mode, *coordinates, *nearest;
    double cubic_a, extrapolation;
    double roi_start[NN_MAX_RANK], roi_end[NN_MAX_RANK];
    bool exclude_outside;
    int taps;
};

struct taps {
    int32_t index[TAPS_MAX];
    float weight[TAPS_MAX]; /* of one tap: 1; below zero index: outside */
};

static bool is(const char *word, const char *other) {
    return strcmp(word, other) == 0;
}

static bool among(const char *word, const char *const *words) {
    for (; *words; words++)
        if (is(word, *words))
            return true;
    return false;
}

/* ---- what the node asks for -----------------------------------------------
 */

static int read_words(const struct op_call *call, struct resize *r,
                      struct err *err) {
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const coordinates[] = {"half_pixel",
                                              "pytorch_half_pixel",
                                              "asymmetric",
                                              "align_corners",
                                              "tf_crop_and_resize",
                                              "tf_half_pixel_for_nn",
                                              NULL};
    static const char *const nearest[] = {
        "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    const struct node *node = call->node;
    /* Until opset 10, and in Upsample, neither could be chosen. */
    const bool old = call->op->since < 11;

    r->mode = node_string(node, "mode", "nearest");
    r->coordinates = node_string(node, "coordinate_transformation_mode",
                                 old ? "asymmetric" : "half_pixel");
    r->nearest =
        node_string(node, "nearest_mode", old ? "floor" : "round_prefer_floor");
    r->cubic_a = (double)node_float(node, "cubic_coeff_a", -0.75f);
    r->extrapolation = (double)node_float(node, "extrapolation_value", 0);
    r->exclude_outside = node_int(node, "exclude_outside", 0) != 0;
    if (is(r->mode, "bilinear")) /* as PyTorch once wrote it */
        r->mode = "linear";
    if (!among(r->mode, modes) || !among(r->coordinates, coordinates) ||
        !among(r->nearest, nearest))
        return err_set(err, "%s with mode %s, %s and %s is not supported",
                       node->op_type, r->mode, r->coordinates, r->nearest);
    r->taps = is(r->mode, "nearest") ? 1 : is(r->mode, "linear") ? 2 : 4;
    return 0;
}

/* The numbers of a float input; a count of 0 where it is left out or empty. */
static int known_floats(const struct op_call *call, int input, double *out,
                        int *count, int max, struct err *err) {
    *count = 0;
    if (!op_has(call, input) || tensor_count(call->inputs[input]) == 0)
        return 0;
    const struct tensor *t = call->inputs[input];
    if (!t->data)
        return err_set(err,
                       "%s needs its input %d to be a constant or to "
                       "follow from shapes alone",
                       call->node->op_type, input);
    if (op_types(call, input, TYPES_FLOAT, err) < 0)
        return -1;
    if (tensor_count(t) != (size_t)max)
        return err_set(err, "%s's input %d has not %d numbers",
                       call->node->op_type, input, max);
    *count = max;
    for (int i = 0; i < max; i++)
        out[i] = number_at(t, (size_t)i);
    return 0;
}

/* Scales: input 1, or 2 where input 1 is the region (opset 11), or the sizes
 * (input 3). Gives the output's dims. */
static int read_scales(const struct op_call *call, struct resize *r,
                       int64_t dims[NN_MAX_RANK], struct err *err) {
    const struct tensor *x = call->inputs[0];
    const bool old = call->op->since < 11;
    int count, rank = x->rank;

    if (known_floats(call, old ? 1 : 2, r->scales, &count, rank, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        const double size = floor((double)x->dims[i] * r->scales[i]);
        if (!(r->scales[i] > 0) || !(size <= INT32_MAX))
            return err_set(err, "%s by %g is out of range", call->node->op_type,
                           r->scales[i]);
        dims[i] = (int64_t)size;
    }
    if (count > 0)
        return 0;
    if (!op_has(call, 3))
        return err_set(err, "%s has neither scales nor sizes",
                       call->node->op_type);
    if (op_known_ints(call, 3, dims, &count, NN_MAX_RANK, err) < 0)
        return -1;
    for (int i = 0; count == rank && i < rank; i++) {
        if (dims[i] < 1 || dims[i] > INT32_MAX || x->dims[i] < 1)
            return err_set(err, "%s to %lld is out of range",
                           call->node->op_type, (long long)dims[i]);
        r->scales[i] = (double)dims[i] / (double)x->dims[i];
    }
    return count == rank ? 0
                         : err_set(err, "%s has %d sizes for rank %d",
                                   call->node->op_type, count, rank);
}

static int read_region(const struct op_call *call, struct resize *r,
                       struct err *err) {
    const int rank = call->inputs[0]->rank;
    double region[2 * NN_MAX_RANK];
    int count;
    if (!is(r->coordinates, "tf_crop_and_resize"))
        return 0;
    if (known_floats(call, 1, region, &count, 2 * rank, err) < 0)
        return -1;
    if (count == 0)
        return err_set(err, "Resize by tf_crop_and_resize needs a region");
    for (int i = 0; i < rank; i++) {
        r->roi_start[i] = region[i];
        r->roi_end[i] = region[rank + i];
    }
    return 0;
}

static int resize_of(const struct op_call *call, struct resize *r,
                     int64_t dims[NN_MAX_RANK], struct err *err) {
    *r = (struct resize){0};
    if (read_words(call, r, err) < 0 || read_scales(call, r, dims, err) < 0 ||
        read_region(call, r, err) < 0)
        return -1;
    return 0;
}

static int infer_resize(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct resize r;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] > INT32_MAX)
            return err_set(err, "%s of a tensor that is too large",
                           call->node->op_type);
    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        resize_of(call, &r, dims, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, dims, err);
}

/* ---- taps -----------------------------------------------------------------
 */

/* Where in the input the output's number `at` comes from. The output counts
 * with its length before rounding down, as in ONNX's tests. */
static double coordinate(const struct resize *r, int axis, double at,
                         double in) {
    const double scale = r->scales[axis], out = in * scale;
    if (is(r->coordinates, "asymmetric"))
        return at / scale;
    if (is(r->coordinates, "pytorch_half_pixel") && out <= 1)
        return 0;
    if (is(r->coordinates, "align_corners"))
        return out <= 1 ? 0 : at * (in - 1) / (out - 1);
    if (is(r->coordinates, "tf_half_pixel_for_nn"))
        return (at + 0.5) / scale;
    if (is(r->coordinates, "tf_crop_and_resize")) {
        const double start = r->roi_start[axis], end = r->roi_end[axis];
        return out > 1 ? start * (in - 1) +
                             at * (end - start) * (in - 1) / (out - 1)
                       : 0.5 * (start + end) * (in - 1);
    }
    return (at + 0.5) / scale - 0.5;
}

static double nearest(const struct resize *r, double x) {
    if (is(r->nearest, "floor"))
        return floor(x);
    if (is(r->nearest, "ceil"))
        return ceil(x);
    return is(r->nearest, "round_prefer_ceil") ? floor(x + 0.5) : ceil(x - 0.5);
}

/* Keys 1981, "Cubic convolution interpolation", with A left open. */
static double cubic(double a, double distance) {
    const double d = fabs(distance);
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static void one_taps(const struct resize *r, int axis, int64_t at, int64_t in,
                     struct taps *taps) {
    const double x = coordinate(r, axis, (double)at, (double)in);
    const double base = r->taps == 1 ? nearest(r, x) : floor(x);
    const int first = r->taps == 4 ? -1 : 0;
    double sum = 0;

    for (int k = 0; k < r->taps; k++) {
        const double tap = base + first + k, last = (double)in - 1;
        double weight = r->taps == 1   ? 1
                        : r->taps == 2 ? 1 - fabs(x - tap)
                                       : cubic(r->cubic_a, x - tap);
        if (r->exclude_outside && (tap < 0 || tap > last))
            weight = 0;
        taps->index[k] = (int32_t)fmax(0, fmin(tap, last));
        taps->weight[k] = (float)weight;
        sum += weight;
    }
    for (int k = 0; r->exclude_outside && k < r->taps; k++)
        taps->weight[k] /= (float)sum;
    if (is(r->coordinates, "tf_crop_and_resize") &&
        (x < 0 || x > (double)in - 1))
        taps->index[0] = -1; /* outside: the extrapolation value */
}

/* An axis that keeps its scale is plain copying, except that a region may crop
 * it. */
static void axis_taps(const struct op_call *call, const struct resize *r,
                      int axis, struct taps *taps) {
    const int64_t in = call->inputs[0]->dims[axis];
    const int64_t out = call->outputs[0].dims[axis];
    const bool crop = is(r->coordinates, "tf_crop_and_resize");
    for (int64_t i = 0; i < out; i++)
        if (crop || r->scales[axis] != 1)
            one_taps(r, axis, i, in, &taps[i]);
        else
            taps[i] = (struct taps){.index = {(int32_t)i}, .weight = {1}};
}

static size_t resize_scratch(const struct op_call *call) {
    size_t count = 0;
    for (int i = 0; i < call->outputs[0].rank; i++)
        count += (size_t)call->outputs[0].dims[i];
    return count * sizeof(struct taps);
}

/* ---- the walk -------------------------------------------------------------
 */

/* What the walk holds on to. */
struct walk {
    const struct tensor *x;
    int rank, taps;
    ptrdiff_t strides[NN_MAX_RANK];
    const struct taps *at[NN_MAX_RANK]; /* of the current number */
};

/* The weighted sum over the axes from `axis` on. */
static double sample(const struct walk *w, int axis, ptrdiff_t offset) {
    if (axis == w->rank)
        return number_at(w->x, (size_t)offset);
    const struct taps *t = w->at[axis];
    double sum = 0;
    for (int k = 0; k < w->taps; k++)
        if (t->weight[k] != 0)
            sum += (double)t->weight[k] *
                   sample(w, axis + 1, offset + t->index[k] * w->strides[axis]);
    return sum;
}

static void run_resize(struct op_call *call) {
    const struct tensor *out = &call->outputs[0];
    struct walk w = {.x = call->inputs[0], .rank = out->rank};
    ptrdiff_t to[NN_MAX_RANK];
    int64_t dims[NN_MAX_RANK], at[NN_MAX_RANK] = {0};
    struct taps *taps[NN_MAX_RANK];
    struct resize r;

    resize_of(call, &r, dims, NULL);
    w.taps = r.taps;
    strided_of_tensor(w.strides, w.x);
    strided_of_tensor(to, out);
    for (int k = 0; k < w.rank; k++) {
        taps[k] = k == 0 ? call->scratch : taps[k - 1] + out->dims[k - 1];
        axis_taps(call, &r, k, taps[k]);
    }
    for (size_t n = tensor_count(out); n > 0; n--) {
        ptrdiff_t target = 0;
        bool outside = false;
        for (int k = 0; k < w.rank; k++) {
            w.at[k] = &taps[k][at[k]];
            outside = outside || w.at[k]->index[0] < 0;
            target += at[k] * to[k];
        }
        const double y = outside ? r.extrapolation : sample(&w, 0, 0);
        number_put_doubles((char *)out->data +
                               target * (ptrdiff_t)type_size(out->type),
                           out->type, &y, 1);
        dims_step(at, out->dims, w.rank);
    }
}

static const struct op_attribute mode_only[] = {{"mode", ATTRIBUTE_STRING},
                                                {0}};
static const struct op_attribute resize[] = {
    {"mode", ATTRIBUTE_STRING},
    {"coordinate_transformation_mode", ATTRIBUTE_STRING},
    {"nearest_mode", ATTRIBUTE_STRING},
    {"cubic_coeff_a", ATTRIBUTE_FLOAT},
    {"exclude_outside", ATTRIBUTE_INT},
    {"extrapolation_value", ATTRIBUTE_FLOAT},
    {0}};

const struct op ops_resize[] = {
    {"Upsample", 9, 2, 2, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, mode_only, NULL},
    {"Resize", 10, 2, 2, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, mode_only, NULL},
    {"Resize", 11, 1, 4, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, resize, NULL},
    {0}};
