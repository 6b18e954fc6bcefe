/*
 * card: what a person should know before trusting a model: its data, how it
 * was trained (with the command that does it again), how good it is, what it
 * cannot do, and its licence. Markdown with Hugging Face's header.
 *
 *     size_t size;
 *     char *text = card_text(trainer, "cifar10-airbench", command, &size,
 * &err);
 *     ...
 *     free(text);
 */
#ifndef CONVOY_TRAIN_CARD_H
#define CONVOY_TRAIN_CARD_H

#include "models/train/trainer.h"

char *card_text(struct trainer *t, const char *name, const char *command,
                size_t *size, struct err *err);

#endif
