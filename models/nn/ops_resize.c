/*
 * Resize and Upsample: nearest, linear and cubic. Each is separable: a number
 * of the output is a weighted sum of a few numbers ("taps") along each axis
 * that is resized. The taps of all axes are computed into the scratch; the walk
 * over the output then multiplies them out.
 *
 * Where ONNX leaves open how exactly to compute, it is as in PyTorch and ONNX
 * Runtime: coordinates are float32, so that the same pixel is the nearest one,
 * and an output's length is a whole number wherever it is used.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <math.h>
#include <string.h>

struct resize {
    float scales[NN_MAX_RANK];
    int64_t dims[NN_MAX_RANK]; /* of the output */
    int taps[NN_MAX_RANK];
    int axes[NN_MAX_RANK], axis_count; /* those that the node speaks of */
    const char *mode, *coordinates, *nearest, *policy;
    double cubic_a, extrapolation;
    float roi_start[NN_MAX_RANK], roi_end[NN_MAX_RANK];
    bool exclude_outside, antialias;
};

struct tap {
    int32_t index; /* below zero: the number is outside of the input */
    float weight;
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
    static const char *const coordinates[] = {
        "half_pixel",           "pytorch_half_pixel",
        "asymmetric",           "align_corners",
        "tf_crop_and_resize",   "tf_half_pixel_for_nn",
        "half_pixel_symmetric", NULL};
    static const char *const nearest[] = {
        "round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    static const char *const policies[] = {"stretch", "not_larger",
                                           "not_smaller", NULL};
    const struct node *node = call->node;
    /* Until opset 10, and in Upsample, neither could be chosen. */
    const bool old = call->op->since < 11;

    r->mode = node_string(node, "mode", "nearest");
    r->coordinates = node_string(node, "coordinate_transformation_mode",
                                 old ? "asymmetric" : "half_pixel");
    r->nearest =
        node_string(node, "nearest_mode", old ? "floor" : "round_prefer_floor");
    r->policy = node_string(node, "keep_aspect_ratio_policy", "stretch");
    r->cubic_a = (double)node_float(node, "cubic_coeff_a", -0.75f);
    r->extrapolation = (double)node_float(node, "extrapolation_value", 0);
    r->exclude_outside = node_int(node, "exclude_outside", 0) != 0;
    r->antialias = node_int(node, "antialias", 0) != 0;
    if (is(r->mode, "bilinear")) /* as PyTorch once wrote it */
        r->mode = "linear";
    if (!among(r->mode, modes) || !among(r->coordinates, coordinates) ||
        !among(r->nearest, nearest) || !among(r->policy, policies) ||
        (r->antialias && is(r->mode, "nearest")))
        return err_set(err, "%s with mode %s, %s, %s and %s%s is not supported",
                       node->op_type, r->mode, r->coordinates, r->nearest,
                       r->policy, r->antialias ? ", antialias" : "");
    return 0;
}

/* All axes, or those of the attribute (opset 18). */
static int read_axes(const struct op_call *call, struct resize *r,
                     struct err *err) {
    const struct tensor *x = call->inputs[0];
    const int64_t *axes;
    const int given = node_ints(call->node, "axes", &axes);
    bool seen[NN_MAX_RANK] = {false};

    r->axis_count = given ? given : x->rank;
    for (int i = 0; i < x->rank; i++) {
        r->axes[i] = i;
        r->scales[i] = 1;
        r->roi_end[i] = 1;
        r->dims[i] = x->dims[i];
    }
    for (int i = 0; i < given; i++) {
        int axis;
        if (op_axis(axes[i], x->rank, &axis, err) < 0)
            return -1;
        if (seen[axis])
            return err_set(err, "Resize has the axis %d twice", axis);
        seen[axis] = true;
        r->axes[i] = axis;
    }
    return 0;
}

/* The numbers of a float input; a count of 0 where it is left out or empty. */
static int known_floats(const struct op_call *call, int input, float *out,
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
        out[i] = (float)number_at(t, (size_t)i);
    return 0;
}

/* Input 1, or 2 where input 1 is the region (opset 11), or the attribute of
 * Upsample until opset 8. */
static int read_factors(const struct op_call *call, float *factors, int *count,
                        int rank, struct err *err) {
    const struct attribute *a = node_attribute(call->node, "scales");
    if (!a)
        return known_floats(call, call->op->since < 11 ? 1 : 2, factors, count,
                            rank, err);
    if (a->count != rank)
        return err_set(err, "%s has not %d scales", call->node->op_type, rank);
    memcpy(factors, a->floats, (size_t)rank * sizeof *factors);
    *count = rank;
    return 0;
}

