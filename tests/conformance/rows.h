/*
 * rows: runs a graph operator by operator, as the file has it: no folding, no
 * fusion, no plan. What disagrees here is an operator's fault.
 */
#ifndef CONVOY_TESTS_ROWS_H
#define CONVOY_TESTS_ROWS_H

#include "tests/conformance/example.h"

int rows_run(const struct example *e, struct err *err);

#endif
