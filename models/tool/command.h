/*
 * command: the subcommands of convoy-model, and what they share. Each takes
 * its own part of the command line (argv[0] is its name) and returns the exit
 * status: 0 done, 1 failed, 2 wrong usage.
 */
#ifndef CONVOY_TOOL_COMMAND_H
#define CONVOY_TOOL_COMMAND_H

#include "common/err.h"
#include "common/options.h"

#include <jansson.h>
#include <stdbool.h>

int run_main(int argc, char **argv);
int classify_main(int argc, char **argv);
int eval_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int inspect_main(int argc, char **argv);

/* Reads the options. True: go on; false: return *status. */
bool command_options(const struct options *options, int argc, char **argv,
                     int *status);

/* "convoy-model eval: ..." on stderr; returns 1. */
int command_failed(const struct options *options, const struct err *err);

/* One object on one line of stdout; takes the reference. Returns 0, or 1
 * where it could not be written. */
int command_json(json_t *object);

#endif
