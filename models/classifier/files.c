#include "models/classifier/files.h"

#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_MAX INT32_MAX /* protobuf's own limit */
#define JSON_MAX (16 << 20) /* 21,841 labels take 2 MB */

/* ---- what it is, if not ONNX --------------------------------------------- */

static const struct kind {
    const char *begins;
    const char *is;
} kinds[] = {
    {"version https://git-lfs.github.com/spec",
     "is a pointer of Git LFS, not the file itself; fetch that with git lfs "
     "pull"},
    {"<!DOCTYPE", "is a web page; fetch the file itself, on Hugging Face's hub "
                  "from .../resolve/..."},
    {"<html", "is a web page; fetch the file itself, on Hugging Face's hub "
              "from .../resolve/..."},
    {"PK\x03\x04", "is a zip archive, as PyTorch and Keras save; export the "
                   "model to ONNX, as with torch.onnx.export()"},
    {"\x80\x02", "is a pickle, as old PyTorch saves; export the model to ONNX, "
                 "as with torch.onnx.export()"},
    {"\x89HDF", "is HDF5, as Keras saves; export the model to ONNX, as with "
                "tf2onnx"},
    {"\x1f\x8b", "is packed by gzip; unpack it"},
};

static int check_kind(const char *path, struct err *err) {
    char head[64] = "";
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(err, "%s: %s", path, strerror(errno));
    size_t size = fread(head, 1, sizeof head, f);
    fclose(f);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].begins);
        if (size >= length && strncasecmp(head, kinds[i].begins, length) == 0)
            return err_set(err, "%s: %s", path, kinds[i].is);
    }
    return 0;
}

/* ---- where they are ------------------------------------------------------ */

static bool is_file(const char *folder, const char *name, char path[PATH_MAX]) {
    int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return n < PATH_MAX && file_exists(path);
}

static int is_onnx(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && dot > entry->d_name && strcmp(dot, ".onnx") == 0;
}

/* The only .onnx file below; -1: there are several, which `err` names. */
static int find_only(const char *folder, const char *below, char path[PATH_MAX],
                     struct err *err) {
    char where[PATH_MAX], names[256] = "";
    struct dirent **entries;
    if (snprintf(where, sizeof where, "%s%s", folder, below) >= PATH_MAX)
        return 0;
    int count = scandir(where, &entries, is_onnx, alphasort);
    int found = count == 1 && is_file(where, entries[0]->d_name, path);
    for (int i = 0; i < count; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                 entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (count > 1)
        return err_set(err,
                       "%s: has no model.onnx, but %s; say which by its path",
                       where, names);
    return found;
}

static int find_model(const char *folder, char path[PATH_MAX],
                      struct err *err) {
    if (is_file(folder, "model.onnx", path) ||
        is_file(folder, "onnx/model.onnx", path))
        return 0;
    int found = find_only(folder, "", path, err);
    if (found == 0)
        found = find_only(folder, "/onnx", path, err);
    if (found == 0)
        err_set(err, "%s: has no model.onnx; is it a model folder?", folder);
    return found == 1 ? 0 : -1;
}

/* The folder that one called onnx lies in; "": it is another one. */
static void find_upper(const char *folder, char upper[PATH_MAX]) {
    const char *last = strrchr(folder, '/');
    *upper = 0;
    if (last && last > folder && strcmp(last, "/onnx") == 0)
        snprintf(upper, PATH_MAX, "%.*s", (int)(last - folder), folder);
}

/* The folder's name, or the file's where that was given and is not "model". */
static void name_it(struct files *files, const char *folder, bool by_file) {
    const char *file = strrchr(files->part[FILES_MODEL].path, '/') + 1;
    const char *dot = strrchr(file, '.');
    size_t length = dot ? (size_t)(dot - file) : strlen(file);
    if (!by_file || (length == 5 && memcmp(file, "model", 5) == 0)) {
        file = strrchr(folder, '/') + 1;
        length = strlen(file);
    }
    snprintf(files->name, sizeof files->name, "%.*s", (int)length, file);
}

static int locate(struct files *files, const char *path, struct err *err) {
    static const char *const names[FILES] = {
        "", "config.json", "preprocessor_config.json", "labels.txt"};
    char folder[PATH_MAX], upper[PATH_MAX];
    char *model = files->part[FILES_MODEL].path;
    if (!realpath(path, folder))
        return err_set(err,
                       "%s: there is no such model; give a folder with "
                       "model.onnx or an .onnx file",
                       path);
    bool by_file = !file_is_folder(folder);
    if (by_file) {
        strcpy(model, folder);
        *strrchr(folder, '/') = 0;
    } else if (find_model(folder, model, err) < 0) {
        return -1;
    }
    find_upper(folder, upper);
    for (int i = FILES_CONFIG; i < FILES; i++)
        if (!is_file(folder, names[i], files->part[i].path) && *upper)
            is_file(upper, names[i], files->part[i].path);
    name_it(files, *upper ? upper : folder, by_file);
    return check_kind(model, err);
}

struct files *files_locate(const char *path, struct err *err) {
    struct files *files = calloc(1, sizeof *files);
    if (!files) {
        err_set(err, "not enough memory to load %s", path);
        return NULL;
    }
    if (locate(files, path, err) < 0) {
        files_free(files);
        return NULL;
    }
    return files;
}

int files_read(struct files *files, struct err *err) {
    for (int i = 0; i < FILES; i++) {
        struct file_part *part = &files->part[i];
        if (i != FILES_MODEL && !file_exists(part->path))
            continue;
        part->bytes =
            file_read(part->path, i == FILES_MODEL ? MODEL_MAX : JSON_MAX,
                      &part->size, err);
        if (!part->bytes)
            return -1;
    }
    return 0;
}

void files_free(struct files *files) {
    for (int i = 0; files && i < FILES; i++)
        free(files->part[i].bytes);
    free(files);
}
