/* A network loaded, planned and run, and an image classified, when memory runs
 * out anywhere in it. */
#include "models/classifier/classifier.h"
#include "models/nn/nn.h"
#include "worker/task.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/file.h"
#include "tests/unit/alloc.h"
#include "tests/unit/network.h"

static struct wire file, other;
static char folder[] = "/tmp/convoy-alloc-XXXXXX";

/* Convolutions of each kind, folding, fusion, pooling, a linear layer. */
static struct wire build(void) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, (int64_t[]){-1, 3, 16, 16});
    network_conv(&net, "x", "a", 3, 8, 3, true);
    network_batch_norm(&net, "a", "b", 8);
    network_node(&net, "Relu", "b", "c");
    network_conv(&net, "c", "d", 8, 8, 1, false);
    network_node(&net, "Add", "d,c", "e");
    network_node(&net, "MaxPool", "e", "f");
    give_ints(&net.nodes[net.node_count - 1], "kernel_shape", 2,
              (int64_t[]){2, 2});
    network_random(&net, "g.w", 4, (int64_t[]){8, 1, 3, 3});
    give_integer(network_node(&net, "Conv", "f,g.w", "g"), "group", 8);
    network_node(&net, "GlobalAveragePool", "g", "h");
    network_node(&net, "Flatten", "h", "i");
    network_random(&net, "j.w", 2, (int64_t[]){8, 4});
    network_random(&net, "j.b", 1, (int64_t[]){4});
    network_node(&net, "Gemm", "i,j.w,j.b", "j");
    network_port(&net, 12, "j", 1, 2, (int64_t[]){-1, 4});
    return network_file(&net);
}

/* Weights in a file beside it, an operator of com.microsoft, an If. */
static struct wire build_other(void) {
    struct network net = {.opset = 13};
    struct wire t = network_tensor("w", 1, 4, (int64_t[]){8, 3, 3, 3});
    struct wire entry = {0};
    wire_text(&entry, 1, "location");
    wire_text(&entry, 2, "data");
    wire_message(&t, 13, &entry);
    wire_message(&net.rest, 5, &t);
    network_input(&net, "x", 4, (int64_t[]){-1, 3, 16, 16});
    struct wire *conv = network_node(&net, "FusedConv", "x,w", "a");
    wire_text(conv, 7, "com.microsoft");
    give_text(conv, "activation", "Relu");
    network_node(&net, "Shape", "a", "shape");
    network_node(&net, "Size", "shape", "rank");
    network_node(&net, "Equal", "rank,rank", "same");
    struct wire *node = network_node(&net, "If", "same", "b");
    network_branch(node, "then_branch", "Neg", "a", "c");
    network_branch(node, "else_branch", "Abs", "a", "d");
    network_output(&net, "b");
    return network_file(&net);
}

static void write_text(const char *name, const void *bytes, size_t size) {
    char path[64];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_write(path, bytes, size, &err) < 0)
        fail_msg("%s", err.text);
}

static int begin(void **state) {
    static const char config[] =
        "{\"id2label\":{\"0\":\"cat\",\"1\":\"dog\",\"2\":\"hen\",\"3\":"
        "\"cow\"}}";
    static const char preprocessing[] =
        "{\"do_resize\":true,\"size\":{\"height\":16,\"width\":16},"
        "\"do_normalize\":true,\"image_mean\":[0.5,0.5,0.5],\"image_std\":"
        "[0.5,0.5,0.5],\"do_rescale\":true,\"rescale_factor\":0.00392156862}";
    (void)state;
    assert_non_null(mkdtemp(folder));
    static const float weights[8 * 3 * 3 * 3];
    file = build();
    other = build_other();
    write_text("data", weights, sizeof weights);
    write_text("model.onnx", file.data, file.size);
    write_text("config.json", config, strlen(config));
    write_text("preprocessor_config.json", preprocessing,
               strlen(preprocessing));
    return 0;
}

