/*
 * model_folder: a trained network as a folder that can be served.
 *
 *     struct outcome outcome = {.command = "convoy-model train ...", ...};
 *     model_folder_write("cifar10-airbench", trainer, &outcome, &err);
 *
 *   model.onnx                 export.h
 *   config.json                Hugging Face style: the classes by number, and
 *                              what the training came to
 *   preprocessor_config.json   likewise: resized to the network's input,
 *                              bicubic as Pillow does it, scaled and
 *                              normalised as in training
 *   README.md                  the card (card.h)
 *   labels.txt                 the classes, one a line, if asked for
 *
 * Each file is written whole or not at all. The folder's name is the model's.
 */
#ifndef CONVOY_TRAIN_MODEL_FOLDER_H
#define CONVOY_TRAIN_MODEL_FOLDER_H

#include "models/train/card.h"
#include "models/train/trainer.h"

/* "models/zoo/cifar10-airbench/" -> "cifar10-airbench", into NAME_MAX + 1
 * bytes. */
void model_folder_name(const char *folder, char *name);

/* The folder must be there. */
int model_folder_write(const char *folder, struct trainer *t,
                       const struct outcome *outcome, struct err *err);

#endif
