/*
 * Einsum of one or two tensors, as one product of matrices. An axis that both
 * have and the output too counts the matrices; one that only the first has
 * makes rows, only the second columns; one that both have and the output has
 * not is summed over. What one alone has and the output has not is summed
 * while the tensor is copied into that order:
 *
 *     a (matrices, rows, summed) * b (matrices, summed, columns)
 */
#include "models/nn/gemm.h"
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <limits.h>
#include <string.h>

#define LABELS_MAX (3 * NN_MAX_RANK) /* of two inputs and the output */

/* The labels of a tensor's axes: letters, and for the axes of "..." 1 to
 * NN_MAX_RANK, counted from its end. */
struct term {
    int rank;
    unsigned char labels[NN_MAX_RANK];
};

struct label {
    unsigned char name;
    enum role { MATRICES, ROWS, SUMMED, COLUMNS, ALONE } role;
    int64_t dim;
};

struct einsum {
    struct term in[2], out;
    struct label labels[LABELS_MAX];
    int count;
    size_t sizes[ALONE + 1]; /* by role */
};

static int find(const struct term *t, unsigned char name) {
    for (int i = 0; i < t->rank; i++)
        if (t->labels[i] == name)
            return i;
    return -1;
}

/* ---- reading the equation ------------------------------------------------ */

static bool append(struct term *t, int label) {
    if (t->rank == NN_MAX_RANK)
        return false;
    t->labels[t->rank++] = (unsigned char)label;
    return true;
}

static bool append_ellipsis(struct term *t, int axes) {
    for (int i = axes; i > 0; i--)
        if (!append(t, i))
            return false;
    return true;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool ends_term(char c) {
    return c == '\0' || c == ',' || c == '-';
}

/* Reads a term; its ellipsis stands for that many axes. */
static bool read_term(const char **text, int axes, struct term *t) {
    const char *s = *text;
    for (t->rank = 0; !ends_term(*s); s++)
        if (strncmp(s, "...", 3) == 0 && append_ellipsis(t, axes))
            s += 2;
        else if (*s != ' ' && (!is_letter(*s) || !append(t, *s)))
            return false;
    *text = s;
    return true;
}

/* Axes of a tensor of that rank that the term does not name. */
static int unnamed_axes(const char *s, int rank) {
    for (; !ends_term(*s); s++)
        rank -= is_letter(*s);
    return rank;
}

/* Without "->": the ellipsis, and the letters that appear once, in order. */
static bool implied_output(struct einsum *e, int axes) {
    if (!append_ellipsis(&e->out, axes))
        return false;
    for (int c = 'A'; c <= 'z'; c++) {
        int uses = 0;
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < e->in[i].rank; k++)
                uses += e->in[i].labels[k] == c;
        if (uses == 1 && !append(&e->out, c))
            return false;
    }
    return true;
}

static bool read_equation(const struct op_call *call, struct einsum *e) {
    const char *s = node_string(call->node, "equation", "");
    int most = 0;
    for (int i = 0; i < call->input_count; i++) {
        if (i > 0 && *s++ != ',')
            return false;
        const int rank = call->inputs[i]->rank, axes = unnamed_axes(s, rank);
        if (!read_term(&s, axes, &e->in[i]) || e->in[i].rank != rank)
            return false;
        most = axes > most ? axes : most;
    }
    if (!*s)
        return implied_output(e, most);
    if (strncmp(s, "->", 2) != 0)
        return false;
    s += 2;
    return read_term(&s, most, &e->out) && !*s;
}

/* ---- what the labels mean ------------------------------------------------ */

static struct label *label_of(struct einsum *e, unsigned char name) {
    for (int i = 0; i < e->count; i++)
        if (e->labels[i].name == name)
            return &e->labels[i];
    return NULL;
}

/* Axes of an ellipsis broadcast; others that share a letter are as long. */
static bool take_axis(struct einsum *e, unsigned char name, int64_t dim) {
    struct label *l = label_of(e, name);
    if (!l)
        e->labels[e->count++] = (struct label){.name = name, .dim = dim};
    else if (name <= NN_MAX_RANK && l->dim == 1)
        l->dim = dim;
    else if (dim != l->dim && (name > NN_MAX_RANK || dim != 1))
        return false;
    return true;
}