/* not_larger, not_smaller: one scale for all axes. */
static void keep_aspect(struct resize *r, const struct tensor *x) {
    float scale = r->scales[r->axes[0]];
    if (is(r->policy, "stretch"))
        return;
    for (int i = 1; i < r->axis_count; i++) {
        const float other = r->scales[r->axes[i]];
        scale = is(r->policy, "not_larger") == (other < scale) ? other : scale;
    }
    for (int i = 0; i < r->axis_count; i++) {
        const int axis = r->axes[i];
        r->scales[axis] = scale;
        r->dims[axis] = (int64_t)floorf((float)x->dims[axis] * scale + 0.5f);
    }
}

static int read_sizes(const struct op_call *call, struct resize *r,
                      struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t sizes[NN_MAX_RANK];
    int count;

    if (!op_has(call, 3))
        return err_set(err, "%s has neither scales nor sizes",
                       call->node->op_type);
    if (op_known_ints(call, 3, sizes, &count, NN_MAX_RANK, err) < 0)
        return -1;
    if (count != r->axis_count)
        return err_set(err, "%s has %d sizes for %d axes", call->node->op_type,
                       count, r->axis_count);
    for (int i = 0; i < count; i++) {
        const int axis = r->axes[i];
        if (sizes[i] < 1 || sizes[i] > INT32_MAX || x->dims[axis] < 1)
            return err_set(err, "%s to %lld is out of range",
                           call->node->op_type, (long long)sizes[i]);
        r->dims[axis] = sizes[i];
        r->scales[axis] = (float)sizes[i] / (float)x->dims[axis];
    }
    keep_aspect(r, x);
    return 0;
}

/* Scales, or sizes that they follow from. */
static int read_scales(const struct op_call *call, struct resize *r,
                       struct err *err) {
    const struct tensor *x = call->inputs[0];
    float factors[NN_MAX_RANK];
    int count;

    if (read_factors(call, factors, &count, r->axis_count, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        const int axis = r->axes[i];
        const float size = floorf((float)x->dims[axis] * factors[i]);
        if (!(factors[i] > 0) || !(size < 0x1p31f))
            return err_set(err, "%s by %g is out of range", call->node->op_type,
                           (double)factors[i]);
        r->scales[axis] = factors[i];
        r->dims[axis] = (int64_t)size;
    }
    return count > 0 ? 0 : read_sizes(call, r, err);
}

static int read_region(const struct op_call *call, struct resize *r,
                       struct err *err) {
    float region[2 * NN_MAX_RANK];
    int count;
    if (!is(r->coordinates, "tf_crop_and_resize"))
        return 0;
    if (known_floats(call, 1, region, &count, 2 * r->axis_count, err) < 0)
        return -1;
    if (count == 0)
        return err_set(err, "Resize by tf_crop_and_resize needs a region");
    for (int i = 0; i < r->axis_count; i++) {
        r->roi_start[r->axes[i]] = region[i];
        r->roi_end[r->axes[i]] = region[r->axis_count + i];
    }
    return 0;
}

/* How far a filter reaches along an axis, in pixels of the input: against
 * aliasing farther, as the image shrinks. */
static double reach(const struct resize *r, int axis) {
    const double radius = is(r->mode, "linear") ? 1 : 2;
    return r->antialias && r->scales[axis] < 1
               ? ceil(radius / (double)r->scales[axis])
               : radius;
}

/* Inputs that take part in a number of the output, along one axis. */
static int count_taps(const struct resize *r, int axis, int64_t in,
                      struct err *err) {
    if (is(r->mode, "nearest"))
        return 1;
    const double count = 2 * reach(r, axis);
    if (!(count < 1 << 20))
        return err_set(err, "Resize by %g is out of range",
                       (double)r->scales[axis]);
    return count < (double)in ? (int)count : (int)in;
}

static int resize_of(const struct op_call *call, struct resize *r,
                     struct err *err) {
    const struct tensor *x = call->inputs[0];
    *r = (struct resize){0};
    if (read_words(call, r, err) < 0 || read_axes(call, r, err) < 0 ||
        read_scales(call, r, err) < 0 || read_region(call, r, err) < 0)
        return -1;
    /* An axis that keeps its scale is plain copying, except that a region may
     * crop it. */
    const bool crop = is(r->coordinates, "tf_crop_and_resize");
    for (int i = 0; i < x->rank; i++) {
        r->taps[i] =
            crop || r->scales[i] != 1 ? count_taps(r, i, x->dims[i], err) : 1;
        if (r->taps[i] < 0)
            return -1;
    }
    return 0;
}

static int infer_resize(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct resize r;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] > INT32_MAX)
            return err_set(err, "%s of a tensor that is too large",
                           call->node->op_type);
    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        resize_of(call, &r, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, r.dims, err);
}

