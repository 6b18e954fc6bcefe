#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64
#define HELP_COLUMN 30
#define HELP_WIDTH 80

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},          {"B", 1},         {"K", 1 << 10},
    {"KiB", 1 << 10}, {"M", 1 << 20},   {"MiB", 1 << 20},
    {"G", 1 << 30},   {"GiB", 1 << 30}, {NULL, 0},
};
static const struct unit time_units[] = {
    {"", 1000},     {"ms", 1},       {"s", 1000}, {"m", 60000},
    {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum option_kind kind) {
    return kind == OPTION_SIZE   ? size_units
           : kind == OPTION_TIME ? time_units
                                 : no_units;
}

/* A number as a person would write it: in the largest unit that fits it. */
static void format_number(enum option_kind kind, int64_t number, char *out,
                          size_t size) {
    const struct unit *best = NULL;
    for (const struct unit *u = units_of(kind); u->name; u++)
        if (*u->name && number && number % u->factor == 0 &&
            (!best || u->factor >= best->factor))
            best = u;
    snprintf(out, size, "%" PRId64 "%s", number / (best ? best->factor : 1),
             best ? best->name : "");
}

static int parse_real(const struct option_row *row, const char *text,
                      const char *shown, double *number, struct err *err) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)*text) ||
        !isfinite(value))
        return err_set(err, "%s: \"%s\" is no number", shown, text);
    if ((row->least || row->most) &&
        (value < (double)row->least || value > (double)row->most))
        return err_set(err,
                       "%s: %s is out of range (%" PRId64 " to %" PRId64 ")",
                       shown, text, row->least, row->most);
    *number = value;
    return 0;
}

static int add_word(struct option_list *list, const char *word,
                    struct err *err) {
    const char **items =
        realloc(list->items, ((size_t)list->count + 1) * sizeof *list->items);
    if (!items)
        return err_set(err, "no memory for the command line");
    list->items = items;
    list->items[list->count++] = word;
    return 0;
}

void option_list_free(struct option_list *list) {
    free(list->items);
    *list = (struct option_list){0};
}

static int parse_number(const struct option_row *row, const char *text,
                        const char *shown, int64_t *number, struct err *err) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    const struct unit *unit = units_of(row->kind);
    while (unit->name && strcmp(unit->name, end) != 0)
        unit++;
    if (end == text || isspace((unsigned char)*text) || !unit->name ||
        errno == ERANGE || value > INT64_MAX / unit->factor ||
        value < INT64_MIN / unit->factor)
        return err_set(err, "%s: \"%s\" is no %s", shown, text,
                       row->kind == OPTION_SIZE   ? "size (like 20M)"
                       : row->kind == OPTION_TIME ? "time (like 500ms or 30s)"
                                                  : "whole number");
    *number = value * unit->factor;
    int64_t least = row->least, most = row->most;
    if (least == 0 && most == 0) {
        least = row->kind == OPTION_INT ? INT32_MIN : INT64_MIN;
        most = row->kind == OPTION_INT ? INT32_MAX : INT64_MAX;
    }
    if (*number < least || *number > most) {
        char low[32], high[32];
        format_number(row->kind, least, low, sizeof low);
        format_number(row->kind, most, high, sizeof high);
        return err_set(err, "%s: %s is out of range (%s to %s)", shown, text,
                       low, high);
    }
    return 0;
}

/* `shown` names the setting as the user wrote it: a flag or a variable. */
static int assign(const struct option_row *row, const char *text,
                  const char *shown, struct err *err) {
    int64_t number = 0;
    switch (row->kind) {
    case OPTION_FLAG:
        if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
            return err_set(err, "%s: must be 0 or 1, not \"%s\"", shown, text);
        *(int *)row->target = *text == '1';
        return 0;
    case OPTION_TEXT:
        *(const char **)row->target = text;
        return 0;
    case OPTION_INT:
        if (parse_number(row, text, shown, &number, err) < 0)
            return -1;
        *(int *)row->target = (int)number;
        return 0;
    case OPTION_SIZE:
    case OPTION_TIME:
        return parse_number(row, text, shown, row->target, err);
    case OPTION_NUMBER:
        return parse_real(row, text, shown, row->target, err);
    case OPTION_LIST:
        return add_word(row->target, text, err);
    }
    return -1;
}

