#include "worker/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body beyond this is given back before the next frame is read, so that one
 * batch of huge images does not stay in memory for good. */
#define KEEP_BYTES ((size_t)1 << 20)
#define PARTS_MAX 1024 /* IOV_MAX of Linux */

/* ---- reading ------------------------------------------------------------- */

static void take_passed(struct frame_reader *reader, struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN(sizeof(int)))
            continue;
        if (reader->passed >= 0)
            close(reader->passed);
        memcpy(&reader->passed, CMSG_DATA(c), sizeof(int));
    }
}

/* 1: some bytes; 0: none now; -1: gone. */
static int receive(struct frame_reader *reader, int fd, void *out, size_t size,
                   struct err *err) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {out, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        return err_set(err, "cannot receive: %s", strerror(errno));
    if (n == 0)
        return err_set(err, "the other end was closed");
    take_passed(reader, &message);
    reader->got += (size_t)n;
    return 1;
}

/* The head is there: room for the body. */
static int make_room(struct frame_reader *reader, struct err *err) {
    size_t size = reader->head.size;
    if (size > reader->most)
        return err_set(err, "a message of %zu bytes, more than %zu", size,
                       reader->most);
    if (size + 1 <= reader->capacity)
        return 0;
    free(reader->body);
    reader->body = malloc(size + 1);
    reader->capacity = reader->body ? size + 1 : 0;
    return reader->body
               ? 0
               : err_set(err, "no memory for a message of %zu bytes", size);
}

int frame_read(struct frame_reader *reader, int fd, struct frame *frame,
               struct err *err) {
    size_t head = sizeof reader->head;
    if (reader->got == 0 && reader->capacity > KEEP_BYTES) {
        free(reader->body);
        reader->body = NULL;
        reader->capacity = 0;
    }
    while (reader->got < head) {
        int status = receive(reader, fd, (char *)&reader->head + reader->got,
                             head - reader->got, err);
        if (status <= 0)
            return status;
    }
    if (make_room(reader, err) < 0)
        return -1;
    while (reader->got < head + reader->head.size) {
        size_t at = reader->got - head;
        int status =
            receive(reader, fd, reader->body + at, reader->head.size - at, err);
        if (status <= 0)
            return status;
    }
    reader->body[reader->head.size] = 0;
    frame->type = (enum frame_type)reader->head.type;
    frame->body = reader->body;
    frame->size = reader->head.size;
    frame->passed = reader->passed;
    reader->passed = -1;
    reader->got = 0;
    return 1;
}

void frame_reader_free(struct frame_reader *reader) {
    if (reader->passed >= 0)
        close(reader->passed);
    free(reader->body);
    *reader = FRAME_READER(reader->most);
}

/* ---- writing ------------------------------------------------------------- */

static void advance(struct iovec **parts, int *count, size_t sent) {
    while (*count > 0 && sent >= (*parts)->iov_len) {
        sent -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + sent;
        (*parts)->iov_len -= sent;
    }
}

/* *pass is -1 once it has gone, with the first byte. */
static int write_parts(int fd, struct iovec **parts, int *count, int *pass,
                       struct err *err) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    while (*count > 0) {
        int some = *count < PARTS_MAX ? *count : PARTS_MAX;
        struct msghdr message = {.msg_iov = *parts, .msg_iovlen = (size_t)some};
        if (*pass >= 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof control.bytes;
            struct cmsghdr *c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), pass, sizeof *pass);
        }
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return err_set(err, "cannot send: %s", strerror(errno));
        advance(parts, count, (size_t)n);
        *pass = -1;
    }
    return 1;
}

int frame_write(int fd, struct iovec **parts, int *count, struct err *err) {
    int pass = -1;
    return write_parts(fd, parts, count, &pass, err);
}

int frame_send(int fd, enum frame_type type, const void *body, size_t size,
               int pass, struct err *err) {
    struct frame_head head = {(uint32_t)type, (uint32_t)size};
    struct iovec both[2] = {{&head, sizeof head}, {(void *)body, size}};
    struct iovec *parts = both;
    int count = size ? 2 : 1;
    for (;;) {
        int status = write_parts(fd, &parts, &count, &pass, err);
        if (status != 0)
            return status > 0 ? 0 : -1;
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        poll(&room, 1, -1);
    }
}
