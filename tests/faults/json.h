/* json: what clients look for in an answer; "" and false where it is not there.
 */
#ifndef CONVOY_TEST_FAULTS_JSON_H
#define CONVOY_TEST_FAULTS_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static inline const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static inline bool has_ended(const json_t *prediction) {
    const char *status = text_of(prediction, "status");
    return strcmp(status, "succeeded") == 0 || strcmp(status, "failed") == 0;
}

#endif
