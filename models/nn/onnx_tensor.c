/*
 * A TensorProto keeps its numbers in raw_data (little-endian, as this engine's
 * processors are) or in one of the typed arrays, which hold 8 and 16 bit types
 * as int32. Each type is one row: how wide it is in raw_data, which array it
 * has, and how one number of either becomes one of the tensor.
 */
#include "models/nn/onnx_tensor.h"

#include <string.h>

#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

enum array { FLOATS, INT32S, INT64S, DOUBLES };

struct encoding {
    int32_t data_type;
    enum nn_type type;
    size_t raw_size;
    enum array array;
    /* Half-width floats are widened, everything else is copied. */
    float (*widen)(uint16_t bits);
};

static float from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float widen_float16(uint16_t bits) { /* IEEE 754 binary16 */
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
    if (exponent == 0) { /* zero and subnormals: mantissa * 2^-24 */
        float magnitude = (float)mantissa / 16777216.0f;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | mantissa << 13);
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static float widen_bfloat16(uint16_t bits) {
    return from_bits((uint32_t)bits << 16);
}

static const struct encoding encodings[] = {
    {T(FLOAT), NN_FLOAT32, 4, FLOATS, NULL},
    {T(UINT8), NN_UINT8, 1, INT32S, NULL},
    {T(INT8), NN_INT8, 1, INT32S, NULL},
    {T(UINT16), NN_UINT16, 2, INT32S, NULL},
    {T(INT16), NN_INT16, 2, INT32S, NULL},
    {T(INT32), NN_INT32, 4, INT32S, NULL},
    {T(INT64), NN_INT64, 8, INT64S, NULL},
    {T(BOOL), NN_BOOL, 1, INT32S, NULL},
    {T(DOUBLE), NN_FLOAT64, 8, DOUBLES, NULL},
    {T(FLOAT16), NN_FLOAT32, 2, INT32S, widen_float16},
    {T(BFLOAT16), NN_FLOAT32, 2, INT32S, widen_bfloat16},
};

static const struct encoding *find_encoding(int32_t data_type) {
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (encodings[i].data_type == data_type)
            return &encodings[i];
    return NULL;
}

enum nn_type onnx_type(int32_t data_type) {
    const struct encoding *e = find_encoding(data_type);
    return e ? e->type : (enum nn_type)0;
}

static void widen(const struct encoding *e, const uint8_t *raw, size_t count,
                  float *out) {
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, raw + 2 * i, sizeof bits);
        out[i] = e->widen(bits);
    }
}

static int from_raw(const struct encoding *e, const Onnx__TensorProto *proto,
                    size_t count, struct tensor *t, struct err *err) {
    if (proto->raw_data.len != count * e->raw_size)
        return err_set(err, "holds %zu bytes where its shape asks for %zu",
                       proto->raw_data.len, count * e->raw_size);
    if (e->widen)
        widen(e, proto->raw_data.data, count, t->data);
    else if (count > 0)
        memcpy(t->data, proto->raw_data.data, count * e->raw_size);
    return 0;
}

/* int32_data holds the smaller types, one number each. */
static void narrow(const struct encoding *e, const int32_t *in, size_t count,
                   void *out) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)in[i];
        if (e->widen)
            ((float *)out)[i] = e->widen((uint16_t)bits);
        else
            memcpy((uint8_t *)out + i * e->raw_size, &bits, e->raw_size);
    }
}

static int from_array(const struct encoding *e, const Onnx__TensorProto *proto,
                      size_t count, struct tensor *t, struct err *err) {
    const struct {
        size_t count;
        const void *data;
    } arrays[] = {
        [FLOATS] = {proto->n_float_data, proto->float_data},
        [INT32S] = {proto->n_int32_data, proto->int32_data},
        [INT64S] = {proto->n_int64_data, proto->int64_data},
        [DOUBLES] = {proto->n_double_data, proto->double_data},
    };
    if (arrays[e->array].count != count)
        return err_set(err, "holds %zu numbers where its shape asks for %zu",
                       arrays[e->array].count, count);
    if (e->array == INT32S)
        narrow(e, arrays[INT32S].data, count, t->data);
    else if (count > 0)
        memcpy(t->data, arrays[e->array].data, count * e->raw_size);
    return 0;
}

/* What the proto holds bounds what is allocated: a few bytes cannot ask for
 * gigabytes. */
