#include "tests/unit/op_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define FLOATS(...) ((float[]){__VA_ARGS__})

static struct tensor floats(float *data, int rank, const int64_t *dims) {
    struct tensor t = {.type = NN_FLOAT32, .rank = rank, .data = data};
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    return t;
}

static int prepare(struct op_call *call, const char *equation,
                   const struct tensor *a, const struct tensor *b,
                   struct node *node, struct attribute *attribute,
                   struct err *err) {
    *attribute = (struct attribute){
        .name = "equation", .kind = ATTRIBUTE_STRING, .s = equation};
    *node = (struct node){.attributes = attribute, .attribute_count = 1};
    *call = (struct op_call){.inputs = {a, b}, .input_count = b ? 2 : 1};
    return op_prepare(call, "Einsum", node, 12, err);
}

static void check(const char *equation, const struct tensor *a,
                  const struct tensor *b, const struct tensor *want) {
    struct op_call call;
    struct node node;
    struct attribute attribute;
    struct err err = {0};
    if (prepare(&call, equation, a, b, &node, &attribute, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(tensor_same_shape(&call.outputs[0], want));
    assert_int_equal(op_perform(&call), 0);
    assert_memory_equal(call.outputs[0].data, want->data, tensor_bytes(want));
    op_release(&call);
}

static void refuse(const char *equation, const struct tensor *a,
                   const struct tensor *b) {
    struct op_call call;
    struct node node;
    struct attribute attribute;
    struct err err = {0};
    assert_int_equal(prepare(&call, equation, a, b, &node, &attribute, &err),
                     -1);
    if (!strstr(err.text, equation))
        fail_msg("the error says: %s", err.text);
}

static const int64_t square[] = {2, 2};
static float one_to_four[] = {1, 2, 3, 4}, five_to_eight[] = {5, 6, 7, 8};

static void einsum_of_one_moves_and_sums(void **state) {
    (void)state;
    struct tensor a = floats(one_to_four, 2, square);
    struct tensor turned = floats(FLOATS(1, 3, 2, 4), 2, square);
    struct tensor diagonal = floats(FLOATS(1, 4), 1, DIMS(2));
    struct tensor columns = floats(FLOATS(4, 6), 1, DIMS(2));
    struct tensor all = floats(FLOATS(10), 0, DIMS(0));
    check("ij->ji", &a, NULL, &turned);
    check("ba", &a, NULL, &turned);
    check("ii->i", &a, NULL, &diagonal);
    check("ij->j", &a, NULL, &columns);
    check(" i j -> ", &a, NULL, &all);
    check("...->...", &a, NULL, &a);
}

static void einsum_of_two_multiplies(void **state) {
    (void)state;
    struct tensor a = floats(one_to_four, 2, square);
    struct tensor b = floats(five_to_eight, 2, square);
    struct tensor product = floats(FLOATS(19, 22, 43, 50), 2, square);
    struct tensor turned = floats(FLOATS(17, 23, 39, 53), 2, square);
    struct tensor each = floats(FLOATS(5, 12, 21, 32), 2, square);
    struct tensor inner = floats(FLOATS(70), 0, DIMS(0));
    /* (1 + 2) * (5 + 6), ... */
    struct tensor alone = floats(FLOATS(33, 45, 77, 105), 2, square);
    check("ij,jk->ik", &a, &b, &product);
    check("ij,jk", &a, &b, &product);
    check("ij,kj->ik", &a, &b, &turned);
    check("ij,ij->ij", &a, &b, &each);
    check("ij,ij->", &a, &b, &inner);
    check("ij,kl->ik", &a, &b, &alone);
}

static void einsum_broadcasts_an_ellipsis(void **state) {
    (void)state;
    struct tensor a = floats(one_to_four, 3, DIMS(1, 2, 2));
    struct tensor b = floats(FLOATS(5, 6, 7, 8, 1, 0, 0, 1), 3, DIMS(2, 2, 2));
    struct tensor want =
        floats(FLOATS(19, 22, 43, 50, 1, 2, 3, 4), 3, DIMS(2, 2, 2));
    struct tensor matrix = floats(one_to_four, 2, square);
    check("...ij,...jk->...ik", &a, &b, &want);
    check("...ij,...jk", &matrix, &b, &want);
}

/* Attention: queries (b, heads, i, d) by keys (b, heads, j, d). */
static void einsum_multiplies_heads(void **state) {
    (void)state;
    enum { B = 2, H = 3, I = 2, J = 4, D = 2 };
    float q[B * H * I * D], k[B * H * J * D], want[B * H * I * J] = {0};
    for (int i = 0; i < B * H * I * D; i++)
        q[i] = (float)(i % 7) - 3;
    for (int i = 0; i < B * H * J * D; i++)
        k[i] = (float)(i % 5) - 2;
    for (int g = 0; g < B * H; g++)
        for (int i = 0; i < I; i++)
            for (int j = 0; j < J; j++)
                for (int d = 0; d < D; d++)
                    want[(g * I + i) * J + j] +=
                        q[(g * I + i) * D + d] * k[(g * J + j) * D + d];
    struct tensor tq = floats(q, 4, DIMS(B, H, I, D));
    struct tensor tk = floats(k, 4, DIMS(B, H, J, D));
    struct tensor result = floats(want, 4, DIMS(B, H, I, J));
    check("bhid,bhjd->bhij", &tq, &tk, &result);
}

static void einsum_refuses_what_does_not_fit(void **state) {
    (void)state;
    struct tensor a = floats(one_to_four, 2, square);
    struct tensor vector = floats(FLOATS(1, 2, 3), 1, DIMS(3));
    refuse("ij,j->i", &a, &vector); /* 2 is not 3 */
    refuse("ijk->i", &a, NULL);
    refuse("i->i", &a, NULL);
    refuse("ij->k", &a, NULL);
    refuse("ij->ii", &a, NULL);
    refuse("i1->i", &a, NULL);
    refuse("ij,", &a, NULL);
    refuse("ij-", &a, NULL);
    refuse("ij", &a, &a);
    refuse("abcdefghi...->a", &a, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(einsum_of_one_moves_and_sums),
        cmocka_unit_test(einsum_of_two_multiplies),
        cmocka_unit_test(einsum_broadcasts_an_ellipsis),
        cmocka_unit_test(einsum_multiplies_heads),
        cmocka_unit_test(einsum_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
