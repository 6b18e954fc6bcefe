#include "models/train/findings.h"

#include "models/train/names.h"

#include <stdarg.h>
#include <stdlib.h>

static const char *const titles[FINDING_KINDS] = {
    [FINDING_BROKEN] = "pictures that cannot be read, left out",
    [FINDING_FOREIGN] = "files that are no pictures, left out",
    [FINDING_NESTED] = "folders inside a class, left out",
    [FINDING_CLOSED] = "folders that cannot be opened, left out",
    [FINDING_DUPLICATE] = "copies of the same file in a class, left out",
    [FINDING_CONTRADICTION] =
        "the same file in several classes, all copies left out",
    [FINDING_EMPTY] = "classes without pictures, left out",
    [FINDING_SMALL] = "classes with very few pictures",
    [FINDING_IMBALANCE] = "uneven classes",
};

const char *finding_title(enum finding_kind kind) {
    return titles[kind];
}

void findings_add(struct findings *f, enum finding_kind kind,
                  const char *format, ...) {
    struct finding *items =
        realloc(f->items, ((size_t)f->count + 1) * sizeof *items);
    if (!items)
        return;
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (text)
        names_plain(text);
    f->items = items;
    items[f->count++] = (struct finding){kind, text};
}

void findings_free(struct findings *f) {
    for (int i = 0; i < f->count; i++)
        free(f->items[i].text);
    free(f->items);
    *f = (struct findings){0};
}

int findings_of(const struct findings *f, enum finding_kind kind) {
    int count = 0;
    for (int i = 0; i < f->count; i++)
        count += f->items[i].kind == kind;
    return count;
}

void findings_print(const struct findings *f, FILE *out, int most) {
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        int count = findings_of(f, (enum finding_kind)kind), shown = 0;
        if (count == 0)
            continue;
        fprintf(out, "%s:\n", titles[kind]);
        for (int i = 0; i < f->count && shown < most; i++)
            if (f->items[i].kind == (enum finding_kind)kind) {
                fprintf(out, "  %s\n",
                        f->items[i].text ? f->items[i].text : "?");
                shown++;
            }
        if (count > shown)
            fprintf(out, "  and %d more\n", count - shown);
    }
}
