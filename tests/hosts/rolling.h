/*
 * rolling: a new version of the model, rolled out host by host under load.
 *
 *     rolling_run(oracle, do_step, checker);
 *
 * One worker has it: all fronts lead to it at once. Its host dies: they go back
 * to the version that the others have, and what was accepted for the new one
 * waits until another worker has it. Whatever is answered is of the version
 * that its id says, and right. `do_step` does what a scenario's steps say.
 */
#ifndef CONVOY_TEST_ROLLING_H
#define CONVOY_TEST_ROLLING_H

#include "tests/faults/oracle.h"

void rolling_run(struct oracle *oracle,
                 void (*do_step)(const void *context, const char *step),
                 const void *context);

#endif
