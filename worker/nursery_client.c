#include "worker/nursery_client.h"

#include "common/job.h"
#include "worker/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its largest message is the advertisement. */
#define MESSAGE_MAX ((size_t)JOB_ADVERT_MAX)

struct nursery_client {
    char **argv; /* the array is ours, its words are not */
    char name[160];
    pid_t pid; /* 0: not there */
    int fd;
    struct frame_reader reader;
};

struct nursery_client *nursery_client_open(char *const *argv,
                                           const char *name) {
    struct nursery_client *client = calloc(1, sizeof *client);
    int count = 0;
    while (argv[count])
        count++;
    if (client)
        client->argv = calloc((size_t)count + 2, sizeof *client->argv);
    if (!client || !client->argv) {
        free(client);
        return NULL;
    }
    client->argv[0] = argv[0];
    client->argv[1] = NURSERY_MODE;
    for (int i = 1; i < count; i++)
        client->argv[i + 1] = argv[i];
    snprintf(client->name, sizeof client->name, "CONVOY_NAME=%s", name);
    client->fd = -1;
    client->reader = FRAME_READER(MESSAGE_MAX);
    return client;
}

void nursery_client_close(struct nursery_client *client) {
    if (client) {
        nursery_client_end(client);
        free(client->argv);
        free(client);
    }
}

/* The environment with the worker's name, and BLAS told to start no threads:
 * a library that did would break what nursery.h promises. */
static char **environment(struct nursery_client *client) {
    static char one_thread[] = "OPENBLAS_NUM_THREADS=1";
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 3, sizeof *copy);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "OPENBLAS_NUM_THREADS=", 21) != 0 &&
            strncmp(environ[i], "CONVOY_NAME=", 12) != 0)
            copy[kept++] = environ[i];
    copy[kept++] = one_thread;
    copy[kept] = client->name;
    return copy;
}

static int spawn(struct nursery_client *client, int fd, char **env,
                 struct err *err) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fd, NURSERY_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int status = posix_spawn(&client->pid, "/proc/self/exe", &files,
                             &attributes, client->argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (status == 0)
        return 0;
    client->pid = 0;
    return err_set(err, "cannot start the nursery: %s", strerror(status));
}

int nursery_client_start(struct nursery_client *client, struct err *err) {
    int ends[2];
    char **env = environment(client);
    if (!env)
        return err_set(err, "no memory to start the nursery");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        free(env);
        return err_set(err, "cannot start the nursery: %s", strerror(errno));
    }
    int status = spawn(client, ends[1], env, err);
    free(env);
    close(ends[1]);
    if (status < 0) {
        close(ends[0]);
        return -1;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    client->fd = ends[0];
    return 0;
}

int nursery_client_fd(const struct nursery_client *client) {
    return client->fd;
}

int nursery_client_read(struct nursery_client *client, struct frame *frame,
                        struct err *err) {
    return frame_read(&client->reader, client->fd, frame, err);
}

int nursery_client_ask(struct nursery_client *client, enum frame_type type,
                       pid_t pid, struct err *err) {
    const struct frame_process hand = {.pid = pid};
    if (client->fd < 0)
        return err_set(err, "the nursery is not there");
    return frame_send(client->fd, type, &hand, sizeof hand, -1, err);
}

/* Its socket is closed only when it ends, so the signal meets either a process
 * that is to end or one whose status stands already. */
int nursery_client_end(struct nursery_client *client) {
    int status = 0;
    if (client->pid > 0) {
        kill(client->pid, SIGKILL);
        while (waitpid(client->pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    client->pid = 0;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    frame_reader_free(&client->reader);
    return status;
}

void nursery_client_explain(int status, char *text, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}
