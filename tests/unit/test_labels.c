#include "models/classifier/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int read_config(struct labels *labels, const char *json, int classes,
                       bool *found, struct err *err) {
    return labels_read_config(labels, json, strlen(json), "config.json",
                              classes, found, err);
}

static void labels_come_from_id2label_in_the_order_of_the_ids(void **state) {
    (void)state;
    struct labels labels = {0};
    struct err err = {0};
    bool found;
    assert_int_equal(
        read_config(&labels,
                    "{\"id2label\":{\"2\":\"c\",\"0\":\"crane\","
                    "\"1\":\"crane\"},\"label2id\":{\"crane\":1,\"c\":2}}",
                    3, &found, &err),
        0);
    assert_true(found);
    assert_int_equal(labels.count, 3);
    assert_string_equal(labels.text[0], "crane");
    assert_string_equal(labels.text[1], "crane");
    assert_string_equal(labels.text[2], "c");
    labels_free(&labels);
    assert_null(labels.text);
}

static void labels_come_from_label2id_where_that_is_all(void **state) {
    (void)state;
    struct labels labels = {0};
    struct err err = {0};
    bool found;
    assert_int_equal(read_config(&labels, "{\"label2id\":{\"b\":1,\"a\":0}}", 2,
                                 &found, &err),
                     0);
    assert_string_equal(labels.text[0], "a");
    assert_string_equal(labels.text[1], "b");
    labels_free(&labels);
    assert_int_equal(read_config(&labels, "{}", 2, &found, &err), 0);
    assert_false(found);
    assert_null(labels.text);
}

static void labels_read_config_says_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *json, *says;
    } broken[] = {
        {"", "config.json"},
        {"3", "config.json"},
        {"[]", "one JSON object"},
        {"{\"id2label\":{\"0\":\"a\"}}",
         "has 1 labels, but the network gives 2 scores"},
        {"{\"label2id\":{\"a\":0,\"b\":1,\"c\":2}}", "has 3 labels"},
        {"{\"id2label\":{\"0\":\"a\",\"2\":\"b\"}}", "\"2\""},
        {"{\"id2label\":{\"0\":\"a\",\"00\":\"b\"}}", "\"00\""},
        {"{\"id2label\":{\"0\":\"a\",\"-1\":\"b\"}}", "\"-1\""},
        {"{\"id2label\":{\"0\":\"a\",\"1x\":\"b\"}}", "\"1x\""},
        {"{\"id2label\":{\"0\":\"a\",\"1\":7}}", "\"1\" should be a text"},
        {"{\"id2label\":{\"0\":\"a\",\"1\":\"\"}}", "should be a text"},
        {"{\"label2id\":{\"a\":0,\"b\":0}}", "each once"},
        {"{\"label2id\":{\"a\":0,\"b\":\"x\"}}", "\"b\""},
        {"{\"id2label\":[\"a\"]}", "has 1 labels"},
        {"{\"id2label\":[\"a\",7]}", "\"1\" should be a text"},
        {"{\"id2label\":[\"a\",\"b\"],\n\"loss\": NaN}",
         "line 2: NaN is no JSON"},
        {"{\"best\": -Infinity}", "line 1: Infinity is no JSON"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct labels labels = {0};
        struct err err = {0};
        bool found;
        int status = read_config(&labels, broken[i].json, 2, &found, &err);
        if (status == 0 || !strstr(err.text, broken[i].says))
            fail_msg("%s: \"%s\" should say %s", broken[i].json, err.text,
                     broken[i].says);
        assert_null(labels.text);
    }
}

static void labels_come_from_what_others_write(void **state) {
    (void)state;
    static const char *const good[] = {
        "{\"id2label\":[\"a\",\"b\"]}",
        "{\"label_names\":[\"a\",\"b\"]}",
        "{\"label2id\":{\"b\":\"1\",\"a\":\"0\"}}",
        "\xef\xbb\xbf{\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}",
        "{\"id2label\":{\"0\":\"a\",\"1\":\"b\"},"
        "\"label2id\":{\"a\":\"0\",\"b\":\"1\"}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct labels labels = {0};
        struct err err = {0};
        bool found;
        if (read_config(&labels, good[i], 0, &found, &err) < 0)
            fail_msg("%s: %s", good[i], err.text);
        assert_true(found);
        assert_int_equal(labels.count, 2);
        assert_string_equal(labels.text[0], "a");
        assert_string_equal(labels.text[1], "b");
        assert_string_equal(labels.notice, "");
        labels_free(&labels);
    }
}