static bool take_axes(struct einsum *e, const struct op_call *call) {
    for (int i = 0; i < call->input_count; i++)
        for (int k = 0; k < e->in[i].rank; k++)
            if (!take_axis(e, e->in[i].labels[k], call->inputs[i]->dims[k]))
                return false;
    for (int i = 0; i < e->out.rank; i++)
        if (!label_of(e, e->out.labels[i]) ||
            find(&e->out, e->out.labels[i]) < i)
            return false;
    return true;
}

static enum role role_of(const struct einsum *e, unsigned char name) {
    const bool a = find(&e->in[0], name) >= 0;
    const bool b = find(&e->in[1], name) >= 0;
    if (find(&e->out, name) < 0)
        return a && b ? SUMMED : ALONE;
    return !b ? ROWS : a ? MATRICES : COLUMNS;
}

/* Numbers in matrices of these roles' sizes; 0: too many, or none. */
static size_t numbers(const struct einsum *e, enum role rows,
                      enum role columns) {
    size_t count = sizeof(float);
    if (__builtin_mul_overflow(count, e->sizes[MATRICES], &count) ||
        __builtin_mul_overflow(count, e->sizes[rows], &count) ||
        __builtin_mul_overflow(count, e->sizes[columns], &count) ||
        count > TENSOR_BYTES_MAX)
        return 0;
    return count / sizeof(float);
}

static bool take_roles(struct einsum *e) {
    for (int i = 0; i <= ALONE; i++)
        e->sizes[i] = 1;
    for (int i = 0; i < e->count; i++) {
        struct label *l = &e->labels[i];
        l->role = role_of(e, l->name);
        if (__builtin_mul_overflow(e->sizes[l->role], (size_t)l->dim,
                                   &e->sizes[l->role]))
            return false;
    }
    return e->sizes[ROWS] <= INT_MAX && e->sizes[SUMMED] <= INT_MAX &&
           e->sizes[COLUMNS] <= INT_MAX;
}

static int einsum_of(const struct op_call *call, struct einsum *e,
                     struct err *err) {
    const char *equation = node_string(call->node, "equation", "");
    *e = (struct einsum){0};
    if (!read_equation(call, e) || !take_axes(e, call) || !take_roles(e))
        return err_set(err, "Einsum's equation \"%s\" does not fit its inputs",
                       equation);
    if (!numbers(e, ROWS, SUMMED) || !numbers(e, SUMMED, COLUMNS) ||
        !numbers(e, ROWS, COLUMNS))
        return err_set(err,
                       "Einsum by \"%s\" has matrices of no size, or one "
                       "that is too large",
                       equation);
    return 0;
}

static int infer(struct op_call *call, struct err *err) {
    int64_t dims[NN_MAX_RANK];
    struct einsum e;
    for (int i = 0; i < call->input_count; i++)
        if (op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
    if (einsum_of(call, &e, err) < 0)
        return -1;
    for (int i = 0; i < e.out.rank; i++)
        dims[i] = label_of(&e, e.out.labels[i])->dim;
    return op_output(call, 0, NN_FLOAT32, e.out.rank, dims, err);
}

/* ---- running ------------------------------------------------------------- */

/* Axes of one tensor, by label. */
struct axes {
    struct term term;
    int64_t dims[NN_MAX_RANK];
};

/* All labels of three roles, one after another. */
static struct axes axes_of_roles(const struct einsum *e, enum role outer,
                                 enum role middle, enum role inner) {
    const enum role roles[] = {outer, middle, inner};
    struct axes out = {0};
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < e->count; i++)
            if (e->labels[i].role == roles[r]) {
                out.dims[out.term.rank] = e->labels[i].dim;
                append(&out.term, e->labels[i].name);
            }
    return out;
}

static struct axes axes_of_tensor(const struct term *term,
                                  const struct tensor *t) {
    struct axes out = {.term = *term};
    memcpy(out.dims, t->dims, sizeof out.dims);
    return out;
}