static int end(void **state) {
    char command[64];
    (void)state;
    wire_free(&file);
    wire_free(&other);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- the network --------------------------------------------------------- */

static int run_file(const struct wire *onnx, struct err *err) {
    struct nn_session *session = NULL;
    struct nn_options options = {.batch_max = 2};
    struct nn_model *model =
        nn_load_beside(onnx->data, onnx->size, folder, err);
    int status = -1;
    if (!model)
        return -1;
    session = nn_session_open(model, &options, err);
    if (session) {
        memset(nn_session_input(session, 0), 0,
               2 * 3 * 16 * 16 * sizeof(float));
        status = nn_session_run(session, 2, err);
        assert_non_null(nn_session_output(session, 0));
    }
    nn_session_close(session);
    nn_free(model);
    return status;
}

static int run_network(struct err *err) {
    return run_file(&file, err);
}

static int run_other(struct err *err) {
    return run_file(&other, err);
}

static void engine_refuses(void **state) {
    (void)state;
    alloc_each(run_network);
    alloc_each(run_other);
}

/* ---- the classifier ------------------------------------------------------ */

static const char *const images[] = {
    "rgb.png",      "444.jpg",     "progressive.jpg",
    "lossy.webp",   "palette.bmp", "clear.gif",
    "turned-6.jpg", "grey16.png",  "interlaced.png"};
static const char *image; /* the present one */
static struct classification right, out;

static int classify_with(struct classifier_run *run, struct err *err) {
    char path[64];
    struct classifier_image file_bytes = {0};
    snprintf(path, sizeof path, "tests/data/images/%s", image);
    struct alloc_state before = alloc_pause();
    char *bytes = file_read(path, 1 << 20, &file_bytes.size, err);
    assert_non_null(bytes);
    alloc_resume(before);
    file_bytes.bytes = bytes;
    classifier_run(run, &file_bytes, 1, 4, &out);
    free(bytes);
    return out.failed ? -1 : 0;
}

static int load_classifier(struct err *err) {
    struct classifier *c = classifier_load(folder, err);
    struct classifier_run *run = c ? classifier_run_open(c, 2, err) : NULL;
    if (run)
        assert_string_equal(classifier_label(c, 3), "cow");
    bool opened = run != NULL;
    classifier_run_close(run);
    classifier_free(c);
    return opened ? 0 : -1;
}

static struct classifier_run *run;

/* A hand's memory is bounded, so an image may be too large for it, and is told
 * so. It may not be called corrupt. */
static bool is_named_right(const struct err *err) {
    return !err->problem || strcmp(err->problem, "worker-failed") == 0 ||
           (strcmp(err->problem, "image-too-large") == 0 &&
            strstr(err->text, "emory"));
}

static int classify(struct err *err) {
    if (classify_with(run, err) == 0) {
        assert_int_equal(out.top_count, right.top_count);
        for (int i = 0; i < out.top_count; i++)
            assert_int_equal(out.top[i].index, right.top[i].index);
        return 0;
    }
    *err = out.err;
    if (!is_named_right(err))
        fail_msg("%s has no memory, and is called %s: %s", image, err->problem,
                 err->text);
    return -1;
}

static void classifier_refuses(void **state) {
    (void)state;
    alloc_each_but_json(load_classifier);
}

static void classifier_blames_no_image(void **state) {
    (void)state;
    struct err err = {0};
    struct classifier *c = classifier_load(folder, &err);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        image = images[i];
        run = classifier_run_open(c, 2, &err);
        if (classify_with(run, &err) < 0)
            fail_msg("%s: %s", image, out.err.text);
        right = out;
        alloc_each(classify);
        classifier_run_close(run);
    }
    classifier_free(c);
}

/* ---- the worker ---- */

static int take_task(struct err *err) {
    struct job_header header = {.type = JOB_JOB};
    char *bytes = malloc(4);
    struct task *task = bytes ? task_new(1, &header, bytes, 4) : NULL;
    if (!task)
        return err_set(err, "out of memory");
    task_fail(task, "it is %s", "late");
    assert_true(task->answer.failed);
    task_free(task);
    return 0;
}

static void task_refuses(void **state) {
    (void)state;
    alloc_each(take_task);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine_refuses),
        cmocka_unit_test(classifier_refuses),
        cmocka_unit_test(classifier_blames_no_image),
        cmocka_unit_test(task_refuses),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
