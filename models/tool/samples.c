#include "models/tool/samples.h"

#include "common/file.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIFAR_PLANE (CIFAR_SIDE * CIFAR_SIDE)
#define CIFAR_RECORD (1 + 3 * CIFAR_PLANE)
#define CIFAR_CLASSES 10

static const char *const cifar10_names[CIFAR_CLASSES] = {
    "airplane", "automobile", "bird",  "cat",  "deer",
    "dog",      "frog",       "horse", "ship", "truck"};

/* Same letters, but for case and what stands between words. */
static bool same_name(const char *a, const char *b, size_t b_len) {
    for (size_t i = 0; i < b_len; i++, a++) {
        int x = tolower((unsigned char)*a), y = tolower((unsigned char)b[i]);
        x = x == '_' || x == '-' ? ' ' : x;
        y = y == '_' || y == '-' ? ' ' : y;
        if (x != y || !x)
            return false;
    }
    return !*a;
}

/* Is `name` the label, or one of the names that it lists ("tabby, tabby cat")?
 */
static bool names_label(const char *name, const char *label) {
    if (same_name(name, label, strlen(label)))
        return true;
    while (*label) {
        size_t length = strcspn(label, ",");
        if (same_name(name, label, length))
            return true;
        label += length;
        label += strspn(label, ", ");
    }
    return false;
}

static int find_class(const struct classifier *c, const char *name) {
    for (int i = 0; i < classifier_classes(c); i++)
        if (names_label(name, classifier_label(c, i)))
            return i;
    return -1;
}

static int grow(struct samples *s, int more, struct err *err) {
    size_t count = (size_t)s->count + (size_t)more;
    int *classes = realloc(s->classes, count * sizeof *classes);
    if (classes)
        s->classes = classes;
    return classes ? 0 : err_set(err, "no memory for %zu pictures", count);
}

/* ---- CIFAR-10 ------------------------------------------------------------ */

static void map_cifar10(const struct classifier *c, int map[CIFAR_CLASSES]) {
    bool named = true;
    for (int i = 0; i < CIFAR_CLASSES; i++) {
        map[i] = find_class(c, cifar10_names[i]);
        named = named && map[i] >= 0;
    }
    for (int i = 0; i < CIFAR_CLASSES && !named; i++)
        map[i] = i;
}

static int add_records(struct samples *s, const char *path,
                       const uint8_t *bytes, size_t size,
                       const int map[CIFAR_CLASSES], struct err *err) {
    if (size == 0 || size % CIFAR_RECORD != 0)
        return err_set(
            err,
            "%s: is no CIFAR-10 binary file: its size is no multiple "
            "of %d bytes",
            path, CIFAR_RECORD);
    int more = (int)(size / CIFAR_RECORD);
    size_t pixels = ((size_t)s->count + (size_t)more) * 3 * CIFAR_PLANE;
    uint8_t *block = realloc(s->block, pixels);
    if (block)
        s->block = block;
    if (!block || grow(s, more, err) < 0)
        return err_set(err, "no memory for the pictures of %s", path);
    for (int i = 0; i < more; i++) {
        const uint8_t *record = bytes + (size_t)i * CIFAR_RECORD;
        uint8_t *rgb = s->block + (size_t)s->count * 3 * CIFAR_PLANE;
        if (record[0] >= CIFAR_CLASSES)
            return err_set(err, "%s: picture %d has class %d; CIFAR-10 has %d",
                           path, i, record[0], CIFAR_CLASSES);
        for (int p = 0; p < CIFAR_PLANE; p++)
            for (int k = 0; k < 3; k++)
                rgb[3 * p + k] = record[1 + k * CIFAR_PLANE + p];
        s->classes[s->count++] = map[record[0]];
    }
    return 0;
}

int samples_read_cifar10(struct samples *s, const struct classifier *c,
                         const char *const *files, int count, struct err *err) {
    int map[CIFAR_CLASSES];
    if (classifier_classes(c) < CIFAR_CLASSES)
        return err_set(err, "the model has %d classes; CIFAR-10 has %d",
                       classifier_classes(c), CIFAR_CLASSES);
    map_cifar10(c, map);
    for (int i = 0; i < count; i++) {
        size_t size;
        uint8_t *bytes = file_read(files[i], INT32_MAX, &size, err);
        if (!bytes)
            return -1;
        int rc = add_records(s, files[i], bytes, size, map, err);
        free(bytes);
        if (rc < 0)
            return -1;
    }
    s->rgb = calloc((size_t)s->count, sizeof *s->rgb);
    if (!s->rgb)
        return err_set(err, "no memory for %d pictures", s->count);
    for (int i = 0; i < s->count; i++)
        s->rgb[i] = s->block + (size_t)i * 3 * CIFAR_PLANE;
    return 0;
}

/* ---- folders ------------------------------------------------------------- */

/* Numbers are classes only where the model has no names for them. */
static int numbered(const struct classifier *c, const char *name) {
    char *end, label[32];
    long number = strtol(name, &end, 10);
    if (*end || end == name || number < 0 || number >= classifier_classes(c))
        return -1;
    snprintf(label, sizeof label, "class %ld", number); /* labels.h */
    return strcmp(classifier_label(c, (int)number), label) ? -1 : (int)number;
}

static int class_of_folder(const struct classifier *c, const char *folder,
                           const char *name, struct err *err) {
    int index = find_class(c, name);
    if (index < 0)
        index = numbered(c, name);
    if (index >= 0)
        return index;
    return err_set(err,
                   "%s/%s: the model has no label \"%s\" (it has \"%s\" and "
                   "%d more; convoy-model inspect lists them)",
                   folder, name, name, classifier_label(c, 0),
                   classifier_classes(c) - 1);
}

static int add_path(struct samples *s, const char *folder, const char *name,
                    int index, struct err *err) {
    char **paths = realloc(s->paths, ((size_t)s->count + 1) * sizeof *paths);
    char *path = NULL;
    if (paths)
        s->paths = paths;
    if (!paths || grow(s, 1, err) < 0 ||
        asprintf(&path, "%s/%s", folder, name) < 0)
        return err_set(err, "no memory for the names of the pictures");
    s->paths[s->count] = path;
    s->classes[s->count++] = index;
    return 0;
}

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int add_class(struct samples *s, const struct classifier *c,
                     const char *parent, const char *name, struct err *err) {
    char folder[PATH_MAX];
    struct dirent **entries;
    snprintf(folder, sizeof folder, "%s/%s", parent, name);
    if (!file_is_folder(folder))
        return 0; /* a read-me beside the classes */
    int index = class_of_folder(c, parent, name, err);
    if (index < 0)
        return -1;
    int count = scandir(folder, &entries, visible, alphasort);
    if (count < 0)
        return err_set(err, "%s cannot be read", folder);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = add_path(s, folder, entries[i]->d_name, index, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int samples_read_folder(struct samples *s, const struct classifier *c,
                        const char *folder, struct err *err) {
    struct dirent **entries;
    int count = scandir(folder, &entries, visible, alphasort);
    if (count < 0)
        return err_set(err, "%s: there is no such folder", folder);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = add_class(s, c, folder, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (rc == 0 && s->count == 0)
        rc = err_set(err,
                     "%s: holds no pictures; it should have a folder a class, "
                     "with the pictures of that class in it",
                     folder);
    return rc;
}

void samples_free(struct samples *s) {
    for (int i = 0; s->paths && i < s->count; i++)
        free(s->paths[i]);
    free(s->paths);
    free(s->classes);
    free(s->rgb);
    free(s->block);
    *s = (struct samples){0};
}
