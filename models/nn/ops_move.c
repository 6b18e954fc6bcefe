#include "models/nn/op.h"

const struct op ops_move[] = {{0}};
