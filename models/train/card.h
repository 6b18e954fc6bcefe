/*
 * card: what a person should know before trusting a model: its data, how it
 * was trained (with the command that does it again), how good it is, what it
 * cannot do, and its licence. Markdown with Hugging Face's header.
 *
 *     size_t size;
 *     char *text = card_text(trainer, "cifar10-airbench", &outcome, &size,
 *                            &err);
 *     ...
 *     free(text);
 */
#ifndef CONVOY_TRAIN_CARD_H
#define CONVOY_TRAIN_CARD_H

#include "models/train/photos.h"
#include "models/train/trainer.h"

/* What a run came to, beyond what the trainer knows. */
struct outcome {
    const char *command;         /* that trains the network again */
    const struct photos *photos; /* NULL: CIFAR-10 */
    double temperature;          /* by which logits are divided */
    bool fitted;                 /* on this run's held-out images */
    double error_before, error;  /* expected calibration error, held out */
    double threshold;            /* calibration_threshold(), or 0 */
    bool write_labels;
};

char *card_text(struct trainer *t, const char *name,
                const struct outcome *outcome, size_t *size, struct err *err);

#endif
