/* Files whose large weights stay where they are. */
#include "models/nn/onnx_skim.h"

#include "common/file.h"
#include "tests/unit/session_check.h"

#include <stdio.h>
#include <unistd.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

enum { LARGE = ONNX_SKIM_BYTES / sizeof(float) };

/* ---- what is left in the file ------------------------------------------- */

static struct wire two_initialisers(const float *large, const float *small) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 1, DIMS(LARGE));
    network_floats(&net, "large", 1, DIMS(LARGE), large);
    network_floats(&net, "small", 1, DIMS(3), small);
    network_node(&net, "Add", "x,large", "y");
    network_output(&net, "y");
    return network_file(&net);
}

static void onnx_skim_leaves_large_numbers_in_the_file(void **state) {
    (void)state;
    static float large[LARGE];
    const float small[] = {1, 2, 3};
    struct onnx_place place;
    size_t size = 0;
    for (int i = 0; i < LARGE; i++)
        large[i] = (float)i;
    struct wire file = two_initialisers(large, small);
    uint8_t *skimmed = onnx_skim(file.data, file.size, &size, NULL);
    assert_non_null(skimmed);
    assert_true(size < 1024);
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, size, skimmed);
    free(skimmed);
    assert_non_null(proto);
    assert_int_equal(proto->graph->n_initializer, 2);
    assert_true(onnx_skimmed(proto->graph->initializer[0], &place));
    assert_int_equal(place.length, sizeof large);
    assert_memory_equal(file.data + place.offset, large, sizeof large);
    assert_false(proto->graph->initializer[0]->has_raw_data);
    assert_false(onnx_skimmed(proto->graph->initializer[1], &place));
    assert_memory_equal(proto->graph->initializer[1]->raw_data.data, small,
                        sizeof small);
    onnx__model_proto__free_unpacked(proto, NULL);
    wire_free(&file);
}

/* Cut off anywhere, a file is refused, by protobuf-c or for what is missing. */
static void onnx_skim_passes_on_what_is_cut_off(void **state) {
    (void)state;
    static float large[LARGE];
    const float small[] = {1, 2, 3};
    struct wire file = two_initialisers(large, small);
    for (size_t size = 0;
         size<file.size; size += size> 256 && size + 256 < file.size ? 97 : 1) {
        struct err err = {0};
        uint8_t *cut = malloc(size + 1); /* to its very end, for sanitizers */
        memcpy(cut, file.data, size);
        struct graph *graph = onnx_parse(cut, size, &err);
        if (!graph)
            assert_true(*err.text);
        graph_free(graph);
        free(cut);
    }
    wire_free(&file);
}

/* The field that stands for a place, written by an attacker. */
static void onnx_skim_is_not_told_places_outside_of_the_file(void **state) {
    (void)state;
    const struct onnx_place places[] = {
        {1 << 20, 64}, {0, 1 << 20}, {UINT64_MAX - 8, 64}, {8, UINT64_MAX - 4}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct network net = {.opset = 13};
        struct err err = {0};
        network_input(&net, "x", 1, DIMS(16));
        struct wire t = network_tensor("t", 1, 1, DIMS(16));
        wire_bytes(&t, 15000, &places[i], sizeof places[i]);
        wire_message(&net.rest, 5, &t);
        network_node(&net, "Add", "x,t", "y");
        network_output(&net, "y");
        struct wire file = network_file(&net);
        assert_null(onnx_parse(file.data, file.size, &err));
        assert_non_null(strstr(err.text, "t: lies outside of the file"));
        wire_free(&file);
    }
}

/* ---- computing with it --------------------------------------------------- */

/* Through nn_load(), with the file's contents `shift` bytes further on, so
 * that numbers lie at every address. Two sessions: the second one reads what
 * the first one gave back. */
