#include "models/train/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(void (*put)(FILE *, const char *), const char *text,
                  const char *expected) {
    char *written = NULL;
    size_t size;
    FILE *out = open_memstream(&written, &size);
    assert_non_null(out);
    put(out, text);
    fclose(out);
    assert_string_equal(written, expected);
    free(written);
}

static void train_names_keep_control_characters_from_a_terminal(void **state) {
    char text[] = "a\033[31m\n\x7f\xc2\x9b" /* U+009B is CSI too */
                  "\xc3\xa9\xe6\xa1\x9c";
    (void)state;
    assert_true(names_control(text));
    names_plain(text);
    assert_string_equal(text, "a?[31m????\xc3\xa9\xe6\xa1\x9c");
    assert_false(names_control(text));
}

static void train_names_mean_nothing_in_a_page(void **state) {
    (void)state;
    check(names_html, "\"><script>'&", "&quot;&gt;&lt;script&gt;&#39;&amp;");
}

static void train_names_mean_nothing_in_a_card(void **state) {
    (void)state;
    check(names_markdown, "ash", "ash");
    check(names_markdown, "a|b <i> *c* [d]", "a\\|b \\<i\\> \\*c\\* \\[d\\]");
}

/* A shell gives back the word that was quoted. */
static void train_names_are_one_word_of_a_shell(void **state) {
    static const char *const words[] = {"photos/ash-1", "my photos", "it's",
                                        "$(exit 3); `x` \\ \"", ""};
    (void)state;
    check(names_shell, words[0], words[0]);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *command = NULL, got[64] = "";
        size_t size;
        FILE *out = open_memstream(&command, &size);
        assert_non_null(out);
        fputs("printf %s ", out);
        names_shell(out, words[i]);
        fclose(out);
        FILE *shell = popen(command, "r");
        assert_non_null(shell);
        got[fread(got, 1, sizeof got - 1, shell)] = 0;
        assert_int_equal(pclose(shell), 0);
        assert_string_equal(got, words[i]);
        free(command);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_names_keep_control_characters_from_a_terminal),
        cmocka_unit_test(train_names_mean_nothing_in_a_page),
        cmocka_unit_test(train_names_mean_nothing_in_a_card),
        cmocka_unit_test(train_names_are_one_word_of_a_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
