/*
 * files: what a model folder consists of, found and read.
 *
 *     struct files *files = files_locate("models/zoo/cats", &err);
 *     if (files && files_read(files, &err) == 0)
 *         ... files->part[FILES_MODEL].bytes, files->name ...
 *     files_free(files);
 *
 * The path may be a folder or an .onnx file, which the others lie beside. A
 * folder has model.onnx, or onnx/model.onnx as on Hugging Face's hub, or one
 * .onnx file of another name. What a folder called onnx has not is looked for
 * one up, and that one's name is the model's.
 *
 * A model.onnx that is something else (a pointer of Git LFS, a web page, what
 * PyTorch saves) is an error that says what it is.
 */
#ifndef CONVOY_CLASSIFIER_FILES_H
#define CONVOY_CLASSIFIER_FILES_H

#include "common/err.h"

#include <limits.h>
#include <stddef.h>

enum { FILES_MODEL, FILES_CONFIG, FILES_PREPROCESSOR, FILES_LABELS, FILES };

struct files {
    char name[256]; /* the folder's, or the file's where that says more */
    struct file_part {
        char path[PATH_MAX];
        char *bytes; /* NULL: there is no such file, or it was not read */
        size_t size;
    } part[FILES];
};

struct files *files_locate(const char *path, struct err *err);
int files_read(struct files *files, struct err *err);
void files_free(struct files *files);

#endif
