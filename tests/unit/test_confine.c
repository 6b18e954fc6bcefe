/* What a confined process can still do, and what not; each in a process of its
 * own, whose exit status is the errno. */
#include "common/confine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/convoy-confine-XXXXXX";

static int trace(void) {
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int mount_something(void) {
    return syscall(SYS_mount, "none", folder, "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int run_program(void) {
    char *const argv[] = {"true", NULL}, *const env[] = {NULL};
    pid_t child;
    int status = posix_spawn(&child, "/bin/true", NULL, NULL, argv, env);
    if (status)
        return status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : ECHILD;
}

static int fork_process(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child < 0 ? errno : 0;
}

static int signal_parent(void) {
    return kill(getppid(), 0) < 0 ? errno : 0;
}

static int write_file(void) {
    char path[64];
    snprintf(path, sizeof path, "%s/file", folder);
    if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0)
        return errno;
    unlink(path);
    return 0;
}

static int read_file(void) {
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int bind_unix_socket(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = bind(fd, (struct sockaddr *)&name, sizeof name);
    unlink(name.sun_path);
    return status < 0 ? errno : 0;
}

static void *nothing(void *arg) {
    return arg;
}

static int make_thread(void) {
    pthread_t thread;
    int status = pthread_create(&thread, NULL, nothing, NULL);
    return status ? status : pthread_join(thread, NULL);
}

static int confined(enum confine_role role, int (*act)(void)) {
    struct err err = {0};
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (confine(role, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(255);
        }
        _exit(act());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void confine_table(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    print_message("nothing is refused under AddressSanitizer\n");
    skip();
#endif
    static const struct {
        int (*act)(void);
        int front, foreman;
    } rows[] = {
        {trace, EPERM, EPERM},     {mount_something, EPERM, EPERM},
        {run_program, EPERM, 0},   {fork_process, EPERM, 0},
        {signal_parent, EPERM, 0}, {read_file, 0, 0},
        {bind_unix_socket, 0, 0},  {make_thread, 0, 0},
        {write_file, -1, 0}, /* refused where there is Landlock */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int front = confined(CONFINE_FRONT, rows[i].act);
        if (rows[i].front < 0)
            assert_true(front == EACCES || front == 0);
        else
            assert_int_equal(front, rows[i].front);
        assert_int_equal(confined(CONFINE_FOREMAN, rows[i].act),
                         rows[i].foreman);
    }
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(confine_table)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
