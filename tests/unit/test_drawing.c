#include "models/tool/drawing.h"

#include "common/file.h"
#include "tests/unit/session_check.h"

#include <unistd.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* A residual block: what goes past a convolution is an edge of its own. */
static struct nn_model *residual(struct nn_session **session) {
    struct network net = {.opset = 13, .seed = 2};
    struct err err = {0};
    network_input(&net, "x<1>", 4, DIMS(1, 8, 6, 6));
    network_conv(&net, "x<1>", "a", 8, 8, 3, true);
    network_node(&net, "Sigmoid", "a", "s");
    network_conv(&net, "s", "b", 8, 8, 3, true);
    network_node(&net, "Mul", "s,b", "m");
    network_node(&net, "GlobalAveragePool", "m", "y");
    network_output(&net, "y");
    struct wire file = network_file(&net);
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    wire_free(&file);
    if (!model)
        fail_msg("%s", err.text);
    *session = nn_session_open(model, NULL, &err);
    if (!*session)
        fail_msg("%s", err.text);
    return model;
}

static char *draw(const char *name) {
    char path[] = "/tmp/convoy-drawing-XXXXXX", file[128];
    struct nn_session *session;
    struct nn_model *model = residual(&session);
    struct err err = {0};
    size_t size;
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/%s", path, name);
    const int rc = drawing_write(model, session, "a & b", file, &err);
    char *text = rc == 0 ? file_read(file, 1 << 20, &size, &err) : NULL;
    unlink(file);
    rmdir(path);
    nn_session_close(session);
    nn_free(model);
    if (!text)
        fail_msg("%s", err.text);
    text = realloc(text, size + 1);
    text[size] = 0;
    return text;
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

/* Steps: to NHWC, Conv+Sigmoid, Conv, Mul, GlobalAveragePool. */
static void drawing_writes_graphviz(void **state) {
    (void)state;
    char *text = draw("plan.dot");
    static const char *const edges[] = {"b0 -> b1;", "b1 -> b2;", "b2 -> b3;",
                                        "b2 -> b4;", "b3 -> b4;", "b4 -> b5;",
                                        "b5 -> b6;"};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (!strstr(text, edges[i]))
            fail_msg("%s is not in %s", edges[i], text);
    assert_int_equal(count(text, " -> "), 7);
    assert_non_null(strstr(text, "Conv+Sigmoid, "));
    assert_non_null(strstr(text, "[1, 8, 6, 6]"));
    free(text);
}

static void drawing_writes_svg(void **state) {
    (void)state;
    char *text = draw("plan.svg");
    assert_non_null(strstr(text, "<title>a &amp; b</title>"));
    assert_non_null(strstr(text, "x&lt;1&gt;"));
    assert_int_equal(count(text, "class=\"edge\""), 7);
    assert_int_equal(count(text, "<text"), count(text, "</text>"));
    assert_int_equal(count(text, "rx=\"18\""), 2); /* input and output */
    assert_non_null(strstr(text, "</svg>"));
    free(text);
}

static void drawing_refuses_other_files(void **state) {
    (void)state;
    struct nn_session *session;
    struct nn_model *model = residual(&session);
    static const char *const names[] = {"plan.png", "plan", "/nowhere/a.svg"};
    static const char *const words[] = {".svg or .dot", ".svg or .dot",
                                        "No such file"};
    for (int i = 0; i < 3; i++) {
        struct err err = {0};
        assert_int_equal(drawing_write(model, session, "t", names[i], &err),
                         -1);
        assert_non_null(strstr(err.text, words[i]));
    }
    nn_session_close(session);
    nn_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawing_writes_graphviz),
        cmocka_unit_test(drawing_writes_svg),
        cmocka_unit_test(drawing_refuses_other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
