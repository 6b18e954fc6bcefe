#include "models/nn/op.h"

const struct op ops_matmul[] = {{0}};
