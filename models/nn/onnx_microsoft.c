/*
 * What ONNX Runtime writes when it optimises or quantises a network: operators
 * of com.microsoft (its docs/ContribOperators.md), each as a function of ONNX's
 * own operators. Quantised ones are spelled out in floats between
 * DequantizeLinear and QuantizeLinear; quantised.c then finds those that have a
 * meaning in bytes.
 *
 * A definition is a text of nodes:
 *
 *     LeakyRelu $0 > a alpha; Mul a,#0.5 > y
 *
 * $0 is the first input, y the output, #0.5 a number; a word behind them is an
 * attribute that the node takes over, or one with its value.
 */
#include "models/nn/onnx_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPSET 20      /* that definitions are written in */
#define TEXT_MAX 8192 /* of QLinearConcat with as many inputs as Concat has */
#define NODES_MAX 128
#define ATTRIBUTES_MAX 16
#define NAMED_INPUTS 9                     /* of the texts below */
#define INPUTS_MAX (2 + 3 * OP_INPUTS_MAX) /* of QLinearConcat */

#define QUANTISED(node)                                                        \
    "DequantizeLinear $0,$1,$2 > a;" node ";QuantizeLinear b,$3,$4 > y"
#define QUANTISED_PAIR(op)                                                     \
    "DequantizeLinear $0,$1,$2 > a;DequantizeLinear $3,$4,$5 > b;" op          \
    " a,b > c;QuantizeLinear c,$6,$7 > y"
#define CONV "auto_pad dilations group kernel_shape pads strides"

/* ---- attributes of the call --------------------------------------------- */

static const Onnx__AttributeProto *given(const Onnx__NodeProto *call,
                                         const char *name) {
    for (size_t i = 0; i < call->n_attribute; i++)
        if (strcmp(onnx_text(call->attribute[i]->name), name) == 0)
            return call->attribute[i];
    return NULL;
}

static float given_float(const Onnx__NodeProto *call, const char *name,
                         float otherwise) {
    const Onnx__AttributeProto *a = given(call, name);
    return a && a->has_f ? a->f : otherwise;
}

static bool given_flag(const Onnx__NodeProto *call, const char *name) {
    const Onnx__AttributeProto *a = given(call, name);
    return a && a->i != 0;
}

static bool has_input(const Onnx__NodeProto *call, size_t i) {
    return i < call->n_input && *onnx_text(call->input[i]);
}

/* ---- definitions that depend on the call -------------------------------- */

static int write_concat(const Onnx__NodeProto *call, char *text,
                        struct err *err) {
    const size_t parts = call->n_input / 3;
    size_t len = 0;
    if (parts < 1 || parts > OP_INPUTS_MAX || call->n_input != 2 + 3 * parts)
        return err_set(err, "QLinearConcat has %zu inputs", call->n_input);
    for (size_t i = 0; i < parts; i++)
        len += (size_t)snprintf(text + len, TEXT_MAX - len,
                                "DequantizeLinear $%zu,$%zu,$%zu > a%zu;",
                                3 * i + 2, 3 * i + 3, 3 * i + 4, i);
    len += (size_t)snprintf(text + len, TEXT_MAX - len, "Concat ");
    for (size_t i = 0; i < parts; i++)
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%sa%zu",
                                i ? "," : "", i);
    snprintf(text + len, TEXT_MAX - len,
             " > b axis;QuantizeLinear b,$0,$1 > y");
    return 0;
}

/* The activation behind it, its numbers between the parts of the text. */
static int write_activation(const Onnx__NodeProto *call, char *text,
                            size_t size, struct err *err) {
    static const struct {
        const char *name;
        size_t numbers;
        const char *parts[3];
    } known[] = {
        {"Relu", 0, {"Relu c > y"}},
        {"Sigmoid", 0, {"Sigmoid c > y"}},
        {"Tanh", 0, {"Tanh c > y"}},
        {"LeakyRelu", 1, {"LeakyRelu c > y alpha=", ""}},
        {"HardSigmoid", 2, {"HardSigmoid c > y alpha=", " beta=", ""}},
        {"Clip", 2, {"Clip c,#", ",#", " > y"}},
    };
    const Onnx__AttributeProto *a = given(call, "activation");
    const Onnx__AttributeProto *p = given(call, "activation_params");
    size_t i = 0, len = 0;
    while (i < sizeof known / sizeof *known &&
           !(a && a->s.len == strlen(known[i].name) &&
             memcmp(a->s.data, known[i].name, a->s.len) == 0))
        i++;
    if (i == sizeof known / sizeof *known ||
        (p ? p->n_floats : 0) < known[i].numbers)
        return err_set(err, "FusedConv's activation is not supported");
    for (size_t k = 0; k <= known[i].numbers; k++) {
        len +=
            (size_t)snprintf(text + len, size - len, "%s", known[i].parts[k]);
        if (k < known[i].numbers)
            len += (size_t)snprintf(text + len, size - len, "%#.9g",
                                    (double)p->floats[k]);
    }
    return 0;
}