static void check_mapped(struct network *net, int rank, const int64_t *dims) {
    struct wire file = network_file(net);
    for (int shift = 0; shift < 4; shift++) {
        char path[] = "/tmp/convoy-test-skim-XXXXXX";
        struct wire moved = {0};
        struct err err = {0};
        wire_bytes(&moved, 6, "abc", (size_t)shift); /* doc_string */
        wire_append(&moved, file.data, file.size);
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        close(fd);
        int written = file_write(path, moved.data, moved.size, &err);
        struct nn_model *model = written < 0 ? NULL : nn_load(path, &err);
        unlink(path);
        if (!model)
            fail_msg("%s", err.text);
        for (int i = 0; i < 2; i++) {
            struct nn_session *s = nn_session_open(
                model, &(struct nn_options){.batch_max = 2}, &err);
            if (!s)
                fail_msg("%s", err.text);
            check_batch(s, &file, nn_output_count(model), rank, dims, 2,
                        CHECK_TOLERANCE);
            nn_session_close(s);
        }
        nn_free(model);
        wire_free(&moved);
    }
    wire_free(&file);
}

/* Winograd's transform, im2col, depthwise; scales go into one of them. */
static void onnx_skim_convolves_by_weights_in_the_file(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 48, 9, 7));
    network_conv(&net, "x", "a", 48, 50, 3, true);
    network_node(&net, "Relu", "a", "b");
    network_conv(&net, "b", "c", 50, 41, 3, false);
    network_batch_norm(&net, "c", "d", 41);
    network_random(&net, "w", 4, DIMS(410, 41, 1, 1));
    network_node(&net, "Conv", "d,w", "e");
    network_random(&net, "v", 4, DIMS(410, 1, 7, 7));
    give_integer(network_node(&net, "Conv", "e,v", "y"), "group", 410);
    network_output(&net, "y");
    check_mapped(&net, 4, DIMS(-1, 48, 9, 7));
}

static void onnx_skim_multiplies_by_weights_in_the_file(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 4};
    network_input(&net, "x", 2, DIMS(-1, 130));
    network_random(&net, "a", 2, DIMS(130, 150));
    network_node(&net, "MatMul", "x,a", "b");
    network_random(&net, "c", 2, DIMS(140, 150));
    give_integer(network_node(&net, "Gemm", "b,c", "d"), "transB", 1);
    network_random(&net, "e", 2, DIMS(140, 151));
    network_node(&net, "Gemm", "d,e", "y");
    network_output(&net, "y");
    check_mapped(&net, 2, DIMS(-1, 130));
}

/* By operators that know nothing of it: as a summand, through Transpose, as
 * the left side, as a result; and a convolution without a kernel of ours. */
static void onnx_skim_copies_what_others_read(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 5};
    network_input(&net, "x", 2, DIMS(-1, 130));
    network_random(&net, "a", 2, DIMS(130, 130));
    network_node(&net, "MatMul", "x,a", "b");
    network_node(&net, "Transpose", "a", "t");
    network_node(&net, "MatMul", "b,t", "c");
    network_random(&net, "d", 2, DIMS(1, 20000));
    network_random(&net, "e", 2, DIMS(20000, 130));
    network_node(&net, "MatMul", "d,e", "f");
    network_node(&net, "Add", "c,f", "y");
    network_output(&net, "y");
    network_output(&net, "a");
    check_mapped(&net, 2, DIMS(-1, 130));
}

/* Weights that a step does not pack after all: both sides are computed. */
static void onnx_skim_copies_what_no_step_packs(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 6};
    network_input(&net, "x", 2, DIMS(-1, 130));
    network_random(&net, "a", 2, DIMS(130, 150));
    network_node(&net, "MatMul", "x,a", "b");
    network_random(&net, "c", 2, DIMS(150, 140));
    struct wire *gemm = network_node(&net, "Gemm", "b,c", "y");
    give_number(gemm, "alpha", 0.5f);
    network_output(&net, "y");
    check_mapped(&net, 2, DIMS(-1, 130));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(onnx_skim_leaves_large_numbers_in_the_file),
        cmocka_unit_test(onnx_skim_passes_on_what_is_cut_off),
        cmocka_unit_test(onnx_skim_is_not_told_places_outside_of_the_file),
        cmocka_unit_test(onnx_skim_convolves_by_weights_in_the_file),
        cmocka_unit_test(onnx_skim_multiplies_by_weights_in_the_file),
        cmocka_unit_test(onnx_skim_copies_what_others_read),
        cmocka_unit_test(onnx_skim_copies_what_no_step_packs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
