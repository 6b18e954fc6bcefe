#include "models/nn/op.h"

const struct op ops_window[] = {{0}};