/* ---- taps -----------------------------------------------------------------
 */

/* Where in the input the output's number `at` comes from. */
static float coordinate(const struct resize *r, int axis, float at, float in) {
    const float scale = r->scales[axis], out = (float)r->dims[axis];
    if (is(r->coordinates, "asymmetric"))
        return at / scale;
    if (is(r->coordinates, "pytorch_half_pixel") && out <= 1)
        return 0;
    if (is(r->coordinates, "align_corners"))
        return out <= 1 ? 0 : at * (in - 1) / (out - 1);
    if (is(r->coordinates, "tf_half_pixel_for_nn"))
        return (at + 0.5f) / scale;
    if (is(r->coordinates, "tf_crop_and_resize")) {
        const float start = r->roi_start[axis], end = r->roi_end[axis];
        return out > 1 ? start * (in - 1) +
                             at * (end - start) * (in - 1) / (out - 1)
                       : 0.5f * (start + end) * (in - 1);
    }
    const float offset = is(r->coordinates, "half_pixel_symmetric")
                             ? in / 2 * (1 - out / (scale * in))
                             : 0;
    return offset + (at + 0.5f) / scale - 0.5f;
}

static float nearest(const struct resize *r, float x) {
    if (is(r->nearest, "floor"))
        return floorf(x);
    if (is(r->nearest, "ceil"))
        return ceilf(x);
    return is(r->nearest, "round_prefer_ceil") ? floorf(x + 0.5f)
                                               : ceilf(x - 0.5f);
}

