/*
 * stock: the model folders that there are, and what tells that they changed.
 *
 *     struct stock *stock = stock_list("models/zoo,/srv/birds", &err);
 *     for (int i = 0; i < stock->count; i++)
 *         load(stock->paths[i]);
 *     stock_free(stock);
 *
 *     struct stock_mark before = stock_mark(path);
 *     ...
 *     if (stock_mark(path).value != before.value) ... it was being written
 *
 * The list has commas between; an entry is a model folder (or an .onnx file),
 * or a folder of model folders, which come in the order of their names. Names
 * with a dot in front are passed over: whoever fills a folder there and renames
 * it when it is complete is never served half of it.
 *
 * A mark is made of what the file system says of the files that a model is
 * read from (identity, size, times), not of their contents: cheap enough to be
 * asked for every second, on network file systems, too.
 */
#ifndef CONVOY_STOCK_H
#define CONVOY_STOCK_H

#include "common/err.h"

#include <stdint.h>

struct stock {
    char **paths; /* owned */
    int count;
};

/* NULL: out of memory. What cannot be read is listed as it was named; loading
 * it says what is wrong. */
struct stock *stock_list(const char *models, struct err *err);
void stock_free(struct stock *stock);

struct stock_mark {
    uint64_t value;
    int64_t placed_ms; /* when its files, or a rename of its folder, put it in
                          place; wall clock */
};
struct stock_mark stock_mark(const char *path);

/* Of all that is listed. */
uint64_t stock_mark_all(const struct stock *stock);

/* Under which name a model is or would be served: the last word of its path
 * that is neither model.onnx nor onnx. */
void stock_name(const char *path, char name[128]);

#endif
