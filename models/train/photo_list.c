#include "models/train/photo_list.h"

#include "common/file.h"
#include "common/sniff.h"
#include "models/train/names.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHOTO_MAX ((size_t)256 << 20) /* bytes; above any photo served */
#define CLASSES_MAX 65535             /* labels have 16 bits */

/* ---- what lies where ----------------------------------------------------- */

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By name, numbers by their value: 2 before 10. */
static int scan(const char *folder, struct dirent ***entries, struct err *err) {
    int count = scandir(folder, entries, visible, versionsort);
    if (count < 0)
        return err_set(err, "%s: %s", folder, strerror(errno));
    return count;
}

static void free_entries(struct dirent **entries, int count) {
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static int add_file(struct photo_list *list, const char *name,
                    struct err *err) {
    int class = list->classes - 1;
    struct photo_file *files =
        realloc(list->files, ((size_t)list->count + 1) * sizeof *files);
    if (files)
        list->files = files;
    struct photo_file file = {.class = class};
    if (!files || asprintf(&file.path, "%s/%s", list->names[class], name) < 0)
        return err_set(err, "no memory for the names of the photos");
    files[list->count++] = file;
    return 0;
}

/* The files of the class that was added last. */
static int add_files(struct photo_list *list, struct findings *found,
                     struct err *err) {
    char folder[PATH_MAX], below[PATH_MAX];
    const char *name = list->names[list->classes - 1];
    struct dirent **entries;
    int rc = 0, folders = 0, before = list->count;
    snprintf(folder, sizeof folder, "%s/%s", list->folder, name);
    int count = scandir(folder, &entries, visible, versionsort);
    if (count < 0) {
        findings_add(found, FINDING_CLOSED, "%s: %s", name, strerror(errno));
        return 0;
    }
    for (int i = 0; i < count && rc == 0; i++) {
        snprintf(below, sizeof below, "%s/%s", folder, entries[i]->d_name);
        if (!file_is_folder(below)) {
            rc = add_file(list, entries[i]->d_name, err);
        } else {
            folders++;
            findings_add(found, FINDING_NESTED, "%s/%s", name,
                         entries[i]->d_name);
        }
    }
    free_entries(entries, count);
    if (folders > 0 && list->count == before && !list->nested)
        list->nested = strdup(folder);
    return rc;
}

static int add_class(struct photo_list *list, const char *name,
                     struct err *err) {
    json_t *text = json_string(name);
    bool readable = text != NULL;
    json_decref(text);
    if (!readable)
        return err_set(err,
                       "%s/%s: a class is named as its folder, and this name "
                       "is not in UTF-8: rename the folder",
                       list->folder, name);
    if (names_control(name))
        return err_set(err,
                       "%s/%s: a class is named as its folder, and this name "
                       "has a control character, shown as ?: rename the folder",
                       list->folder, name);
    if (list->classes == CLASSES_MAX)
        return err_set(err, "%s: more than %d classes", list->folder,
                       CLASSES_MAX);
    char **names =
        realloc(list->names, ((size_t)list->classes + 1) * sizeof *names);
    if (names)
        list->names = names;
    if (!names || !(names[list->classes] = strdup(name)))
        return err_set(err, "no memory for the names of the classes");
    list->classes++;
    return 0;
}

/* Pictures beside the classes rather than in them. */
static int refuse_flat(const struct photo_list *list, int loose,
                       struct err *err) {
    return err_set(err,
                   "%s: has no folders in it%s. Make one for each class, "
                   "named as the class, with its photos inside: %s/cat/1.jpg, "
                   "%s/dog/2.jpg",
                   list->folder,
                   loose > 0 ? ", only files, and nothing says what they show"
                             : "",
                   list->folder, list->folder);
}

static int list_folder(struct photo_list *list, struct findings *found,
                       struct err *err) {
    struct dirent **entries;
    char below[PATH_MAX];
    int rc = 0, loose = 0;
    int count = scan(list->folder, &entries, err);
    if (count < 0)
        return -1;
    for (int i = 0; i < count && rc == 0; i++) {
        const char *name = entries[i]->d_name;
        snprintf(below, sizeof below, "%s/%s", list->folder, name);
        if (file_is_folder(below)) {
            rc = add_class(list, name, err);
            if (rc == 0)
                rc = add_files(list, found, err);
        } else {
            loose++;
            findings_add(found, FINDING_FOREIGN,
                         "%s: lies beside the classes, not in one", name);
        }
    }
    free_entries(entries, count);
    if (rc == 0 && list->classes == 0)
        return refuse_flat(list, loose, err);
    return rc;
}

/* ---- what is in the files ------------------------------------------------ */

void *photo_list_bytes(const struct photo_list *list, int file, size_t *size,
                       struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", list->folder, list->files[file].path);
    return file_read(path, PHOTO_MAX, size, err);
}

/* Why bytes that are none of the formats are no picture. Phones of one maker
 * save HEIF (ISO 23008-12): its box "ftyp" names what it is. */
static const char *foreign(const unsigned char *bytes, size_t size) {
    static const char *const heif[] = {"heic", "heix", "hevc", "heim",
                                       "heis", "mif1", "msf1"};
    if (size == 0)
        return "is empty";
    if (size >= 12 && memcmp(bytes + 4, "ftyp", 4) == 0)
        for (size_t i = 0; i < sizeof heif / sizeof *heif; i++)
            if (memcmp(bytes + 8, heif[i], 4) == 0)
                return "is HEIC, as phones save it: convert it to JPEG";
    return "is none of JPEG, PNG, WebP, BMP, GIF";
}

static void hash_file(void *arg, int item, int thread) {
    struct photo_list *list = arg;
    struct photo_file *file = &list->files[item];
    struct err err = {0};
    size_t size;
    (void)thread;
    void *bytes = photo_list_bytes(list, item, &size, &err);
    size_t above = strlen(list->folder) + 1; /* begins the text */
    if (!bytes)
        file->why = strdup(err.text + (above < strlen(err.text) ? above : 0));
    else if (!sniff_image(bytes, size) &&
             asprintf(&file->why, "%s: %s", file->path, foreign(bytes, size)) <
                 0)
        file->why = NULL; /* decoding will find it */
    if (bytes)
        digest_sha256_hex(bytes, size, file->hash);
    free(bytes);
}

static void drop(struct photo_file *file) {
    free(file->path);
    free(file->why);
    file->path = file->why = NULL;
}

static void drop_foreign(struct photo_list *list, struct findings *found) {
    for (int i = 0; i < list->count; i++) {
        struct photo_file *file = &list->files[i];
        if (!file->why)
            continue;
        findings_add(found, *file->hash ? FINDING_FOREIGN : FINDING_BROKEN,
                     "%s", file->why);
        drop(file);
    }
}

/* Files with the same bytes side by side, in the list's order. */
static int by_hash(const void *a, const void *b) {
    const struct photo_file *const *x = a, *const *y = b;
    int order = strcmp((*x)->hash, (*y)->hash);
    return order ? order : *x < *y ? -1 : *x > *y;
}

/* Files first..first+count-1 have the same bytes. */
static void drop_copies(struct photo_file **files, int count,
                        struct findings *found) {
    bool contradict = false;
    for (int i = 1; i < count; i++)
        contradict |= files[i]->class != files[0]->class;
    for (int i = 1; i < count; i++)
        findings_add(
            found, contradict ? FINDING_CONTRADICTION : FINDING_DUPLICATE,
            "%s is the same file as %s", files[i]->path, files[0]->path);
    for (int i = contradict ? 0 : 1; i < count; i++)
        drop(files[i]);
}

static int drop_duplicates(struct photo_list *list, struct findings *found,
                           struct err *err) {
    int count = 0;
    struct photo_file **files = calloc((size_t)list->count + 1, sizeof *files);
    if (!files)
        return err_set(err, "no memory to compare %d photos", list->count);
    for (int i = 0; i < list->count; i++)
        if (list->files[i].path)
            files[count++] = &list->files[i];
    qsort(files, (size_t)count, sizeof *files, by_hash);
    for (int i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count; next++)
            if (strcmp(files[i]->hash, files[next]->hash) != 0)
                break;
        if (next > i + 1)
            drop_copies(files + i, next - i, found);
    }
    free(files);
    return 0;
}

