/*
 * conformance: the engine against ONNX's own tests.
 *
 *     conformance FOLDER < list
 *
 * FOLDER is where the tests lie (Debian's libonnx-testdata). A line of the list
 * is
 *
 *     run NAME             with its inputs open, and with all but the first
 *                          as constants of the model
 *     constants NAME       the latter alone: shapes depend on the others
 *     skip NAME REASON
 *
 * Each is run operator by operator (rows.h), and through nn.h, where the plan
 * folds, fuses and takes the fast kernels. A line for each that fails and a
 * closing line with totals; the status says whether all is well.
 */
#include "tests/conformance/network.h"
#include "tests/conformance/rows.h"

#include "models/nn/gemm.h"

#include <string.h>

static const struct way {
    const char *name;
    int (*run)(const struct example *e, struct err *err);
} ways[] = {
    {"operators alone", rows_run},
    {"through nn.h", network_run},
};

static int run_one(const char *folder, bool constants, struct err *err) {
    struct example e;
    int rc = 0;

    if (example_read(&e, folder, constants, err) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < sizeof ways / sizeof *ways; i++) {
        rc = ways[i].run(&e, err);
        if (rc < 0)
            err_prefix(err, "%s%s", ways[i].name,
                       constants ? ", others constant" : "");
    }
    example_free(&e);
    return rc;
}

static bool run_test(const char *data, const char *name, bool open) {
    struct err err = {0};
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/%s", data, name);
    if ((!open || run_one(folder, false, &err) == 0) &&
        run_one(folder, true, &err) == 0)
        return true;
    printf("%s FAILED: %s\n", name, err.text);
    return false;
}

int main(int argc, char **argv) {
    char line[1024], how[16], name[256], reason[512];
    int passed = 0, failed = 0, skipped = 0;

    gemm_choose_core(argv);
    gemm_init();
    if (argc != 2) {
        fprintf(stderr, "usage: conformance FOLDER < list\n");
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        const int words =
            sscanf(line, "%15s %255s %511[^\n]", how, name, reason);
        if (words < 1 || how[0] == '#')
            continue;
        if (words == 3 && strcmp(how, "skip") == 0) {
            printf("%s skipped: %s\n", name, reason);
            skipped++;
        } else if (words == 2 &&
                   (strcmp(how, "run") == 0 || strcmp(how, "constants") == 0)) {
            if (run_test(argv[1], name, how[0] == 'r'))
                passed++;
            else
                failed++;
        } else {
            fprintf(stderr, "conformance: this line is not understood: %s",
                    line);
            return 2;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
