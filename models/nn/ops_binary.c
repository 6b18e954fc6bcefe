#include "models/nn/op.h"

const struct op ops_binary[] = {{0}};
