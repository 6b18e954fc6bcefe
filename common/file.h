/*
 * file: a whole file in memory, and back.
 *
 *     size_t size;
 *     void *bytes = file_read("config.json", 1 << 20, &size, &err);
 *     ...
 *     free(bytes);
 *
 * The bytes are followed by a NUL that `size` does not count, so a text file
 * can be read as a string. The error names the path and what is wrong.
 */
#ifndef CONVOY_FILE_H
#define CONVOY_FILE_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

/* NULL where the file cannot be read, is no regular file, or is larger than
 * `most` bytes. */
void *file_read(const char *path, size_t most, size_t *size, struct err *err);

/* Mapped for reading instead; munmap(bytes, size) is the caller's. An empty
 * file is an error. Reading what somebody cuts off meanwhile is SIGBUS. */
void *file_map(const char *path, size_t most, size_t *size, struct err *err);

/* The whole file or nothing: written beside its place ("PATH.new"), forced to
 * disk and renamed over what was there. */
int file_write(const char *path, const void *bytes, size_t size,
               struct err *err);

bool file_exists(const char *path);
bool file_is_folder(const char *path);

#endif
