#include "models/nn/tensor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
    enum nn_type type;
    size_t size;
    const char *name;
} types[] = {
    {NN_FLOAT32, 4, "float32"}, {NN_UINT8, 1, "uint8"},
    {NN_INT8, 1, "int8"},       {NN_UINT16, 2, "uint16"},
    {NN_INT16, 2, "int16"},     {NN_INT32, 4, "int32"},
    {NN_INT64, 8, "int64"},     {NN_BOOL, 1, "bool"},
    {NN_FLOAT64, 8, "float64"}, {NN_FLOAT16, 2, "float16"},
    {NN_STRING, 0, "string"},
};

size_t type_size(enum nn_type type) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].size;
    return 0;
}

const char *type_name(enum nn_type type) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type)
            return types[i].name;
    return "unknown type";
}

size_t dims_count(const int64_t *dims, int rank) {
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return count;
}

size_t tensor_count(const struct tensor *t) {
    return dims_count(t->dims, t->rank);
}

size_t tensor_bytes(const struct tensor *t) {
    return tensor_count(t) * type_size(t->type);
}

int tensor_make(struct tensor *t, enum nn_type type, int rank,
                const int64_t *dims, struct err *err) {
    size_t bytes = type_size(type);
    bool empty = false;

    *t = (struct tensor){.type = type, .rank = rank};
    if (bytes == 0)
        return err_set(err, "tensors of %s are not supported", type_name(type));
    if (rank < 0 || rank > NN_MAX_RANK)
        return err_set(err, "a tensor of rank %d is not supported (at most %d)",
                       rank, NN_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return err_set(err, "a tensor cannot have the dimension %lld",
                           (long long)dims[i]);
        if (dims[i] == 0)
            empty = true;
        else if ((size_t)dims[i] > TENSOR_BYTES_MAX / bytes)
            return err_set(err, "a tensor is too large");
        else
            bytes *= (size_t)dims[i];
        t->dims[i] = dims[i];
    }
    size_t rounded = (bytes + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
    if (empty)
        rounded = TENSOR_ALIGN;
    t->data = aligned_alloc(TENSOR_ALIGN, rounded);
    if (!t->data)
        return err_set(err, "no memory for a tensor of %zu bytes", rounded);
    memset(t->data, 0, rounded);
    return 0;
}

void tensor_free(struct tensor *t) {
    if (!t->in_file)
        free(t->data);
    *t = (struct tensor){0};
}

void tensor_give_back(const void *file, size_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)file + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)file + bytes) / page * page;
    if (end > first)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b) {
    return a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

const char *tensor_text(const struct tensor *t, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "%s [", type_name(t->type));
    for (int i = 0; i < t->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "",
                               (long long)t->dims[i]);
    if (at < size)
        snprintf(text + at, size - at, "]");
    return text;
}
