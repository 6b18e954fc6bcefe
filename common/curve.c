#include "common/curve.h"

#include "common/file.h"
#include "common/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define Z85                                                                    \
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"           \
    ".-:+=^!/*?&<>()[]{}@%$#"

/* ---- keys ---------------------------------------------------------------- */

bool curve_is_key(const char *text) {
    return strspn(text, Z85) == CURVE_LEN && strchr(" \t\r\n", text[CURVE_LEN]);
}

int curve_make(struct curve_pair *pair, struct err *err) {
    if (zmq_curve_keypair(pair->public, pair->secret) < 0)
        return err_set(err, "ZeroMQ makes no keys: %s", zmq_strerror(errno));
    return 0;
}

static int take_key(const char *path, const char *text, char key[CURVE_TEXT],
                    struct err *err) {
    if (!curve_is_key(text))
        return err_set(err,
                       "%s holds no key: 40 characters as deploy/keys "
                       "writes them",
                       path);
    memcpy(key, text, CURVE_LEN);
    key[CURVE_LEN] = 0;
    return 0;
}

int curve_read_pair(const char *path, struct curve_pair *pair,
                    struct err *err) {
    struct secret secret;
    if (secret_read(path, &secret, err) < 0)
        return -1;
    int status = take_key(path, secret.text, pair->secret, err);
    secret_forget(&secret);
    if (status == 0 && zmq_curve_public(pair->public, pair->secret) < 0)
        status = err_set(err, "%s: %s", path, zmq_strerror(errno));
    return status;
}

int curve_read_public(const char *path, char key[CURVE_TEXT], struct err *err) {
    size_t size;
    char *text = file_read(path, 4096, &size, err);
    int status = text ? take_key(path, text, key, err) : -1;
    free(text);
    return status;
}

void curve_text(const unsigned char bytes[CURVE_BYTES], char key[CURVE_TEXT]) {
    zmq_z85_encode(key, bytes, CURVE_BYTES);
}

/* ---- sockets ------------------------------------------------------------- */

static int set_key(void *socket, int option, const char *key, struct err *err) {
    if (zmq_setsockopt(socket, option, key, CURVE_TEXT) == 0)
        return 0;
    return err_set(err, "ZeroMQ takes no key: %s", zmq_strerror(errno));
}

int curve_serve(void *socket, const struct curve_pair *ours, struct err *err) {
    const int on = 1;
    static const char domain[] = "convoy";
    /* With a domain, whoever connects is asked about (fcgi/guard.h). */
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on) < 0 ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, sizeof domain - 1) < 0)
        return err_set(err, "ZeroMQ has no CURVE: %s", zmq_strerror(errno));
    return set_key(socket, ZMQ_CURVE_SECRETKEY, ours->secret, err);
}

int curve_join(void *socket, const struct curve_pair *ours, const char *theirs,
               struct err *err) {
    if (set_key(socket, ZMQ_CURVE_SERVERKEY, theirs, err) < 0 ||
        set_key(socket, ZMQ_CURVE_PUBLICKEY, ours->public, err) < 0)
        return -1;
    return set_key(socket, ZMQ_CURVE_SECRETKEY, ours->secret, err);
}

/* ---- endpoints ----------------------------------------------------------- */

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* 127.0.0.0/8 in full: a name such as 127.example.com is none. */
static bool is_loopback(const char *host) {
    static const char *const names[] = {"localhost:", "lo:", "[::1]:"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (starts(host, names[i]))
            return true;
    return starts(host, "127.") && host[strspn(host, "0123456789.")] == ':';
}

bool curve_is_local(const char *endpoint) {
    return starts(endpoint, "ipc://") ||
           (starts(endpoint, "tcp://") &&
            is_loopback(endpoint + strlen("tcp://")));
}

int curve_check_local(const char *endpoints, const char *option,
                      struct err *err) {
    for (const char *at = endpoints;; at++) {
        size_t len = strcspn(at, ",");
        if (!curve_is_local(at))
            return err_set(
                err,
                "%s %.*s leads beyond this machine, where anybody could read "
                "the images and answer in the place of others: make keys with "
                "deploy/keys (--curve-key ...), or say --plain-tcp where the "
                "network keeps strangers out",
                option, (int)len, at);
        at += len;
        if (!*at)
            return 0;
    }
}
