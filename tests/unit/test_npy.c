#include "models/tool/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/test_npy_XXXXXX";
static struct err err;

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

/* A file as numpy.save() writes it: magic, version, length of the header, the
 * header padded to 64 bytes in all, the numbers. */
static void write_file(const char *dictionary, const void *numbers,
                       size_t size) {
    char head[128];
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(head + 10, dictionary, strlen(dictionary));
    head[127] = '\n';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, sizeof head, file), sizeof head);
    assert_int_equal(fwrite(numbers, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static const float numbers[] = {0, 1, 2, 3, 4, 5.5f};

static void npy_reads_what_numpy_writes(void **state) {
    (void)state;
    struct tensor t;
    write_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
               numbers, sizeof numbers);
    assert_int_equal(npy_read(path, &t, &err), 0);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dims[0], 2);
    assert_int_equal(t.dims[1], 3);
    assert_memory_equal(t.data, numbers, sizeof numbers);
    tensor_free(&t);
}

static void npy_writes_what_numpy_would(void **state) {
    (void)state;
    struct tensor t = {
        .type = NN_FLOAT32, .rank = 2, .dims = {2, 3}, .data = (void *)numbers};
    static char bytes[256];
    assert_int_equal(npy_write(path, &t, &err), 0);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, sizeof bytes, file), 128 + 24);
    fclose(file);
    static const char start[] =
        "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, "
        "'shape': (2, 3), }";
    assert_memory_equal(bytes, start, sizeof start - 1);
    assert_int_equal(bytes[127], '\n');
    assert_memory_equal(bytes + 128, numbers, sizeof numbers);
}

static void npy_keeps_a_shape_of_one_dimension(void **state) {
    (void)state;
    struct tensor t = {
        .type = NN_FLOAT32, .rank = 1, .dims = {6}, .data = (void *)numbers};
    assert_int_equal(npy_write(path, &t, &err), 0);
    struct tensor back;
    assert_int_equal(npy_read(path, &back, &err), 0);
    assert_int_equal(back.rank, 1);
    assert_int_equal(back.dims[0], 6);
    tensor_free(&back);
}

static void refused(const char *dictionary, size_t size, const char *why) {
    struct tensor t;
    write_file(dictionary, numbers, size);
    assert_int_equal(npy_read(path, &t, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void npy_refuses_other_files(void **state) {
    (void)state;
    refused("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 24,
            "float32");
    refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24,
            "Fortran");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", 24,
            "as many numbers");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2, x), }", 24,
            "malformed");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, "
            "9999999999), }",
            24, "too large");
    struct tensor t;
    assert_int_equal(npy_read("/nonexistent.npy", &t, &err), -1);
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(npy_read(path, &t, &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_reads_what_numpy_writes),
        cmocka_unit_test(npy_writes_what_numpy_would),
        cmocka_unit_test(npy_keeps_a_shape_of_one_dimension),
        cmocka_unit_test(npy_refuses_other_files),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
