#include "models/tool/command.h"

#include "models/train/names.h"

#include <stdio.h>
#include <stdlib.h>

bool command_options(const struct options *options, int argc, char **argv,
                     int *status) {
    struct err err = {0};
    switch (options_read(options, argc, argv, &err)) {
    case OPTIONS_RUN:
        return true;
    case OPTIONS_DONE:
        *status = 0;
        return false;
    case OPTIONS_BAD:
        break;
    }
    command_failed(options, &err);
    *status = 2;
    return false;
}

int command_failed(const struct options *options, const struct err *err) {
    struct err shown = *err; /* with names of files in it */
    names_plain(shown.text);
    fprintf(stderr, "%s: %s\n", options->program, shown.text);
    return 1;
}

int command_json(json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (!text || puts(text) < 0 || fflush(stdout) != 0) {
        fputs("convoy-model: the result could not be written\n", stderr);
        free(text);
        return 1;
    }
    free(text);
    return 0;
}
