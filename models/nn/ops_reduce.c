#include "models/nn/op.h"

const struct op ops_reduce[] = {{0}};
