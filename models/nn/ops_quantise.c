#include "models/nn/op.h"

const struct op ops_quantise[] = {{0}};
