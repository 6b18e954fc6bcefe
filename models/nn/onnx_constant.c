/*
 * Constants: numbers in the file, in the message or left out of it by
 * onnx_skim.h; or in a file beside it ("external data"), as exporters write
 * networks that would not fit into protobuf's 2 GiB, and newer ones all.
 *
 * What names another file is not trusted: it has to lie in the model's folder,
 * past all symbolic links, and hold what the tensor needs.
 */
#include "models/nn/onnx.h"
#include "models/nn/onnx_reader.h"
#include "models/nn/onnx_skim.h"
#include "models/nn/onnx_tensor.h"

#include "common/file.h"
#include "models/nn/number.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- float64 ------------------------------------------------------------ */

enum nn_type onnx_port_type(const struct onnx_reader *r, int32_t data_type) {
    const enum nn_type type = onnx_type(data_type);
    return r->narrow && type == NN_FLOAT64 ? NN_FLOAT32 : type;
}

int onnx_narrow(const struct onnx_reader *r, struct tensor *t,
                struct err *err) {
    struct tensor narrow;
    if (!r->narrow || t->type != NN_FLOAT64)
        return 0;
    if (tensor_make(&narrow, NN_FLOAT32, t->rank, t->dims, err) < 0)
        return -1;
    for (size_t i = 0; i < tensor_count(t); i++) {
        double number; /* at any address */
        memcpy(&number, (const char *)t->data + i * sizeof number,
               sizeof number);
        ((float *)narrow.data)[i] = (float)number;
    }
    tensor_free(t);
    *t = narrow;
    return 0;
}

/* ---- external data ------------------------------------------------------ */

struct place {
    const char *location;
    size_t offset, length; /* length 0: not given */
};

static int read_count(const char *text, size_t *out, struct err *err) {
    char *end;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > INT64_MAX)
        return err_set(err, "has external data at %.40s, which is no number",
                       text);
    *out = (size_t)n;
    return 0;
}

static int read_place(const Onnx__TensorProto *proto, struct place *place,
                      struct err *err) {
    *place = (struct place){0};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        const char *key = onnx_text(entry->key);
        const char *text = onnx_text(entry->value);
        if (strcmp(key, "location") == 0)
            place->location = text;
        else if ((strcmp(key, "offset") == 0 &&
                  read_count(text, &place->offset, err) < 0) ||
                 (strcmp(key, "length") == 0 &&
                  read_count(text, &place->length, err) < 0))
            return -1;
    }
    return place->location
               ? 0
               : err_set(err, "keeps its data in another file whose name is "
                              "not given (external_data)");
}

/* Where the location leads, past all links, if that is within the folder. */
static int resolve(const char *folder, const char *location,
                   char path[PATH_MAX], struct err *err) {
    char root[PATH_MAX], joined[PATH_MAX];
    if (!realpath(folder, root))
        return err_set(err, "%s cannot be found: %s", folder, strerror(errno));
    const size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const int n = snprintf(joined, sizeof joined, "%s/%s", root, location);
    if (n < 0 || (size_t)n >= sizeof joined || !realpath(joined, path))
        return err_set(err,
                       "keeps its data in %.100s, which is not beside the "
                       "model: copy that file into %.200s, too",
                       location, folder);
    if (strncmp(path, root, len) != 0 || path[len] != '/')
        return err_set(err,
                       "keeps its data in %.100s, which leads out of the "
                       "model's folder: copy that file into %.200s itself",
                       location, folder);
    return 0;
}

static bool leads_out(const char *location) {
    if (*location == '/')
        return true;
    for (const char *at = location; (at = strstr(at, "..")); at += 2)
        if ((at == location || at[-1] == '/') && (!at[2] || at[2] == '/'))
            return true;
    return false;
}

static const struct graph_file *
open_file(struct onnx_reader *r, const char *location, struct err *err) {
    char path[PATH_MAX];
    size_t size;
    const struct graph_file *file = graph_find_file(r->graph, location);
    if (file)
        return file;
    if (leads_out(location)) {
        err_set(err, "keeps its data in %.100s, outside of the model's folder",
                location);
        return NULL;
    }
    if (resolve(r->folder, location, path, err) < 0)
        return NULL;
    void *bytes = file_map(path, ONNX_BYTES_MAX, &size, err);
    return bytes ? graph_own_file(r->graph, location, bytes, size, err) : NULL;
}

static int read_external(struct onnx_reader *r, Onnx__TensorProto *proto,
                         struct tensor *t, struct err *err) {
    struct place place;
    if (read_place(proto, &place, err) < 0)
        return -1;
    if (!r->folder)
        return err_set(err,
                       "keeps its data in another file, %.100s "
                       "(external_data), which cannot be read here: load the "
                       "model with Python's onnx.load() and save it as one "
                       "file with onnx.save()",
                       place.location);
    const struct graph_file *file = open_file(r, place.location, err);
    if (!file)
        return -1;
    const size_t left =
        place.offset < file->size ? file->size - place.offset : 0;
    if (place.offset > file->size || place.length > left)
        return err_set(err,
                       "should have %zu bytes at %zu of %.100s, which has %zu",
                       place.length, place.offset, place.location, file->size);
    return onnx_tensor_at(
        proto, (const uint8_t *)file->bytes + place.offset,
        place.length ? place.length : onnx_raw_size(proto, left), t, err);
}

/* ---- any of them -------------------------------------------------------- */

static int read_tensor(struct onnx_reader *r, Onnx__TensorProto *proto,
                       struct tensor *t, struct err *err) {
    const struct onnx_file *file = r->file;
    struct onnx_place place;
    if (onnx_is_external(proto))
        return read_external(r, proto, t, err);
    if (!onnx_skimmed(proto, &place))
        return onnx_tensor(proto, t, err);
    if (place.length > file->size || place.offset > file->size - place.length)
        return err_set(err, "lies outside of the file");
    return onnx_tensor_at(proto, file->bytes + place.offset,
                          (size_t)place.length, t, err);
}

int onnx_constant(struct onnx_reader *r, Onnx__TensorProto *proto,
                  struct value *value, struct err *err) {
    if (value->t.data || value->producer || value->is_input)
        return err_set(err, "%s is written twice", value->name);
    if (read_tensor(r, proto, &value->t, err) < 0 ||
        onnx_narrow(r, &value->t, err) < 0)
        return err_prefix(err, "%s", value->name);
    return graph_reserve(r->graph, tensor_bytes(&value->t), err);
}