static void variable_name(const char *name, char *out, size_t size) {
    int n = snprintf(out, size, "CONVOY_%s", name);
    for (int i = 0; i < n && (size_t)i < size - 1; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

static int read_environment(const struct options *options, struct err *err) {
    for (int i = 0; i < options->row_count; i++) {
        char name[NAME_MAX_LEN + 8];
        variable_name(options->rows[i].name, name, sizeof name);
        const char *text = getenv(name);
        if (text && *text && assign(&options->rows[i], text, name, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the nearest name ---------------------------------------------------- */

/* Levenshtein's distance (1966), two rows. */
static int distance(const char *a, const char *b) {
    int row[NAME_MAX_LEN + 1];
    int width = (int)strlen(b);
    for (int j = 0; j <= width; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            int above = row[j];
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int least = above < row[j - 1] ? above + 1 : row[j - 1] + 1;
            row[j] = change < least ? change : least;
            diagonal = above;
        }
    }
    return row[width];
}

static int refuse(const struct options *options, const char *name,
                  struct err *err) {
    const char *nearest = NULL;
    int least = NAME_MAX_LEN;
    for (int i = 0; i < options->row_count && strlen(name) <= NAME_MAX_LEN;
         i++) {
        int d = distance(name, options->rows[i].name);
        if (d < least) {
            least = d;
            nearest = options->rows[i].name;
        }
    }
    if (nearest && least <= 3 && least < (int)strlen(nearest))
        return err_set(err, "unknown option --%s; did you mean --%s?", name,
                       nearest);
    return err_set(err, "unknown option --%s; see %s --help", name,
                   options->program);
}

/* ---- help ---------------------------------------------------------------- */

/* The default as it follows the help: " (20)". */
static void format_default(const struct option_row *row, char text[128]) {
    char number[32];
    const char *shown = number;
    switch (row->kind) {
    case OPTION_FLAG:
        shown = *(int *)row->target ? "on" : NULL;
        break;
    case OPTION_TEXT:
        shown = *(const char **)row->target;
        break;
    case OPTION_INT:
        format_number(row->kind, *(int *)row->target, number, sizeof number);
        break;
    case OPTION_SIZE:
    case OPTION_TIME:
        format_number(row->kind, *(int64_t *)row->target, number,
                      sizeof number);
        break;
    case OPTION_NUMBER:
        snprintf(number, sizeof number, "%g", *(double *)row->target);
        break;
    case OPTION_LIST:
        shown = NULL;
        break;
    }
    snprintf(text, 128, shown && *shown ? " (%s)" : "", shown);
}

/* Word by word from the column that the cursor is in, each line from there. */
static void print_wrapped(const char *text, int column) {
    for (int at = column; *text;) {
        int word = (int)strcspn(text, " ");
        if (at > column && at + 1 + word > HELP_WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", word, text);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_help(const struct options *options) {
    printf("%s: %s\n\n  %s%s%s [OPTION]...\n\n", options->program,
           options->summary, options->program, options->synopsis ? " " : "",
           options->synopsis ? options->synopsis : "");
    for (int i = 0; i < options->row_count; i++) {
        const struct option_row *row = &options->rows[i];
        int n = printf("  --%s%s%s", row->name, row->value ? "=" : "",
                       row->value ? row->value : "");
        if (n >= HELP_COLUMN)
            n = printf("\n") - 1;
        char text[1024], usual[128];
        format_default(row, usual);
        snprintf(text, sizeof text, "%s%s", row->help, usual);
        printf("%*s", HELP_COLUMN - n, "");
        print_wrapped(text, HELP_COLUMN);
    }
    printf("  --help%*sprint this\n", HELP_COLUMN - 8, "");
    if (options->flags_only) {
        printf("\nDefaults are in brackets.\n");
        return;
    }
    printf("  --version%*sprint the version\n\n", HELP_COLUMN - 11, "");
    printf("Defaults are in brackets. Each option is also an environment "
           "variable:\n--%s is CONVOY_",
           options->rows[0].name);
    for (const char *c = options->rows[0].name; *c; c++)
        putchar(*c == '-' ? '_' : toupper((unsigned char)*c));
    printf(". The option wins.\n");
}

/* ---- the command line ---------------------------------------------------- */

static const struct option_row *find(const struct options *options,
                                     const char *name) {
    for (int i = 0; i < options->row_count; i++)
        if (strcmp(options->rows[i].name, name) == 0)
            return &options->rows[i];
    return NULL;
}

static bool is_option(const char *word) {
    return strncmp(word, "--", 2) == 0 && word[2];
}

/* All words behind the option; returns how many it took with itself. */
static int read_list(const struct option_row *row, char *const *argv,
                     const char *shown, struct err *err) {
    int taken = 1;
    for (; argv[taken] && !is_option(argv[taken]); taken++)
        if (add_word(row->target, argv[taken], err) < 0)
            return -1;
    if (taken == 1)
        return err_set(err, "%s needs a value (%s)", shown, row->value);
    return taken;
}

/* One option at argv[0]; returns how many words it took, or -1. */
static int read_option(const struct options *options, char *const *argv,
                       struct err *err) {
    const char *word = argv[0];
    if (!is_option(word) && options->words)
        return add_word(options->words, word, err) < 0 ? -1 : 1;
    if (!is_option(word))
        return err_set(err, "\"%s\" is no option; see %s --help", word,
                       options->program);
    const char *equals = strchr(word, '=');
    char name[NAME_MAX_LEN + 1], shown[NAME_MAX_LEN + 3];
    snprintf(name, sizeof name, "%.*s",
             equals ? (int)(equals - word - 2) : NAME_MAX_LEN, word + 2);
    snprintf(shown, sizeof shown, "--%s", name);
    const struct option_row *row = find(options, name);
    if (!row && strncmp(name, "no-", 3) == 0) {
        const struct option_row *flag = find(options, name + 3);
        if (flag && flag->kind == OPTION_FLAG && !equals)
            return assign(flag, "0", shown, err) < 0 ? -1 : 1;
    }
    if (!row)
        return refuse(options, name, err);
    if (row->kind == OPTION_FLAG) {
        if (equals)
            return err_set(err, "%s takes no value", shown);
        return assign(row, "1", shown, err) < 0 ? -1 : 1;
    }
    if (row->kind == OPTION_LIST && !equals)
        return read_list(row, argv, shown, err);
    const char *value = equals ? equals + 1 : argv[1];
    if (!value)
        return err_set(err, "%s needs a value (%s)", shown, row->value);
    return assign(row, value, shown, err) < 0 ? -1 : equals ? 1 : 2;
}

enum options_result options_read(const struct options *options, int argc,
                                 char *const *argv, struct err *err) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(options); /* before anything changes a default */
            return OPTIONS_DONE;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", options->program, CONVOY_VERSION);
            return OPTIONS_DONE;
        }
    }
    if (!options->flags_only && read_environment(options, err) < 0)
        return OPTIONS_BAD;
    for (int i = 1; i < argc;) {
        int taken = read_option(options, argv + i, err);
        if (taken < 0)
            return OPTIONS_BAD;
        i += taken;
    }
    if (options->words && (options->words->count < options->words_least ||
                           options->words->count > options->words_most)) {
        err_set(err, "too %s arguments; usage: %s %s [OPTION]...",
                options->words->count < options->words_least ? "few" : "many",
                options->program, options->synopsis);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}
