/*
 * names: of classes and files, as people gave them, put where a character may
 * mean something.
 *
 *     names_plain(text);                  for a terminal, in place
 *     names_html(out, "<b>");             &lt;b&gt;
 *     names_markdown(out, "a|b");         a\|b
 *     names_shell(out, "my photos");      'my photos'
 */
#ifndef CONVOY_TRAIN_NAMES_H
#define CONVOY_TRAIN_NAMES_H

#include <stdbool.h>
#include <stdio.h>

/* Whether there are control characters in it (C0, DEL, and C1 as UTF-8 has
 * them): they move cursors, and a newline ends a line of labels.txt. */
bool names_control(const char *text);

/* They become '?'. */
void names_plain(char *text);

void names_html(FILE *out, const char *text); /* also inside quotes */
void names_markdown(FILE *out, const char *text);
void names_shell(FILE *out, const char *text);

#endif
