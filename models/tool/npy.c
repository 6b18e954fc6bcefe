#include "models/tool/npy.h"

#include "common/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_LEN 6
#define FILE_MAX ((size_t)4 << 30)
#define HEADER_ALIGN 64

/* The text behind "'key':" in the header, a Python literal. */
static const char *entry(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at = strchr(at, ':');
    return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static int read_shape(const char *text, struct tensor *t) {
    if (!text || *text != '(')
        return -1;
    for (text++; *text != ')'; text += strspn(text, ", ")) {
        char *end;
        long long dim = strtoll(text, &end, 10);
        if (end == text || dim < 0 || t->rank == NN_MAX_RANK)
            return -1;
        t->dims[t->rank++] = dim;
        text = end;
    }
    return 0;
}

static int parse(const char *path, const char *bytes, size_t size,
                 struct tensor *t, struct err *err) {
    if (size < MAGIC_LEN + 4 || memcmp(bytes, MAGIC, MAGIC_LEN) != 0)
        return err_set(err, "%s is no .npy file", path);
    const unsigned char *head = (const unsigned char *)bytes + MAGIC_LEN;
    size_t wide = head[0] > 1 ? 4 : 2, start = MAGIC_LEN + 2 + wide;
    if (size < start)
        return err_set(err, "%s is cut short", path);
    size_t length = 0;
    for (size_t i = wide; i-- > 0;)
        length = length << 8 | head[2 + i];
    if (length > size - start)
        return err_set(err, "%s is cut short", path);
    char *header = strndup(bytes + start, length);
    if (!header)
        return err_set(err, "no memory to read %s", path);
    struct tensor shape = {0};
    const char *type = entry(header, "'descr'");
    const char *order = entry(header, "'fortran_order'");
    int rc = -1;
    if (!type || strncmp(type, "'<f4'", 5) != 0)
        err_set(err,
                "%s does not hold float32 numbers; save it with "
                ".astype(\"float32\")",
                path);
    else if (!order || strncmp(order, "False", 5) != 0)
        err_set(err,
                "%s is in Fortran order; save it with "
                "numpy.ascontiguousarray()",
                path);
    else if (read_shape(entry(header, "'shape'"), &shape) < 0)
        err_set(err, "%s: its shape is malformed", path);
    else
        rc = tensor_make(t, NN_FLOAT32, shape.rank, shape.dims, err);
    free(header);
    if (rc < 0)
        return -1;
    if (tensor_bytes(t) != size - start - length) {
        tensor_free(t);
        return err_set(
            err, "%s does not hold as many numbers as its shape says", path);
    }
    memcpy(t->data, bytes + start + length, tensor_bytes(t));
    return 0;
}

int npy_read(const char *path, struct tensor *t, struct err *err) {
    size_t size;
    char *bytes = file_read(path, FILE_MAX, &size, err);
    if (!bytes)
        return -1;
    int rc = parse(path, bytes, size, t, err);
    free(bytes);
    return rc;
}

int npy_write(const char *path, const struct tensor *t, struct err *err) {
    char header[512] = {0};
    size_t start = MAGIC_LEN + 4, size = sizeof header - start;
    char *text = header + start;
    size_t at = (size_t)snprintf(
        text, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < t->rank; i++)
        at += (size_t)snprintf(text + at, size - at, "%lld%s",
                               (long long)t->dims[i],
                               i + 1 < t->rank ? ", "
                               : t->rank == 1  ? ","
                                               : "");
    at += (size_t)snprintf(text + at, size - at, "), }");
    size_t length = (start + at + HEADER_ALIGN) / HEADER_ALIGN * HEADER_ALIGN;
    memset(text + at, ' ', length - start - at);
    header[length - 1] = '\n';
    memcpy(header, MAGIC "\x01", MAGIC_LEN + 1);
    header[MAGIC_LEN + 2] = (char)((length - start) & 0xff);
    header[MAGIC_LEN + 3] = (char)((length - start) >> 8);

    FILE *file = fopen(path, "wb");
    if (!file)
        return err_set(err, "cannot write %s: %s", path, strerror(errno));
    bool written = fwrite(header, 1, length, file) == length &&
                   fwrite(t->data, 1, tensor_bytes(t), file) == tensor_bytes(t);
    if (fclose(file) != 0 || !written)
        return err_set(err, "cannot write %s: %s", path, strerror(errno));
    return 0;
}