static int write_conv(const Onnx__NodeProto *call, char *text,
                      struct err *err) {
    const int len = snprintf(text, TEXT_MAX, "Conv $0,$1,$2 > %s " CONV ";%s",
                             has_input(call, 3) ? "s" : "c",
                             has_input(call, 3) ? "Add s,$3 > c;" : "");
    return write_activation(call, text + len, TEXT_MAX - (size_t)len, err);
}

static int write_matmul(const Onnx__NodeProto *call, char *text,
                        struct err *err) {
    const bool a = given_flag(call, "transA"), b = given_flag(call, "transB");
    const double alpha = (double)given_float(call, "alpha", 1);
    (void)err;
    if (a || b)
        snprintf(
            text, TEXT_MAX,
            "Einsum $0,$1 > m equation=...%s,...%s->...ik;Mul m,#%#.9g > y",
            a ? "ji" : "ij", b ? "kj" : "jk", alpha);
    else
        snprintf(text, TEXT_MAX, "MatMul $0,$1 > m;Mul m,#%#.9g > y", alpha);
    return 0;
}

/* The bias counts in steps of both scales together. */
static int write_gemm(const Onnx__NodeProto *call, char *text,
                      struct err *err) {
    if (given_float(call, "alpha", 1) != 1)
        return err_set(err, "QGemm with an alpha is not supported");
    snprintf(text, TEXT_MAX,
             "DequantizeLinear $0,$1,$2 > a;"
             "DequantizeLinear $3,$4,$5 > b axis=%d;%s"
             "Gemm a,b%s > %s transA transB%s",
             given_flag(call, "transB") ? 0 : 1,
             has_input(call, 6) ? "Mul $1,$4 > s;DequantizeLinear $6,s > c "
                                  "axis=0;"
                                : "",
             has_input(call, 6) ? ",c" : "", has_input(call, 7) ? "g" : "y",
             has_input(call, 7) ? ";QuantizeLinear g,$7,$8 > y" : "");
    return 0;
}

static int write_gelu(const Onnx__NodeProto *call, char *text,
                      struct err *err) {
    const bool fast = strcmp(call->op_type, "FastGelu") == 0;
    (void)err;
    snprintf(text, TEXT_MAX, "%sGelu %s > y%s",
             has_input(call, 1) ? "Add $0,$1 > a;" : "",
             has_input(call, 1) ? "a" : "$0", fast ? " approximate=tanh" : "");
    return 0;
}

static int write_quick_gelu(const Onnx__NodeProto *call, char *text,
                            struct err *err) {
    (void)err;
    snprintf(text, TEXT_MAX, "Mul $0,#%#.9g > a;Sigmoid a > b;Mul $0,b > y",
             (double)given_float(call, "alpha", 1.702f));
    return 0;
}

static const struct definition {
    const char *name, *text; /* or: */
    int (*write)(const Onnx__NodeProto *call, char *text, struct err *err);
    const char *read; /* attributes that write() looks at */
} definitions[] = {
    {"QuantizeLinear", "QuantizeLinear $0,$1,$2 > y axis", NULL, ""},
    {"DequantizeLinear", "DequantizeLinear $0,$1,$2 > y axis", NULL, ""},
    {"QLinearAdd", QUANTISED_PAIR("Add"), NULL, ""},
    {"QLinearMul", QUANTISED_PAIR("Mul"), NULL, ""},
    {"QLinearSigmoid", QUANTISED("Sigmoid a > b"), NULL, ""},
    {"QLinearLeakyRelu", QUANTISED("LeakyRelu a > b alpha"), NULL, ""},
    {"QLinearGlobalAveragePool", QUANTISED("GlobalAveragePool a > b"), NULL,
     ""},
    {"QLinearAveragePool",
     QUANTISED("AveragePool a > b auto_pad ceil_mode count_include_pad "
               "kernel_shape pads strides"),
     NULL, ""},
    {"QLinearConcat", NULL, write_concat, ""},
    {"QGemm", NULL, write_gemm, "alpha "},
    {"FusedConv", NULL, write_conv, "activation activation_params "},
    {"FusedMatMul", NULL, write_matmul, "alpha transA transB "},
    {"Gelu", NULL, write_gelu, ""},
    {"BiasGelu", NULL, write_gelu, ""},
    {"FastGelu", NULL, write_gelu, ""},
    {"QuickGelu", NULL, write_quick_gelu, "alpha "},
};

