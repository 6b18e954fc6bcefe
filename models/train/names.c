#include "models/train/names.h"

#include <string.h>

/* Bytes of the control character that `text` begins with, or 0. */
static int control(const char *text) {
    unsigned char c = (unsigned char)text[0];
    if (c < 0x20 || c == 0x7f)
        return 1;
    if (c == 0xc2) { /* U+0080 to U+009F */
        unsigned char next = (unsigned char)text[1];
        return next >= 0x80 && next < 0xa0 ? 2 : 0;
    }
    return 0;
}

bool names_control(const char *text) {
    for (; *text; text++)
        if (control(text))
            return true;
    return false;
}

void names_plain(char *text) {
    for (; *text; text++) {
        int bytes = control(text);
        if (bytes)
            memset(text, '?', (size_t)bytes);
    }
}

void names_html(FILE *out, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
}

/* CommonMark lets a backslash stand before any of its punctuation; these are
 * what begins something inside a line or a cell. */
void names_markdown(FILE *out, const char *text) {
    for (; *text; text++) {
        if (strchr("\\`*_[]<>&|~", *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}

void names_shell(FILE *out, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                "UVWXYZ0123456789_./-+,:@%=";
    if (*text && strspn(text, plain) == strlen(text)) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}
