/*
 * watch: tells when the model folders have changed and stand still again.
 *
 *     struct watch *watch = watch_open("models/zoo", 1000, &err);
 *     poll() on watch_fd(watch) for reading, then
 *     if (watch_take(watch)) ...                    load the models anew
 *     watch_close(watch);
 *
 * A thread looks at the folders every `period_ms` (stock.h), for a file system
 * may let one wait, and inotify knows nothing of what other hosts write to a
 * shared one. Files that are being copied change from look to look: a change is
 * told of once WATCH_STILL looks in a row have found nothing new. What the
 * folders were like at watch_open() is taken for known.
 */
#ifndef CONVOY_WATCH_H
#define CONVOY_WATCH_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_STILL 2

/* `models` is borrowed. A period of 0: never looks, and there is no thread. */
struct watch *watch_open(const char *models, int64_t period_ms,
                         struct err *err);
void watch_close(struct watch *watch);
int watch_fd(const struct watch *watch);
bool watch_take(struct watch *watch);

#endif
