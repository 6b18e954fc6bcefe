#include "models/nn/op.h"

const struct op ops_unary[] = {{0}};