/* ---- the list ------------------------------------------------------------ */

/* Classes without files go, and the others move up; returns nothing because
 * findings say it. */
static void drop_empty_classes(struct photo_list *list,
                               struct findings *found) {
    int kept = 0, file = 0;
    for (int class = 0; class < list->classes; class ++) {
        int first = file;
        for (; file < list->count && list->files[file].class == class; file++)
            list->files[file].class = kept;
        if (file > first) {
            list->names[kept++] = list->names[class];
            continue;
        }
        findings_add(found, FINDING_EMPTY, "%s", list->names[class]);
        free(list->names[class]);
    }
    list->classes = kept;
}

void photo_list_tidy(struct photo_list *list, struct findings *found) {
    int kept = 0;
    for (int i = 0; i < list->count; i++)
        if (list->files[i].path)
            list->files[kept++] = list->files[i];
    list->count = kept;
    drop_empty_classes(list, found);
}

int photo_list_read(struct photo_list *list, const char *folder,
                    struct team *team, struct findings *found,
                    struct err *err) {
    *list = (struct photo_list){.folder = strdup(folder)};
    if (!list->folder) {
        err_set(err, "no memory for the names of the photos");
        goto fail;
    }
    for (size_t n = strlen(folder); n > 1 && list->folder[n - 1] == '/'; n--)
        list->folder[n - 1] = 0;
    if (list_folder(list, found, err) < 0)
        goto fail;
    team_run(team, list->count, hash_file, list);
    drop_foreign(list, found);
    if (drop_duplicates(list, found, err) < 0)
        goto fail;
    photo_list_tidy(list, found);
    return 0;
fail:
    photo_list_free(list);
    return -1;
}

void photo_list_free(struct photo_list *list) {
    for (int i = 0; i < list->count; i++)
        drop(&list->files[i]);
    for (int i = 0; i < list->classes; i++)
        free(list->names[i]);
    free(list->files);
    free(list->names);
    free(list->folder);
    free(list->nested);
    *list = (struct photo_list){0};
}