static void labels_of_id2label_hold_where_label2id_disagrees(void **state) {
    (void)state;
    struct labels labels = {0};
    struct err err = {0};
    bool found;
    assert_int_equal(read_config(&labels,
                                 "{\"id2label\":{\"0\":\"a\",\"1\":\"b\"},"
                                 "\"label2id\":{\"a\":1}}",
                                 2, &found, &err),
                     0);
    assert_string_equal(labels.text[0], "a");
    assert_non_null(strstr(labels.notice, "disagree about \"a\""));
    labels_free(&labels);
}

static void labels_are_made_utf8_and_kept_short(void **state) {
    (void)state;
    struct labels labels = {0};
    struct err err = {0};
    char text[300];
    assert_int_equal(
        labels_read_text(&labels, "caf\xe9\n", 5, "labels.txt", 0, &err), 0);
    assert_string_equal(labels.text[0], "caf?");
    labels_free(&labels);
    memset(text, 'x', sizeof text);
    assert_int_equal(
        labels_read_text(&labels, text, 255, "labels.txt", 0, &err), 0);
    labels_free(&labels);
    assert_int_equal(
        labels_read_text(&labels, text, 256, "labels.txt", 0, &err), -1);
    assert_non_null(strstr(err.text, "labels.txt: label 0"));
    assert_int_equal(
        labels_read_text(&labels, "\n\n", 2, "labels.txt", 0, &err), -1);
    assert_string_equal(err.text, "labels.txt: has no labels");
    assert_null(labels.text);
}

static void labels_read_text_takes_a_line_each(void **state) {
    (void)state;
    static const char *const good[] = {"cat\ndog", "cat\ndog\n",
                                       "cat\r\ndog\r\n", "cat\ndog\n\n",
                                       "\xef\xbb\xbf"
                                       "cat\ndog\r\n\r\n\n"};
    struct labels labels = {0};
    struct err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(labels_read_text(&labels, good[i], strlen(good[i]),
                                          "labels.txt", 2, &err),
                         0);
        assert_string_equal(labels.text[0], "cat");
        assert_string_equal(labels.text[1], "dog");
        labels_free(&labels);
    }
    assert_int_equal(
        labels_read_text(&labels, "a\nb\nc\n", 6, "labels.txt", 2, &err), -1);
    assert_string_equal(
        err.text, "labels.txt: has 3 labels, but the network gives 2 scores");
    assert_int_equal(labels_read_text(&labels, "", 0, "labels.txt", 2, &err),
                     -1);
    assert_int_equal(
        labels_read_text(&labels, "a\0b\n", 4, "labels.txt", 1, &err), -1);
    assert_null(labels.text);
}

static void labels_are_numbered_where_nobody_names_them(void **state) {
    (void)state;
    struct labels labels = {0};
    assert_int_equal(labels_number(&labels, 1001, NULL), 0);
    assert_string_equal(labels.text[0], "class 0");
    assert_string_equal(labels.text[1000], "class 1000");
    labels_free(&labels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_come_from_id2label_in_the_order_of_the_ids),
        cmocka_unit_test(labels_come_from_label2id_where_that_is_all),
        cmocka_unit_test(labels_read_config_says_what_is_wrong),
        cmocka_unit_test(labels_come_from_what_others_write),
        cmocka_unit_test(labels_of_id2label_hold_where_label2id_disagrees),
        cmocka_unit_test(labels_are_made_utf8_and_kept_short),
        cmocka_unit_test(labels_read_text_takes_a_line_each),
        cmocka_unit_test(labels_are_numbered_where_nobody_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
