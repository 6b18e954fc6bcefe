#include "worker/stock.h"

#include "common/file.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- which there are ----------------------------------------------------- */

static int add(struct stock *stock, const char *path) {
    size_t room = (size_t)stock->count + 1;
    char **paths = realloc(stock->paths, room * sizeof *paths);
    if (!paths)
        return -1;
    stock->paths = paths;
    paths[stock->count] = strdup(path);
    if (!paths[stock->count])
        return -1;
    stock->count++;
    return 0;
}

static bool is_model(const char *path) {
    char file[PATH_MAX];
    if (!file_is_folder(path))
        return true; /* a file, or nothing: loading says which */
    snprintf(file, sizeof file, "%s/model.onnx", path);
    if (file_exists(file))
        return true;
    snprintf(file, sizeof file, "%s/onnx/model.onnx", path);
    return file_exists(file);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int add_folders(struct stock *stock, const char *root) {
    struct dirent **entries;
    int count = scandir(root, &entries, is_visible, alphasort);
    int status = 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", root, entries[i]->d_name);
        if (status == 0 && (size_t)n < sizeof path && file_is_folder(path))
            status = add(stock, path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return status;
}

struct stock *stock_list(const char *models, struct err *err) {
    struct stock *stock = calloc(1, sizeof *stock);
    char *list = strdup(models), *rest = list;
    int status = stock && list ? 0 : -1;
    for (char *path; status == 0 && (path = strsep(&rest, ","));)
        if (*path)
            status =
                is_model(path) ? add(stock, path) : add_folders(stock, path);
    free(list);
    if (status == 0)
        return stock;
    err_set(err, "no memory for a list of models");
    stock_free(stock);
    return NULL;
}

void stock_free(struct stock *stock) {
    for (int i = 0; stock && i < stock->count; i++)
        free(stock->paths[i]);
    if (stock)
        free(stock->paths);
    free(stock);
}

/* ---- whether they changed ------------------------------------------------ */

/* FNV-1a */
#define BASIS UINT64_C(0xcbf29ce484222325)
static uint64_t mix(uint64_t value, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        value = (value ^ ((const uint8_t *)bytes)[i]) *
                UINT64_C(0x00000100000001b3);
    return value;
}

static void mix_number(uint64_t *value, int64_t number) {
    *value = mix(*value, &number, sizeof number);
}

static void place(struct stock_mark *mark, const struct stat *status) {
    int64_t ms = (int64_t)status->st_ctim.tv_sec * 1000 +
                 status->st_ctim.tv_nsec / 1000000;
    if (ms > mark->placed_ms)
        mark->placed_ms = ms;
}

/* A file that is not there counts as such. */
static void mix_file(struct stock_mark *mark, const char *path) {
    struct stat status = {0};
    if (stat(path, &status) == 0)
        place(mark, &status);
    mix_number(&mark->value, (int64_t)status.st_dev);
    mix_number(&mark->value, (int64_t)status.st_ino);
    mix_number(&mark->value, status.st_size);
    mix_number(&mark->value, status.st_mtim.tv_sec);
    mix_number(&mark->value, status.st_mtim.tv_nsec);
    mix_number(&mark->value, status.st_ctim.tv_sec);
    mix_number(&mark->value, status.st_ctim.tv_nsec);
}

struct stock_mark stock_mark(const char *path) {
    static const char *const files[] = {
        "model.onnx", "onnx/model.onnx", "config.json",
        "preprocessor_config.json", "labels.txt"};
    struct stock_mark mark = {.value = mix(BASIS, path, strlen(path) + 1)};
    struct stat status;
    char folder[PATH_MAX], file[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    if (!file_is_folder(path)) {
        char *slash = strrchr(folder, '/');
        strcpy(slash ? slash : folder, slash ? "" : ".");
        mix_file(&mark, path);
    }
    /* Renaming a folder, or what a link points to, changes no file in it. */
    if (lstat(path, &status) == 0)
        place(&mark, &status);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if ((size_t)snprintf(file, sizeof file, "%s/%s", folder, files[i]) <
            sizeof file)
            mix_file(&mark, file);
    return mark;
}

uint64_t stock_mark_all(const struct stock *stock) {
    uint64_t value = BASIS;
    for (int i = 0; i < stock->count; i++)
        mix_number(&value, (int64_t)stock_mark(stock->paths[i]).value);
    return value;
}

void stock_name(const char *path, char name[128]) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    char *word = copy;
    for (;;) {
        char *slash = strrchr(copy, '/');
        word = slash ? slash + 1 : copy;
        if (!slash || (*word && strcmp(word, "model.onnx") != 0))
            break;
        *slash = 0;
    }
    size_t length = strlen(word);
    if (length > 5 && strcmp(word + length - 5, ".onnx") == 0)
        word[length - 5] = 0;
    snprintf(name, 128, "%s", word);
}
