#include "tests/integration/zoo.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root(void) {
    return getenv("CONVOY_MODELS");
}

/* A bundled model's folder; "" where there is none. */
static const char *bundled(char path[512]) {
    glob_t found;
    *path = 0;
    if (glob("models/zoo/*/model.onnx", 0, NULL, &found) == 0)
        snprintf(path, 512, "%.*s",
                 (int)strlen(found.gl_pathv[0]) - (int)strlen("/model.onnx"),
                 found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) < 0)
        abort();
    *size = (size_t)status.st_size;
    char *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        abort();
    fclose(file);
    return bytes;
}

/* In `pieces`, a pause of `ms` behind each. */
static void write_file(const char *path, const char *bytes, size_t size,
                       int pieces, int ms) {
    FILE *file = fopen(path, "wb");
    if (!file)
        abort();
    for (int i = 0; i < pieces; i++) {
        size_t from = size * (size_t)i / (size_t)pieces;
        size_t to = size * (size_t)(i + 1) / (size_t)pieces;
        if (fwrite(bytes + from, 1, to - from, file) != to - from ||
            fflush(file) != 0)
            abort();
        usleep((useconds_t)ms * 1000);
    }
    fclose(file);
}

/* config.json with the word before each label. */
static char *mark_labels(const char *path, const char *word) {
    json_t *config = json_load_file(path, 0, NULL), *label;
    const char *key;
    void *next;
    json_object_foreach_safe(json_object_get(config, "id2label"), next, key,
                             label)
        json_object_set_new(
            json_object_get(config, "id2label"), key,
            json_sprintf("%s %s", word, json_string_value(label)));
    json_object_del(config, "label2id"); /* has the labels, too */
    char *text = json_dumps(config, JSON_INDENT(2));
    json_decref(config);
    if (!text)
        abort();
    return text;
}

static void fill(const char *folder, const char *word, int pieces, int ms) {
    char from[512], path[600], to[600];
    size_t size;
    bundled(from);
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/config.json", from);
    snprintf(to, sizeof to, "%s/config.json", folder);
    char *text = mark_labels(path, word);
    write_file(to, text, strlen(text), 1, ms);
    free(text);
    static const char *const files[] = {"model.onnx",
                                        "preprocessor_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", from, files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        text = read_file(path, &size);
        write_file(to, text, size, pieces, ms);
        free(text);
    }
}

/* Hidden from the service: a dot in front. */
static void aside(char path[600], const char *name, const char *word) {
    snprintf(path, 600, "%s/.%s.%s", root(), name, word);
}

static void swap_in(const char *name, const char *new, const char *word) {
    char path[600], old[600], said[700], kept[64] = "none";
    snprintf(path, sizeof path, "%s/%s", root(), name);
    snprintf(said, sizeof said, "%s/word", path);
    FILE *file = fopen(said, "r");
    if (file && fscanf(file, "%63s", kept) != 1)
        abort();
    if (file)
        fclose(file);
    aside(old, name, kept);
    rename(path, old);
    assert_int_equal(rename(new, path), 0);
    write_file(said, word, strlen(word), 1, 0);
}

void zoo_put(const char *name, const char *word) {
    char new[600];
    aside(new, name, "new");
    fill(new, word, 1, 0);
    swap_in(name, new, word);
}

void zoo_put_back(const char *name, const char *word) {
    char kept[600], new[600];
    aside(kept, name, word);
    aside(new, name, "new");
    assert_int_equal(rename(kept, new), 0);
    swap_in(name, new, word);
}

void zoo_take_away(const char *name) {
    char path[512], away[600];
    snprintf(path, sizeof path, "%s/%s", root(), name);
    aside(away, name, "away");
    assert_int_equal(rename(path, away), 0);
}

void zoo_put_broken(const char *name) {
    char new[600], network[700];
    struct stat status;
    aside(new, name, "new");
    fill(new, "broken", 1, 0);
    snprintf(network, sizeof network, "%s/model.onnx", new);
    assert_int_equal(stat(network, &status), 0);
    assert_int_equal(truncate(network, status.st_size / 2), 0);
    swap_in(name, new, "broken");
}

void zoo_copy_slowly(const char *name, const char *word) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", root(), name);
    fill(path, word, 20, 50);
}

int zoo_enter(void) {
    char path[512], folder[] = "/tmp/convoy-zoo-XXXXXX";
    if (!*bundled(path))
        return 0;
    if (getenv("CONVOY_RUN"))
        return 1;
    if (!mkdtemp(folder))
        abort();
    setenv("CONVOY_MODELS", folder, 1);
    setenv("CONVOY_MODELS_CHECK", "500ms", 1);
    setenv("CONVOY_RETIRE_AFTER", "2s", 1);
    zoo_put("pets", "v1");
    return 1;
}

void zoo_close(void) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", root());
    if (system(command) != 0)
        print_message("%s failed\n", command);
}