/* ---- from text to nodes ------------------------------------------------- */

struct writer {
    struct graph *graph;
    struct err *err;
    Onnx__FunctionProto *function;
    bool failed;
};

static void *make(struct writer *w, size_t size) {
    void *made = w->failed ? NULL : graph_alloc(w->graph, size, w->err);
    w->failed = !made;
    return made;
}

static char *copy(struct writer *w, const char *text) {
    char *made = make(w, strlen(text) + 1);
    return made ? strcpy(made, text) : NULL;
}

static void add_text(struct writer *w, char ***list, size_t *count,
                     const char *text) {
    char **longer = make(w, (*count + 1) * sizeof *longer);
    char *own = copy(w, text);
    if (w->failed)
        return;
    if (*count > 0)
        memcpy(longer, *list, *count * sizeof *longer);
    longer[(*count)++] = own;
    *list = longer;
}

static Onnx__NodeProto *add_node(struct writer *w, const char *op_type) {
    Onnx__FunctionProto *f = w->function;
    Onnx__NodeProto *node = make(w, sizeof *node);
    w->failed = w->failed || f->n_node == NODES_MAX;
    if (w->failed)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = copy(w, op_type);
    node->name = w->function->name; /* the call's, for messages */
    f->node[f->n_node++] = node;
    return node;
}

static Onnx__AttributeProto *
add_attribute(struct writer *w, Onnx__NodeProto *node, const char *name) {
    Onnx__AttributeProto *a = make(w, sizeof *a);
    if (!node || w->failed)
        return NULL;
    if (!node->attribute)
        node->attribute = make(w, ATTRIBUTES_MAX * sizeof *node->attribute);
    if (w->failed || node->n_attribute == ATTRIBUTES_MAX)
        return NULL;
    onnx__attribute_proto__init(a);
    a->name = copy(w, name);
    a->has_type = true;
    node->attribute[node->n_attribute++] = a;
    return a;
}

static void write_attribute(struct writer *w, Onnx__NodeProto *node,
                            char *word) {
    char *value = strchr(word, '=');
    if (value)
        *value++ = 0;
    Onnx__AttributeProto *a = add_attribute(w, node, word);
    if (!a)
        return;
    if (!value) {
        a->ref_attr_name = a->name;
        add_text(w, &w->function->attribute, &w->function->n_attribute, word);
    } else if ((*value >= '0' && *value <= '9') || *value == '-') {
        const bool is_int = !value[strcspn(value, ".enif")];
        a->type = is_int ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
                         : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->f = strtof(value, NULL);
        a->i = is_int ? strtol(value, NULL, 10) : 0;
    } else {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        a->s.data = (uint8_t *)copy(w, value);
        a->s.len = strlen(value);
    }
}

/* A Constant named as it is written. */
static void write_number(struct writer *w, const char *word) {
    for (size_t i = 0; i < w->function->n_node; i++)
        if (w->function->node[i]->n_output > 0 &&
            strcmp(w->function->node[i]->output[0], word) == 0)
            return;
    Onnx__NodeProto *node = add_node(w, "Constant");
    Onnx__AttributeProto *a = add_attribute(w, node, "value");
    Onnx__TensorProto *t = make(w, sizeof *t);
    float *number = make(w, sizeof *number);
    if (!a || w->failed)
        return;
    onnx__tensor_proto__init(t);
    *number = strtof(word + 1, NULL);
    t->has_data_type = true;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->n_float_data = 1;
    t->float_data = number;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    a->t = t;
    add_text(w, &node->output, &node->n_output, word);
}

