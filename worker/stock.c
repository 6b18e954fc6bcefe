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

static int is_network(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot > entry->d_name && strcmp(dot, ".onnx") == 0;
}

static int count_entries(const char *folder,
                         int (*wanted)(const struct dirent *)) {
    struct dirent **entries;
    int count = scandir(folder, &entries, wanted, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return count;
}

/* As models/classifier/files.h has it. */
static bool is_model(const char *path) {
    char below[PATH_MAX];
    if (!file_is_folder(path))
        return true; /* a file, or nothing: loading says which */
    snprintf(below, sizeof below, "%s/onnx", path);
    return count_entries(path, is_network) > 0 ||
           count_entries(below, is_network) > 0;
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

/* What models are made of, by name: not the logs, reports and checkpoints that
 * may be written beside it all the time. */
static int is_of_model(const struct dirent *entry) {
    static const char *const ends[] = {".json", ".txt", ".data",
                                       ".bin",  ".pb",  ".weight"};
    const char *dot = strrchr(entry->d_name, '.');
    bool fits = strstr(entry->d_name, ".onnx") != NULL;
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        fits = fits || strcmp(dot, ends[i]) == 0;
    return fits && is_visible(entry);
}

static void mix_folder(struct stock_mark *mark, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, is_of_model, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        int n =
            snprintf(file, sizeof file, "%s/%s", folder, entries[i]->d_name);
        mark->value = mix(mark->value, entries[i]->d_name,
                          strlen(entries[i]->d_name) + 1);
        if ((size_t)n < sizeof file && !file_is_folder(file))
            mix_file(mark, file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* Where the folder is called onnx, files one up belong to it; see files.h. */
static void mix_surroundings(struct stock_mark *mark, const char *folder) {
    char other[PATH_MAX];
    size_t length = strlen(folder);
    if ((size_t)snprintf(other, sizeof other, "%s/onnx", folder) < sizeof other)
        mix_folder(mark, other);
    if (length > 5 && strcmp(folder + length - 5, "/onnx") == 0) {
        snprintf(other, sizeof other, "%.*s", (int)(length - 5), folder);
        mix_folder(mark, other);
    }
}

struct stock_mark stock_mark(const char *path) {
    struct stock_mark mark = {.value = mix(BASIS, path, strlen(path) + 1)};
    struct stat status;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    if (!file_is_folder(path)) {
        char *slash = strrchr(folder, '/');
        strcpy(slash ? slash : folder, slash ? "" : ".");
    }
    /* Renaming a folder, or what a link points to, changes no file in it. */
    if (lstat(path, &status) == 0)
        place(&mark, &status);
    mix_folder(&mark, folder);
    mix_surroundings(&mark, folder);
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
        if (!slash || (*word && strcmp(word, "model.onnx") != 0 &&
                       strcmp(word, "onnx") != 0))
            break;
        *slash = 0;
    }
    size_t length = strlen(word);
    if (length > 5 && strcmp(word + length - 5, ".onnx") == 0)
        word[length - 5] = 0;
    snprintf(name, 128, "%s", word);
}
