#include "models/nn/op.h"

const struct op ops_normalise[] = {{0}};
