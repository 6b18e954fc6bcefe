/*
 * FastCGI by libfcgi. Each thread accepts for itself and keeps its connection
 * for as long as nginx does. To stop, the listening socket is shut down, which
 * ends every accept(); a thread that waits for the next request on a kept
 * connection is freed by shutting that one for reading; one that handles a
 * request finishes it and does not keep the connection.
 */
#include "fcgi/request.h"

#include "common/clock.h"
#include "common/log.h"
#include "fcgi/problem.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fcgiapp.h>

#define BACKLOG 1024
#define STACK_BYTES (256 << 10)

struct pool_thread {
    struct request_pool *pool;
    pthread_t thread;
    void *state; /* the handler's */
    FCGX_Request fcgi;
    bool busy; /* under the pool's mutex */
};

struct request_pool {
    struct request_pool_options options;
    char *path; /* of the unix socket, to be removed; or NULL */
    int listener;
    struct body_gate *gate;
    pthread_mutex_t mutex;
    bool stopping;
    int started;
    struct pool_thread *threads;
};

/* ---- the listening socket ---------------------------------------------- */

static int listen_unix(struct request_pool *pool, const char *path,
                       struct err *err) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof name.sun_path)
        return err_set(err, "--listen: a path may have %zu bytes: %s",
                       sizeof name.sun_path - 1, path);
    memcpy(name.sun_path, path, strlen(path));
    pool->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* What a front that was killed has left behind; but none that lives. */
    if (connect(pool->listener, (struct sockaddr *)&name, sizeof name) == 0)
        return err_set(err, "another front listens on %s", path);
    if (errno == ECONNREFUSED)
        unlink(path);
    if (bind(pool->listener, (struct sockaddr *)&name, sizeof name) < 0 ||
        listen(pool->listener, BACKLOG) < 0)
        return err_set(err, "cannot listen on %s: %s", path, strerror(errno));
    pool->path = strdup(path);
    return 0;
}

static int listen_tcp(struct request_pool *pool, const char *address,
                      struct err *err) {
    const char *colon = strrchr(address, ':');
    char host[256];
    size_t len = (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? len - 2 : len),
             address + bracketed);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    /* getaddrinfo() takes 99999 and cuts it to 16 bits. */
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits < 1 || digits > 5 || colon[1 + digits] ||
        strtol(colon + 1, NULL, 10) > 65535)
        return err_set(err, "--listen %s: no port after the colon", address);
    int status = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (status)
        return err_set(err, "--listen %s: %s", address, gai_strerror(status));
    int on = 1;
    pool->listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(pool->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    status = bind(pool->listener, found->ai_addr, found->ai_addrlen) < 0 ||
             listen(pool->listener, BACKLOG) < 0;
    if (status)
        err_set(err, "cannot listen on %s: %s", address, strerror(errno));
    freeaddrinfo(found);
    return status ? -1 : 0;
}

static int listen_on(struct request_pool *pool, struct err *err) {
    const char *address = pool->options.address;
    if (strncmp(address, "unix:", 5) == 0)
        return listen_unix(pool, address + 5, err);
    if (strchr(address, '/') || !strchr(address, ':'))
        return listen_unix(pool, address, err);
    return listen_tcp(pool, address, err);
}

/* ---- in ---------------------------------------------------------------- */

static const char *parameter(const FCGX_Request *fcgi, const char *name) {
    const char *value = FCGX_GetParam(name, fcgi->envp);
    return value ? value : "";
}

/* Reads to the end: what is left over would be taken for the next request. */
static void discard_input(FCGX_Request *fcgi) {
    char waste[4096];
    while (FCGX_GetStr(waste, sizeof waste, fcgi->in) > 0)
        continue;
}

/* -1: refused, and the response says why. */
static int read_body(struct pool_thread *thread, struct request *request,
                     struct response *response) {
    struct request_pool *pool = thread->pool;
    const char *text = parameter(&thread->fcgi, "CONTENT_LENGTH");
    char *end;
    errno = 0;
    unsigned long long size = strtoull(text, &end, 10);
    if (*end || *text == '-' || errno) {
        response_problem(response, request, "bad-request",
                         "The Content-Length is malformed.");
        return -1;
    }
    if (size > pool->options.body_max) {
        response_problem(response, request, "too-large",
                         "The request is larger than %zu MiB.",
                         pool->options.body_max >> 20);
        return -1;
    }
    if (body_take(pool->gate, (size_t)size, &request->body) < 0) {
        response_problem(response, request, "internal-error",
                         "There is no memory for so large a request.");
        return -1;
    }
    size_t got = 0;
    while (got < size) {
        int n = FCGX_GetStr((char *)request->body.bytes + got,
                            (int)(size - got), thread->fcgi.in);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got == size)
        return 0;
    response_problem(response, request, "bad-request",
                     "The body ended before its Content-Length.");
    return -1;
}

static void read_head(const FCGX_Request *fcgi, struct request *request) {
    request->method = parameter(fcgi, "REQUEST_METHOD");
    request->path = parameter(fcgi, "DOCUMENT_URI");
    if (!*request->path)
        request->path = parameter(fcgi, "SCRIPT_NAME");
    request->query = parameter(fcgi, "QUERY_STRING");
    request->content_type = parameter(fcgi, "CONTENT_TYPE");
    request->prefer = parameter(fcgi, "HTTP_PREFER");
    request->if_none_match = parameter(fcgi, "HTTP_IF_NONE_MATCH");
    request->host = parameter(fcgi, "HTTP_HOST");
    request->origin = parameter(fcgi, "HTTP_ORIGIN");
    request->fetch_site = parameter(fcgi, "HTTP_SEC_FETCH_SITE");
    http_request_id(parameter(fcgi, "HTTP_X_REQUEST_ID"), request->id);
}

