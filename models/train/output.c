#include "models/train/output.h"

#include "common/file.h"
#include "common/job.h"
#include "models/train/model_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder's name is the model's, in addresses and keys of the service. */
static int check_name(const struct output *o, struct err *err) {
    char name[NAME_MAX + 1];
    model_folder_name(o->folder, name);
    if (job_name_valid(name) && *name != '.')
        return 0;
    return err_set(err,
                   "--out %s: a model is named as its folder, and the service "
                   "refuses \"%s\": 1 to 127 of A-Z a-z 0-9 . _ -, not "
                   "beginning with a dot",
                   o->folder, name);
}

static int check_writable(const struct output *o, struct err *err) {
    if (!file_is_folder(o->folder))
        return err_set(err, "--out %s: is no folder; name another", o->folder);
    if (access(o->folder, W_OK | X_OK) < 0)
        return err_set(err, "--out %s: cannot be written to: %s", o->folder,
                       strerror(errno));
    return 0;
}

/* Whether it was made just now. */
static int make(const struct output *o, bool *made, struct err *err) {
    *made = mkdir(o->folder, 0777) == 0;
    if (!*made && errno != EEXIST)
        return err_set(
            err, "cannot make the folder %s: %s%s", o->folder, strerror(errno),
            errno == ENOENT ? "; it is to be in one that is there" : "");
    return check_writable(o, err);
}

/* Among the classes it would be one, the next time. */
static int check_apart(const struct output *o, struct err *err) {
    char *out = realpath(o->folder, NULL);
    char *photos = o->photos ? realpath(o->photos, NULL) : NULL;
    size_t length = photos ? strlen(photos) : 0;
    bool inside = out && photos && strncmp(out, photos, length) == 0 &&
                  (out[length] == '/' || !out[length]);
    free(out);
    free(photos);
    if (!inside)
        return 0;
    return err_set(err,
                   "--out %s: lies in the folder of the photos, where every "
                   "folder is a class; name one beside it",
                   o->folder);
}

static int lock(const struct output *o, struct err *err) {
    int fd = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "--out %s: %s", o->folder, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return fd;
    close(fd);
    return err_set(err,
                   "another training is at work in %s: wait for its end, or "
                   "name another folder",
                   o->folder);
}

static int foreign(const struct dirent *entry) {
    static const char *const ours[] = {"report.html", "report.html.new",
                                       "checkpoint.new", "lost+found"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(entry->d_name, ours[i]) == 0)
            return 0;
    return entry->d_name[0] != '.';
}

static int check_empty(const struct output *o, struct err *err) {
    static const char advice[] =
        "name another folder, or remove this one to start anew";
    char path[PATH_MAX];
    struct dirent **entries;
    snprintf(path, sizeof path, "%s/checkpoint", o->folder);
    if (file_exists(path))
        return err_set(err,
                       "%s is there from another run: go on with --resume; or "
                       "%s",
                       path, advice);
    int count = scandir(o->folder, &entries, foreign, alphasort);
    if (count < 0)
        return err_set(err, "--out %s: %s", o->folder, strerror(errno));
    if (count > 0)
        err_set(err, "--out %s: there is %s in it already; %s", o->folder,
                entries[0]->d_name, advice);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return count > 0 ? -1 : 0;
}

int output_open(const struct output *o, struct err *err) {
    bool made = false;
    int fd = -1;
    if (o->resume)
        return check_writable(o, err) < 0 ? -1 : lock(o, err);
    if (check_name(o, err) < 0 || make(o, &made, err) < 0)
        return -1;
    if (check_apart(o, err) < 0 || (fd = lock(o, err)) < 0 ||
        check_empty(o, err) < 0)
        goto fail;
    return fd;
fail:
    if (fd >= 0)
        close(fd);
    if (made)
        rmdir(o->folder);
    return -1;
}