static void write_node(struct writer *w, char *line) {
    char *rest, *names, *word = strtok_r(line, " ", &rest);
    char *const inputs = strtok_r(NULL, " ", &rest);
    strtok_r(NULL, " ", &rest); /* > */
    char *const output = strtok_r(NULL, " ", &rest);
    char *const in = copy(w, inputs);
    for (char *n = in ? strtok_r(in, ",", &names) : NULL; n;
         n = strtok_r(NULL, ",", &names))
        if (*n == '#')
            write_number(w, n);
    Onnx__NodeProto *node = add_node(w, word);
    if (!node)
        return;
    for (char *n = strtok_r(inputs, ",", &names); n;
         n = strtok_r(NULL, ",", &names))
        add_text(w, &node->input, &node->n_input, n);
    add_text(w, &node->output, &node->n_output, output);
    while ((word = strtok_r(NULL, " ", &rest)))
        write_attribute(w, node, word);
}

static bool takes(const struct definition *d, const Onnx__FunctionProto *f,
                  const Onnx__AttributeProto *a) {
    const char *name = onnx_text(a->name);
    const char *found = *name ? strstr(d->read, name) : NULL;
    for (size_t i = 0; i < f->n_attribute; i++)
        if (strcmp(f->attribute[i], name) == 0)
            return true;
    return (found && found[strlen(name)] == ' ' &&
            (found == d->read || found[-1] == ' ')) ||
           (a->has_type &&
            a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT && a->i == 0);
}

static const struct definition *find(const char *op_type) {
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        if (strcmp(definitions[i].name, op_type) == 0)
            return &definitions[i];
    return NULL;
}

/* The function without its nodes. */
static int start(struct writer *w, const Onnx__NodeProto *call) {
    Onnx__FunctionProto *f = make(w, sizeof *f);
    Onnx__OperatorSetIdProto *own = make(w, sizeof *own);
    Onnx__OperatorSetIdProto **list = make(w, sizeof *list);
    char name[16];
    if (w->failed)
        return -1;
    onnx__function_proto__init(f);
    onnx__operator_set_id_proto__init(own);
    own->version = OPSET;
    *list = own;
    f->opset_import = list;
    f->n_opset_import = 1;
    f->name = copy(w, onnx_text(call->name));
    f->node = make(w, NODES_MAX * sizeof *f->node);
    w->function = f;
    /* Those that the call leaves out at its end have a name, too. */
    const size_t inputs =
        call->n_input > NAMED_INPUTS ? call->n_input : NAMED_INPUTS;
    f->input = make(w, inputs * sizeof *f->input);
    for (size_t i = 0; i < inputs && !w->failed; i++) {
        snprintf(name, sizeof name, "$%zu", i);
        f->input[f->n_input++] = copy(w, name);
    }
    add_text(w, &f->output, &f->n_output, "y");
    return w->failed ? -1 : 0;
}

const Onnx__FunctionProto *onnx_microsoft(struct graph *graph,
                                          const Onnx__NodeProto *call,
                                          struct err *err) {
    const char *op_type = onnx_text(call->op_type);
    const struct definition *d = find(op_type);
    struct writer w = {.graph = graph, .err = err};
    char text[TEXT_MAX], *rest;
    if (!d) {
        err_set(err,
                "the operator %.100s of com.microsoft, which ONNX Runtime "
                "writes when it optimises a network, is not supported: use the "
                "file from before that",
                op_type);
        return NULL;
    }
    if (call->n_input > INPUTS_MAX) {
        err_set(err, "%s has %zu inputs", op_type, call->n_input);
        return NULL;
    }
    if (start(&w, call) < 0)
        return NULL;
    if (d->text)
        snprintf(text, sizeof text, "%s", d->text);
    else if (d->write(call, text, err) < 0)
        return NULL;
    for (char *line = strtok_r(text, ";", &rest); line;
         line = strtok_r(NULL, ";", &rest))
        write_node(&w, line);
    for (size_t i = 0; i < call->n_attribute; i++)
        if (!takes(d, w.function, call->attribute[i])) {
            err_set(err, "%s's attribute %.100s is not supported", op_type,
                    onnx_text(call->attribute[i]->name));
            return NULL;
        }
    if (w.failed)
        err_set(err, "no room for what stands for %s", op_type);
    return w.failed ? NULL : w.function;
}