static int check_size(const Onnx__TensorProto *proto, size_t *count,
                      struct err *err) {
    size_t held = proto->raw_data.len + proto->n_float_data +
                  proto->n_int32_data + proto->n_int64_data +
                  proto->n_double_data;
    *count = 1;
    if (proto->n_dims > NN_MAX_RANK)
        return err_set(err, "has %zu dimensions (at most %d)", proto->n_dims,
                       NN_MAX_RANK);
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] == 0)
            *count = 0;
    for (size_t i = 0; i < proto->n_dims; i++) {
        if (proto->dims[i] < 0)
            return err_set(err, "has the dimension %lld",
                           (long long)proto->dims[i]);
        if (*count > 0 && (size_t)proto->dims[i] > held / *count)
            return err_set(err, "holds less than its shape asks for");
        *count *= (size_t)proto->dims[i];
    }
    return 0;
}

size_t onnx_raw_size(const Onnx__TensorProto *proto, size_t most) {
    const struct encoding *e =
        find_encoding(proto->has_data_type ? proto->data_type : 0);
    size_t size = e ? e->raw_size : most;
    for (size_t i = 0; i < proto->n_dims; i++)
        if (proto->dims[i] < 0 ||
            __builtin_mul_overflow(size, (size_t)proto->dims[i], &size))
            return most;
    return size < most ? size : most;
}

bool onnx_is_external(const Onnx__TensorProto *proto) {
    return (proto->has_data_location &&
            proto->data_location ==
                ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) ||
           proto->n_external_data > 0;
}

/* What can be said before any number is read: the encoding, or NULL. */
static const struct encoding *check(const Onnx__TensorProto *proto,
                                    size_t *count, struct err *err) {
    const struct encoding *e =
        find_encoding(proto->has_data_type ? proto->data_type : 0);
    if (!e)
        err_set(err,
                "is of type %d of onnx.proto, which is not "
                "supported",
                proto->has_data_type ? (int)proto->data_type : 0);
    else if (proto->segment)
        err_set(err, "is a segment of a tensor, which is not supported");
    else if (check_size(proto, count, err) == 0)
        return e;
    return NULL;
}

static int read_tensor(const Onnx__TensorProto *proto, struct tensor *t,
                       struct err *err) {
    size_t count;
    const struct encoding *e = check(proto, &count, err);

    *t = (struct tensor){0};
    if (!e || tensor_make(t, e->type, (int)proto->n_dims, proto->dims, err) < 0)
        return -1;
    int rc = proto->has_raw_data ? from_raw(e, proto, count, t, err)
                                 : from_array(e, proto, count, t, err);
    /* C's bool knows 0 and 1 alone. */
    for (size_t i = 0; rc == 0 && t->type == NN_BOOL && i < count; i++)
        ((uint8_t *)t->data)[i] = ((uint8_t *)t->data)[i] != 0;
    if (rc < 0)
        tensor_free(t);
    return rc;
}

int onnx_tensor(const Onnx__TensorProto *proto, struct tensor *t,
                struct err *err) {
    *t = (struct tensor){0};
    if (onnx_is_external(proto))
        return err_set(err, "keeps its data in another file (external_data), "
                            "which only initialisers may");
    return read_tensor(proto, t, err);
}

int onnx_tensor_at(Onnx__TensorProto *proto, const uint8_t *raw, size_t length,
                   struct tensor *t, struct err *err) {
    const ProtobufCBinaryData none = {0, NULL}, own = proto->raw_data;
    const bool has_own = proto->has_raw_data;
    size_t count;
    int rc = 0;

    proto->raw_data = (ProtobufCBinaryData){length, (uint8_t *)raw};
    proto->has_raw_data = true;
    const struct encoding *e = check(proto, &count, err);
    *t = (struct tensor){0};
    if (!e) {
        rc = -1;
    } else if (e->widen || e->type == NN_BOOL ||
               length != count * e->raw_size) {
        rc = read_tensor(proto, t, err);
    } else {
        t->type = e->type;
        t->rank = (int)proto->n_dims;
        memcpy(t->dims, proto->dims, proto->n_dims * sizeof *t->dims);
        t->data = (void *)raw; /* nobody writes there */
        t->in_file = true;
    }
    proto->raw_data = has_own ? own : none;
    proto->has_raw_data = has_own;
    return rc;
}
