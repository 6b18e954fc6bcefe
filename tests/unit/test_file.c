#include "common/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int make_file(void **state) {
    static char path[] = "/tmp/convoy-test-file-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, "a\0bc", 4) != 4)
        return -1;
    close(fd);
    *state = path;
    return 0;
}

static int remove_file(void **state) {
    return unlink(*state);
}

static void file_read_gives_all_bytes_and_a_nul(void **state) {
    struct err err = {0};
    size_t size = 0;
    char *bytes = file_read(*state, 4, &size, &err);
    assert_non_null(bytes);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "a\0bc\0", 5);
    free(bytes);
}

static void file_read_names_what_it_cannot_read(void **state) {
    struct err err = {0};
    size_t size;
    assert_null(file_read(*state, 3, &size, &err));
    assert_non_null(strstr(err.text, *state));
    assert_non_null(strstr(err.text, "at most 3"));
    assert_null(file_read("/nowhere/at all", 3, &size, &err));
    assert_string_equal(err.text, "/nowhere/at all: No such file or directory");
    assert_null(file_read("/tmp", 99999, &size, &err));
    assert_string_equal(err.text, "/tmp: is not a regular file");
}

/* Nobody writes to it: opening must not wait for that. */
static void file_read_does_not_wait_for_a_fifo(void **state) {
    struct err err = {0};
    char path[64];
    size_t size;
    snprintf(path, sizeof path, "%s.fifo", (char *)*state);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(60);
    char *bytes = file_read(path, 99, &size, &err);
    alarm(0);
    unlink(path);
    assert_null(bytes);
    assert_non_null(strstr(err.text, "is not a regular file"));
}

static void file_map_gives_all_bytes(void **state) {
    struct err err = {0};
    size_t size = 0;
    void *bytes = file_map(*state, 4, &size, &err);
    assert_non_null(bytes);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "a\0bc", 4);
    munmap(bytes, size);
}

static void file_map_names_what_it_cannot_map(void **state) {
    struct err err = {0};
    size_t size;
    assert_null(file_map(*state, 3, &size, &err));
    assert_non_null(strstr(err.text, "at most 3"));
    assert_null(file_map("/dev/null", 3, &size, &err));
    assert_string_equal(err.text, "/dev/null: is not a regular file");
    assert_int_equal(truncate(*state, 0), 0);
    assert_null(file_map(*state, 3, &size, &err));
    assert_non_null(strstr(err.text, "is empty"));
}

static void file_write_replaces_the_whole_file(void **state) {
    struct err err = {0};
    size_t size = 0;
    assert_int_equal(file_write(*state, "x\0yz", 4, &err), 0);
    char *bytes = file_read(*state, 4, &size, &err);
    assert_non_null(bytes);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "x\0yz", 4);
    free(bytes);
}

static void file_write_says_where_it_cannot_write(void **state) {
    struct err err = {0};
    (void)state;
    assert_int_equal(file_write("/nowhere/x", "x", 1, &err), -1);
    assert_string_equal(err.text, "/nowhere/x.new: No such file or directory");
    assert_int_equal(file_write("/tmp", "x", 1, &err), -1);
    assert_non_null(strstr(err.text, "/tmp: cannot be written"));
    assert_false(file_exists("/tmp.new"));
}

static void file_is_folder_tells_folders_from_files(void **state) {
    assert_true(file_exists(*state));
    assert_false(file_is_folder(*state));
    assert_true(file_is_folder("/tmp"));
    assert_false(file_exists("/nowhere"));
    assert_false(file_is_folder("/nowhere"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_read_gives_all_bytes_and_a_nul),
        cmocka_unit_test(file_read_names_what_it_cannot_read),
        cmocka_unit_test(file_read_does_not_wait_for_a_fifo),
        cmocka_unit_test(file_map_gives_all_bytes),
        cmocka_unit_test(file_map_names_what_it_cannot_map),
        cmocka_unit_test(file_write_replaces_the_whole_file),
        cmocka_unit_test(file_write_says_where_it_cannot_write),
        cmocka_unit_test(file_is_folder_tells_folders_from_files),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
