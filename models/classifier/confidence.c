#include "models/classifier/confidence.h"

#include "models/classifier/json_file.h"

int confidence_read(const char *json, size_t size, const char *path,
                    float *threshold, struct err *err) {
    json_t *root = json_file_parse(json, size, path, err);
    const json_t *value = json_object_get(root, "confidence_threshold");
    double number = json_number_value(value);
    int status = root ? 0 : -1;

    *threshold = (float)number;
    if (value && (!json_is_number(value) || number < 0 || number > 1))
        status = err_set(err,
                         "%s: \"confidence_threshold\" should be a score from "
                         "0 to 1",
                         path);
    json_decref(root);
    return status;
}
