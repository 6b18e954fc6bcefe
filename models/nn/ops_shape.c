#include "models/nn/op.h"

const struct op ops_shape[] = {{0}};
