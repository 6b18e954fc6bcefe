#include "models/nn/op.h"

const struct op ops_line[] = {{0}};
