/*
 * train: the `train` subcommand of convoy-model.
 *
 *     return train_main(argc, argv);      argv[0] is "train"
 *
 * Returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by
 * SIGINT or SIGTERM (DIR/checkpoint then holds the epochs that were done).
 */
#ifndef CONVOY_TRAIN_H
#define CONVOY_TRAIN_H

int train_main(int argc, char **argv);

#endif