/* Distances along each label: 0 where the tensor has it not, or broadcasts. */
static void strides_of(const struct einsum *e, const struct axes *axes,
                       ptrdiff_t *strides) {
    ptrdiff_t own[NN_MAX_RANK];
    strided_of_dims(own, axes->dims, axes->term.rank);
    for (int k = 0; k < e->count; k++) {
        strides[k] = 0;
        for (int i = 0; i < axes->term.rank; i++)
            if (axes->term.labels[i] == e->labels[k].name && axes->dims[i] > 1)
                strides[k] += own[i]; /* the diagonal of a label used twice */
    }
}

/* to = from in other order, summed over the labels that `to` has not. */
static void reorder(const struct einsum *e, const float *from,
                    const struct axes *from_axes, float *to,
                    const struct axes *to_axes) {
    ptrdiff_t in[LABELS_MAX], out[LABELS_MAX];
    int64_t dims[LABELS_MAX], at[LABELS_MAX] = {0};

    strides_of(e, from_axes, in);
    strides_of(e, to_axes, out);
    for (int k = 0; k < e->count; k++)
        dims[k] = find(&from_axes->term, e->labels[k].name) >= 0
                      ? e->labels[k].dim
                      : 1;
    memset(to, 0, dims_count(to_axes->dims, to_axes->term.rank) * sizeof *to);
    if (dims_count(dims, e->count) == 0)
        return;
    do {
        ptrdiff_t i = 0, o = 0;
        for (int k = 0; k < e->count; k++) {
            i += (ptrdiff_t)at[k] * in[k];
            o += (ptrdiff_t)at[k] * out[k];
        }
        to[o] += from[i];
    } while (dims_step(at, dims, e->count));
}

static void gather(const struct einsum *e, const struct op_call *call, int i,
                   const struct axes *to_axes, float *to) {
    if (i < call->input_count) {
        const struct tensor *t = call->inputs[i];
        const struct axes axes = axes_of_tensor(&e->in[i], t);
        reorder(e, t->data, &axes, to, to_axes);
    } else {
        *to = 1.0f; /* the first one alone */
    }
}

static size_t scratch(const struct op_call *call) {
    struct einsum e;
    einsum_of(call, &e, NULL);
    return (numbers(&e, ROWS, SUMMED) + numbers(&e, SUMMED, COLUMNS) +
            numbers(&e, ROWS, COLUMNS)) *
           sizeof(float);
}

static void run(struct op_call *call) {
    struct einsum e;
    einsum_of(call, &e, NULL);
    const struct axes left = axes_of_roles(&e, MATRICES, ROWS, SUMMED);
    const struct axes right = axes_of_roles(&e, MATRICES, SUMMED, COLUMNS);
    const struct axes product = axes_of_roles(&e, MATRICES, ROWS, COLUMNS);
    const struct axes out = axes_of_tensor(&e.out, &call->outputs[0]);
    const size_t m = e.sizes[ROWS], k = e.sizes[SUMMED], n = e.sizes[COLUMNS];
    float *a = call->scratch, *b = a + numbers(&e, ROWS, SUMMED);
    float *c = b + numbers(&e, SUMMED, COLUMNS);

    gather(&e, call, 0, &left, a);
    gather(&e, call, 1, &right, b);
    memset(c, 0, numbers(&e, ROWS, COLUMNS) * sizeof *c);
    for (size_t i = 0; i < e.sizes[MATRICES]; i++)
        gemm(false, false, (int)m, (int)n, (int)k, 1.0f, a + i * m * k, (int)k,
             b + i * k * n, (int)n, 0.0f, c + i * m * n, (int)n);
    reorder(&e, c, &product, call->outputs[0].data, &out);
}

static const struct op_attribute equation[] = {{"equation", ATTRIBUTE_STRING},
                                               {0}};

const struct op ops_einsum[] = {
    {"Einsum", 12, 1, 2, 1, 0, infer, run, scratch, equation, NULL}, {0}};
