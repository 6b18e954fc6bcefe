#include "tests/integration/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int wire_open(const char *from) {
    const char *url = getenv("CONVOY_URL");
    const char *colon = url ? strrchr(url, ':') : NULL;
    struct sockaddr_in us = {.sin_family = AF_INET}, it = us;
    inet_pton(AF_INET, from, &us.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &it.sin_addr);
    it.sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&us, sizeof us) == 0 &&
        connect(fd, (struct sockaddr *)&it, sizeof it) == 0)
        return fd;
    close(fd);
    return -1;
}

int wire_open_front(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *run = getenv("CONVOY_RUN");
    snprintf(name.sun_path, sizeof name.sun_path, "%s/front.sock",
             run ? run : "");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    close(fd);
    return -1;
}

int wire_send_bytes(int fd, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        at += sent;
        size -= (size_t)sent;
    }
    return 0;
}

int wire_send(int fd, const char *text) {
    return wire_send_bytes(fd, text, strlen(text));
}

size_t wire_read(int fd, char *answer, size_t size, int patience_ms) {
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    size_t used = 0;
    while (used + 1 < size && poll(&poller, 1, patience_ms) == 1) {
        ssize_t got = recv(fd, answer + used, size - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    answer[used] = 0;
    return used;
}

int wire_status(const char *text) {
    int status = 0;
    return sscanf(text, "HTTP/1.%*d %d", &status) == 1 ? status : 0;
}

/* Waits for the status line alone. */
int wire_ask(const char *from, const void *bytes, size_t size) {
    char answer[1024] = "";
    size_t used = 0;
    int fd = wire_open(from);
    if (fd < 0)
        return 0;
    wire_send_bytes(fd, bytes, size);
    while (used + 1 < sizeof answer && !strchr(answer, '\n')) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&poller, 1, 30000) == 1
                          ? recv(fd, answer + used, sizeof answer - 1 - used, 0)
                          : 0;
        if (got <= 0)
            break;
        used += (size_t)got;
        answer[used] = 0;
    }
    close(fd);
    return wire_status(answer);
}

int wire_is_closed(int fd) {
    char byte;
    ssize_t got;
    while ((got = recv(fd, &byte, 1, MSG_DONTWAIT)) > 0)
        continue;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}