/* ---- out --------------------------------------------------------------- */

static void send_response(FCGX_Request *fcgi, const struct request *request,
                          const struct response *response) {
    FCGX_FPrintF(fcgi->out, "Status: %d %s\r\n", response->status,
                 http_reason(response->status));
    FCGX_FPrintF(fcgi->out, "X-Request-ID: %s\r\n", request->id);
    FCGX_FPrintF(fcgi->out, "X-Content-Type-Options: nosniff\r\n");
    if (response->content_type)
        FCGX_FPrintF(fcgi->out, "Content-Type: %s\r\nContent-Length: %lu\r\n",
                     response->content_type, (unsigned long)response->body_len);
    for (int i = 0; i < response->header_count; i++)
        FCGX_FPrintF(fcgi->out, "%s: %s\r\n", response->headers[i].name,
                     response->headers[i].value);
    FCGX_PutStr("\r\n", 2, fcgi->out);
    if (response->body_len && strcmp(request->method, "HEAD") != 0)
        FCGX_PutStr(response->body, (int)response->body_len, fcgi->out);
}

/* ---- a request --------------------------------------------------------- */

static void serve(struct pool_thread *thread) {
    struct request request = {0};
    struct response response = {0};
    double start = clock_seconds();
    read_head(&thread->fcgi, &request);
    if (read_body(thread, &request, &response) == 0)
        thread->pool->options.handler.handle(thread->state, &request,
                                             &response);
    discard_input(&thread->fcgi);
    send_response(&thread->fcgi, &request, &response);
    if (thread->pool->options.handler.sent)
        thread->pool->options.handler.sent(thread->state, &request, &response);
    log_event(LOG_INFO, "request", "request", request.id, "method",
              request.method, "path", request.path, "status",
              log_number(response.status, 0), "ms",
              log_number((clock_seconds() - start) * 1000, 2), NULL);
    body_free(&request.body);
    response_free(&response);
}

/* ---- threads ----------------------------------------------------------- */

/* False: the pool stops. */
static bool set_busy(struct pool_thread *thread, bool busy) {
    pthread_mutex_lock(&thread->pool->mutex);
    thread->busy = busy;
    bool stopping = thread->pool->stopping;
    pthread_mutex_unlock(&thread->pool->mutex);
    return !stopping;
}

static void *run(void *arg) {
    struct pool_thread *thread = arg;
    const struct request_handler *handler = &thread->pool->options.handler;
    bool running = true;
    while (running) {
        if (FCGX_Accept_r(&thread->fcgi) < 0) {
            running = set_busy(thread, false);
            if (running) /* out of file descriptors, most likely */
                poll(NULL, 0, 10);
            continue;
        }
        set_busy(thread, true);
        serve(thread);
        running = set_busy(thread, false);
        if (!running)
            thread->fcgi.keepConnection = 0;
        FCGX_Finish_r(&thread->fcgi);
    }
    FCGX_Free(&thread->fcgi, 1);
    handler->end(thread->state);
    return NULL;
}

static int start_thread(struct request_pool *pool, struct pool_thread *thread,
                        const pthread_attr_t *attr, struct err *err) {
    const struct request_handler *handler = &pool->options.handler;
    thread->pool = pool;
    FCGX_InitRequest(&thread->fcgi, pool->listener, 0);
    thread->state = handler->begin(handler->context);
    if (!thread->state)
        return err_set(err, "out of memory");
    int status = pthread_create(&thread->thread, attr, run, thread);
    if (status == 0)
        return 0;
    handler->end(thread->state);
    return err_set(err, "cannot start a thread: %s", strerror(status));
}

static int start_threads(struct request_pool *pool, struct err *err) {
    pthread_attr_t attr;
    int status = 0;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (status == 0 && pool->started < pool->options.threads) {
        status = start_thread(pool, &pool->threads[pool->started], &attr, err);
        pool->started += status == 0;
    }
    pthread_attr_destroy(&attr);
    return status;
}

struct request_pool *
request_pool_open(const struct request_pool_options *options, struct err *err) {
    struct request_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pool->options = *options;
    pool->listener = -1;
    pool->gate = body_gate_open(options->body_memory);
    pool->threads = calloc((size_t)options->threads, sizeof *pool->threads);
    if (!pool->gate || !pool->threads || FCGX_Init() != 0) {
        err_set(err, "out of memory");
        goto fail;
    }
    if (listen_on(pool, err) < 0 || start_threads(pool, err) < 0)
        goto fail;
    return pool;
fail:
    request_pool_stop(pool);
    request_pool_close(pool);
    return NULL;
}

void request_pool_stop(struct request_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    if (pool->listener >= 0)
        shutdown(pool->listener, SHUT_RDWR);
    for (int i = 0; i < pool->started; i++)
        if (!pool->threads[i].busy && pool->threads[i].fcgi.ipcFd >= 0)
            shutdown(pool->threads[i].fcgi.ipcFd, SHUT_RD);
    pthread_mutex_unlock(&pool->mutex);
}

void request_pool_close(struct request_pool *pool) {
    if (!pool)
        return;
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i].thread, NULL);
    if (pool->listener >= 0)
        close(pool->listener);
    if (pool->path)
        unlink(pool->path);
    body_gate_close(pool->gate);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool->path);
    free(pool);
}
