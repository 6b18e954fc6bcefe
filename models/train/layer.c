#include "models/train/layer.h"

#include <string.h>

struct param *layer_param(struct layer *l, const char *name) {
    for (int i = 0; i < l->params_count; i++)
        if (strcmp(l->params[i].name, name) == 0)
            return &l->params[i];
    return NULL;
}
