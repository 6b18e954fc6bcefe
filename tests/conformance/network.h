/*
 * network: runs a model as users do, through nn.h: loaded, folded, fused,
 * planned.
 */
#ifndef CONVOY_TESTS_NETWORK_H
#define CONVOY_TESTS_NETWORK_H

#include "tests/conformance/example.h"

int network_run(const struct example *e, struct err *err);

#endif