/* Keys 1981, "Cubic convolution interpolation", with A left open. */
static double cubic(double a, double distance) {
    const double d = fabs(distance);
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static double weight_at(const struct resize *r, double distance) {
    return is(r->mode, "cubic") ? cubic(r->cubic_a, distance)
                                : fmax(0, 1 - fabs(distance));
}

/* Pixels outside of the input are those at its edge. */
static void filter_taps(const struct resize *r, int axis, double x, double last,
                        struct tap *taps) {
    const double shrink = r->antialias ? fmin(1, (double)r->scales[axis]) : 1;
    const double first = floor(x) + 1 - reach(r, axis);
    const int span = 2 * (int)reach(r, axis);
    double sum = 0;
    int n = 0;

    memset(taps, 0, (size_t)r->taps[axis] * sizeof *taps);
    for (int k = 0; k < span; k++) {
        const double tap = first + k;
        const int32_t index = (int32_t)fmax(0, fmin(tap, last));
        double weight = weight_at(r, (x - tap) * shrink);
        if (r->exclude_outside && (tap < 0 || tap > last))
            weight = 0;
        sum += weight;
        if (k > 0 && index != taps[n].index)
            n++;
        taps[n].index = index;
        taps[n].weight += (float)weight;
    }
    for (int k = 0; (r->exclude_outside || r->antialias) && k <= n; k++)
        taps[k].weight /= (float)sum;
}

static void one_taps(const struct resize *r, int axis, int64_t at, int64_t in,
                     struct tap *taps) {
    const float x = coordinate(r, axis, (float)at, (float)in);
    const double last = (double)in - 1;
    if (is(r->mode, "nearest"))
        *taps = (struct tap){
            (int32_t)fmax(0, fmin((double)nearest(r, x), last)), 1};
    else
        filter_taps(r, axis, (double)x, last, taps);
    if (is(r->coordinates, "tf_crop_and_resize") && (x < 0 || (double)x > last))
        taps->index = -1;
}

static void axis_taps(const struct op_call *call, const struct resize *r,
                      int axis, struct tap *taps) {
    const int64_t in = call->inputs[0]->dims[axis];
    const bool crop = is(r->coordinates, "tf_crop_and_resize");
    for (int64_t i = 0; i < r->dims[axis]; i++, taps += r->taps[axis])
        if (crop || r->scales[axis] != 1)
            one_taps(r, axis, i, in, taps);
        else
            *taps = (struct tap){(int32_t)i, 1};
}

static size_t resize_scratch(const struct op_call *call) {
    struct resize r;
    size_t count = 0;
    resize_of(call, &r, NULL);
    for (int i = 0; i < call->outputs[0].rank; i++)
        count += (size_t)r.dims[i] * (size_t)r.taps[i];
    return count * sizeof(struct tap);
}

/* ---- the walk -------------------------------------------------------------
 */

/* What the walk holds on to. */
struct walk {
    const struct tensor *x;
    int rank;
    const int *taps;
    ptrdiff_t strides[NN_MAX_RANK];
    const struct tap *at[NN_MAX_RANK]; /* of the current number */
};

/* The weighted sum over the axes from `axis` on. */
static double sample(const struct walk *w, int axis, ptrdiff_t offset) {
    if (axis == w->rank)
        return number_at(w->x, (size_t)offset);
    const struct tap *t = w->at[axis];
    double sum = 0;
    for (int k = 0; k < w->taps[axis]; k++)
        if (t[k].weight != 0)
            sum += (double)t[k].weight *
                   sample(w, axis + 1, offset + t[k].index * w->strides[axis]);
    return sum;
}

static void run_resize(struct op_call *call) {
    const struct tensor *out = &call->outputs[0];
    struct resize r;
    struct walk w = {.x = call->inputs[0], .rank = out->rank, .taps = r.taps};
    ptrdiff_t to[NN_MAX_RANK];
    int64_t at[NN_MAX_RANK] = {0};
    struct tap *taps[NN_MAX_RANK], *next = call->scratch;

    resize_of(call, &r, NULL);
    strided_of_tensor(w.strides, w.x);
    strided_of_tensor(to, out);
    for (int k = 0; k < w.rank; k++) {
        taps[k] = next;
        next += r.dims[k] * r.taps[k];
        axis_taps(call, &r, k, taps[k]);
    }
    for (size_t n = tensor_count(out); n > 0; n--) {
        ptrdiff_t target = 0;
        bool outside = false;
        for (int k = 0; k < w.rank; k++) {
            w.at[k] = &taps[k][at[k] * r.taps[k]];
            outside = outside || w.at[k]->index < 0;
            target += at[k] * to[k];
        }
        const double y = outside ? r.extrapolation : sample(&w, 0, 0);
        number_put_doubles((char *)out->data +
                               target * (ptrdiff_t)type_size(out->type),
                           out->type, &y, 1);
        dims_step(at, out->dims, w.rank);
    }
}

static const struct op_attribute upsample_7[] = {
    {"mode", ATTRIBUTE_STRING}, {"scales", ATTRIBUTE_FLOATS}, {0}};
static const struct op_attribute mode_only[] = {{"mode", ATTRIBUTE_STRING},
                                                {0}};
static const struct op_attribute resize_11[] = {
    {"mode", ATTRIBUTE_STRING},
    {"coordinate_transformation_mode", ATTRIBUTE_STRING},
    {"nearest_mode", ATTRIBUTE_STRING},
    {"cubic_coeff_a", ATTRIBUTE_FLOAT},
    {"exclude_outside", ATTRIBUTE_INT},
    {"extrapolation_value", ATTRIBUTE_FLOAT},
    {0}};
static const struct op_attribute resize_18[] = {
    {"mode", ATTRIBUTE_STRING},
    {"coordinate_transformation_mode", ATTRIBUTE_STRING},
    {"nearest_mode", ATTRIBUTE_STRING},
    {"cubic_coeff_a", ATTRIBUTE_FLOAT},
    {"exclude_outside", ATTRIBUTE_INT},
    {"extrapolation_value", ATTRIBUTE_FLOAT},
    {"antialias", ATTRIBUTE_INT},
    {"axes", ATTRIBUTE_INTS},
    {"keep_aspect_ratio_policy", ATTRIBUTE_STRING},
    {0}};

const struct op ops_resize[] = {
    {"Upsample", 7, 1, 1, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, upsample_7, NULL},
    {"Upsample", 9, 2, 2, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, mode_only, NULL},
    {"Resize", 10, 2, 2, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, mode_only, NULL},
    {"Resize", 11, 1, 4, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, resize_11, NULL},
    {"Resize", 18, 1, 4, 1, OP_ANY_LAYOUT, infer_resize, run_resize,
     resize_scratch, resize_18, NULL},
    {0}};
