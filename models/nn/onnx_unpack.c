#include "models/nn/onnx_unpack.h"

#include "models/nn/onnx.h"
#include "models/nn/onnx_skim.h"

#include <stdlib.h>

/* Messages within messages; a real file has 7 (model, graph, node, attribute,
 * tensor ...). protobuf-c descends without a bound of its own. */
#define DEPTH_MAX 32

/* True where no message lies more than `depth` deep. What is malformed passes:
 * it is for protobuf-c to refuse. */
static bool shallow(const ProtobufCMessageDescriptor *descriptor,
                    const uint8_t *p, const uint8_t *end, int depth) {
    uint64_t tag;
    size_t n;
    while (p < end) {
        if (!onnx_field(&p, end, &tag, &n))
            return true;
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor,
                                                    (unsigned)(tag >> 3));
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && (tag & 7) == 2 &&
            (depth == 0 || !shallow(field->descriptor, p, p + n, depth - 1)))
            return false;
        p += n;
    }
    return true;
}

/* What unpacking may take together: a number that is one byte in the file
 * becomes eight, an empty message a struct of a few hundred, of which a real
 * file has some thousands. */
#define UNPACKED_RATIO 8
#define UNPACKED_FREE ((size_t)64 << 20)

struct budget {
    size_t left;
    bool exceeded;
};

static void *budget_alloc(void *context, size_t size) {
    struct budget *budget = context;
    budget->exceeded = budget->exceeded || size > budget->left;
    if (budget->exceeded)
        return NULL;
    budget->left -= size;
    return malloc(size);
}

static void budget_free(void *context, void *block) {
    (void)context;
    free(block);
}

/* protobuf-c copies what it reads: it gets the file without its weights. */
static Onnx__ModelProto *unpack_skimmed(ProtobufCAllocator *allocator,
                                        const struct onnx_file *file,
                                        struct err *err) {
    size_t size;
    uint8_t *skimmed = onnx_skim(file->bytes, file->size, &size, err);
    if (!skimmed)
        return NULL;
    Onnx__ModelProto *proto =
        onnx__model_proto__unpack(allocator, size, skimmed);
    free(skimmed);
    if (!proto)
        err_set(err, "is not an ONNX file, or is cut off");
    return proto;
}

Onnx__ModelProto *onnx_unpack(const struct onnx_file *file, struct err *err) {
    const size_t size = file->size;
    struct budget budget = {UNPACKED_FREE + UNPACKED_RATIO * size, false};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    if (size > ONNX_BYTES_MAX) {
        err_set(err, "has %zu bytes, at most 2 GiB are accepted", size);
        return NULL;
    }
    const uint8_t *p = file->bytes;
    if (!shallow(&onnx__model_proto__descriptor, p, p + size, DEPTH_MAX)) {
        err_set(err, "nests messages more than %d deep", DEPTH_MAX);
        return NULL;
    }
    Onnx__ModelProto *proto = unpack_skimmed(&allocator, file, err);
    if (!proto && budget.exceeded)
        err_set(err,
                "would take more memory than a file of %zu bytes "
                "explains: it is made of too many small parts",
                size);
    else if (proto && !proto->graph)
        err_set(err, "is not an ONNX file: it has no graph");
    else if (proto)
        return proto;
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    return NULL;
}
