#include "models/classifier/confidence.h"

#include <jansson.h>

int confidence_read(const char *json, size_t size, const char *path,
                    float *threshold, struct err *err) {
    json_error_t where;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *value = json_object_get(root, "confidence_threshold");
    double number = json_number_value(value);
    int status = 0;

    *threshold = (float)number;
    if (!root)
        status = err_set(err, "%s: line %d: %s", path, where.line, where.text);
    else if (value && (!json_is_number(value) || number < 0 || number > 1))
        status = err_set(err,
                         "%s: \"confidence_threshold\" should be a score from "
                         "0 to 1",
                         path);
    json_decref(root);
    return status;
}
