/*
 * photo_list: which photos a folder of classes holds, before any is decoded.
 *
 *     struct photo_list list;
 *     if (photo_list_read(&list, "DIR", team, &found, &err) < 0) ...
 *     list.files[i].path is a picture of class list.names[list.files[i].class]
 *     photo_list_free(&list);
 *
 * A class is a sub-folder, its name the label; the pictures lie in it. Names
 * that begin with a dot are not looked at. What is no picture by its first
 * bytes is left out, and so is what is there twice (by SHA-256): a copy among
 * the held-out photos would be known already, and one in two classes has a
 * wrong label in one of them. A class that holds nothing but folders
 * ("__MACOSX"), or cannot be opened, is left out as well. A folder without
 * folders is an error that says what shape it should have.
 */
#ifndef CONVOY_TRAIN_PHOTO_LIST_H
#define CONVOY_TRAIN_PHOTO_LIST_H

#include "common/digest.h"
#include "common/err.h"
#include "models/train/findings.h"
#include "models/train/team.h"

#include <stdbool.h>

struct photo_file {
    char *path; /* below the folder: "cat/1.jpg"; NULL: taken out */
    int class;
    char *why;             /* it is no picture, or cannot be read; or NULL */
    char hash[DIGEST_HEX]; /* of its bytes */
};

struct photo_list {
    char *folder;
    int classes;
    char **names; /* (classes), in the order of numbers in names */
    int count;
    struct photo_file *files; /* (count), by class, then by name */
    char *nested; /* a folder that held folders where photos should be, or
                     NULL */
};

int photo_list_read(struct photo_list *list, const char *folder,
                    struct team *team, struct findings *found, struct err *err);
void photo_list_free(struct photo_list *list);

/* Takes out files whose path is NULL, and classes that have none left. */
void photo_list_tidy(struct photo_list *list, struct findings *found);

/* Reads a file of the list; NULL with an error. The caller frees. */
void *photo_list_bytes(const struct photo_list *list, int file, size_t *size,
                       struct err *err);

#endif
