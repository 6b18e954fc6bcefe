/* Prints the operators that the engine has, a line each, sorted:
 *
 *     Clip: 6, 11
 *
 * for the check that models/nn/README.md lists them. */
#include "models/nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1024

static int compare(const void *a, const void *b) {
    const struct op *x = *(const struct op *const *)a;
    const struct op *y = *(const struct op *const *)b;
    const int names = strcmp(x->name, y->name);
    return names ? names : x->since - y->since;
}

int main(void) {
    const struct op *rows[ROWS_MAX];
    size_t count = 0;
    while (count < ROWS_MAX && (rows[count] = op_row((int)count)))
        count++;
    qsort(rows, count, sizeof *rows, compare);
    for (size_t i = 0; i < count; i++)
        if (i > 0 && strcmp(rows[i]->name, rows[i - 1]->name) == 0)
            printf(", %d", rows[i]->since);
        else
            printf("%s%s: %d", i ? "\n" : "", rows[i]->name, rows[i]->since);
    printf("\n");
    return 0;
}
