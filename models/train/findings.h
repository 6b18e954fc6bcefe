/*
 * findings: what is wrong with a folder of photos, to be told before hours of
 * training are spent on it, and again in the report.
 *
 *     struct findings found = {0};
 *     findings_add(&found, FINDING_BROKEN, "%s: %s", path, why);
 *     findings_print(&found, stderr, 10);     ten of a kind, and how many more
 *     findings_free(&found);
 *
 * None of them ends the run: each says what was left out, or what to expect.
 */
#ifndef CONVOY_TRAIN_FINDINGS_H
#define CONVOY_TRAIN_FINDINGS_H

#include <stdio.h>

enum finding_kind {
    FINDING_BROKEN,        /* a picture that cannot be decoded */
    FINDING_FOREIGN,       /* a file that is no picture */
    FINDING_NESTED,        /* a folder where a picture should be */
    FINDING_CLOSED,        /* a class that cannot be opened */
    FINDING_DUPLICATE,     /* the same bytes twice in a class */
    FINDING_CONTRADICTION, /* the same bytes in two classes */
    FINDING_EMPTY,         /* a class without pictures */
    FINDING_SMALL,         /* a class with too few */
    FINDING_IMBALANCE,     /* many of one class, few of another */
    FINDING_KINDS
};

struct findings {
    struct finding {
        enum finding_kind kind;
        char *text; /* owned; NULL where memory ran out */
    } * items;
    int count;
};

/* Control characters in the text, of a file's name, become '?'. */
void findings_add(struct findings *f, enum finding_kind kind,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void findings_free(struct findings *f);

int findings_of(const struct findings *f, enum finding_kind kind);

/* "pictures that cannot be read, left out" */
const char *finding_title(enum finding_kind kind);

/* By kind, at most `most` of each. */
void findings_print(const struct findings *f, FILE *out, int most);

#endif
