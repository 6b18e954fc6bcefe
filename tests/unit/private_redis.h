/*
 * private_redis: a redis-server of a test's own, on a unix socket in a temp
 * folder. It dies with the test, whatever way that ends.
 *
 *     struct private_redis redis;
 *     private_redis_start(&redis);         redis.address, redis.folder
 *     private_redis_stop(&redis);          stopped, the folder stays
 *     private_redis_again(&redis);         empty, at the same address
 *     private_redis_end(&redis);           stopped, the folder gone
 */
#ifndef CONVOY_PRIVATE_REDIS_H
#define CONVOY_PRIVATE_REDIS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct private_redis {
    char folder[64];
    char socket[96];
    char address[112]; /* for store_open() */
    pid_t pid;
};

static inline int private_redis_answers(const struct private_redis *redis) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", redis->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char reply[8] = "";
    int ok = connect(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
             write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 5) == 5 &&
             memcmp(reply, "+PONG", 5) == 0;
    close(fd);
    return ok;
}

/* Returns where there is no `file`. redis-tools has the server's program as
 * redis-check-rdb, and what it does goes by its name. */
static inline void private_redis_run(const char *file,
                                     const struct private_redis *redis) {
    execlp(file, "redis-server", "--port", "0", "--unixsocket", redis->socket,
           "--unixsocketperm", "700", "--dir", redis->folder, "--save", "",
           "--appendonly", "no", "--logfile", "redis.log", (char *)NULL);
}

static inline void private_redis_again(struct private_redis *redis) {
    pid_t parent = getpid();
    redis->pid = fork();
    if (redis->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        private_redis_run("redis-server", redis);
        private_redis_run("redis-check-rdb", redis);
        _exit(127);
    }
    for (int i = 0; i < 1000 && !private_redis_answers(redis); i++)
        usleep(10000);
    if (!private_redis_answers(redis)) {
        fprintf(stderr, "redis-server does not start in %s\n", redis->folder);
        exit(1);
    }
}

static inline void private_redis_start(struct private_redis *redis) {
    signal(SIGPIPE, SIG_IGN);
    snprintf(redis->folder, sizeof redis->folder, "/tmp/convoy-test-XXXXXX");
    if (!mkdtemp(redis->folder)) {
        perror(redis->folder);
        exit(1);
    }
    snprintf(redis->socket, sizeof redis->socket, "%s/redis.sock",
             redis->folder);
    snprintf(redis->address, sizeof redis->address, "unix:%s", redis->socket);
    private_redis_again(redis);
}

static inline void private_redis_stop(struct private_redis *redis) {
    if (redis->pid > 0) {
        kill(redis->pid, SIGKILL);
        waitpid(redis->pid, NULL, 0);
    }
    redis->pid = 0;
    unlink(redis->socket);
}

static inline void private_redis_end(struct private_redis *redis) {
    char command[96];
    private_redis_stop(redis);
    snprintf(command, sizeof command, "rm -rf '%s'", redis->folder);
    if (system(command) != 0)
        perror(command);
}

#endif
