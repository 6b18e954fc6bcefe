#include "worker/resolver.h"

#include "common/log.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 16
#define EVERY_S 5

/* A front as it was given. */
struct name {
    char text[ENDPOINT_LEN];
    char host[ENDPOINT_LEN], port[8]; /* host "": nothing to resolve */
    struct endpoints found;
};

struct resolver {
    struct name names[NAMES_MAX]; /* the thread's, where there is one */
    int name_count;
    bool started, closing, changed;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `closing` and what follows */
    pthread_cond_t wake;
    struct endpoints endpoints;
};

/* ---- the list of fronts -------------------------------------------------- */

static bool is_address(const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    return *host == '[' || inet_pton(AF_INET, host, address) == 1;
}

static int parse_tcp(struct name *name, struct err *err) {
    const char *host = name->text + 6, *colon = strrchr(host, ':');
    char *end;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == host || port < 1 || port > 65535 || *end)
        return err_set(err, "--fronts: \"%s\" is not tcp://HOST:PORT",
                       name->text);
    snprintf(name->port, sizeof name->port, "%ld", port);
    memcpy(name->host, host, (size_t)(colon - host));
    if (is_address(name->host))
        *name->host = 0;
    return 0;
}

static int parse_one(struct resolver *r, const char *text, struct err *err) {
    if (r->name_count == NAMES_MAX)
        return err_set(err, "--fronts: more than %d", NAMES_MAX);
    struct name *name = &r->names[r->name_count++];
    if (strlen(text) >= sizeof name->text)
        return err_set(err, "--fronts: \"%s\" is longer than %d", text,
                       ENDPOINT_LEN - 1);
    strcpy(name->text, text);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_tcp(name, err);
    if (strncmp(text, "ipc://", 6) != 0 || !text[6])
        return err_set(err,
                       "--fronts: \"%s\" is neither tcp://HOST:PORT nor "
                       "ipc://PATH",
                       text);
    return 0;
}

static int parse(struct resolver *r, const char *fronts, struct err *err) {
    char *list = strdup(fronts), *rest = list;
    int status = list ? 0 : err_set(err, "no memory for the list of fronts");
    for (char *text; status == 0 && (text = strsep(&rest, ","));)
        if (*text)
            status = parse_one(r, text, err);
    free(list);
    if (status == 0 && r->name_count == 0)
        return err_set(err, "--fronts: names no front");
    return status;
}

/* ---- resolving ----------------------------------------------------------- */

static void add(struct endpoints *endpoints, const char *text) {
    for (int i = 0; i < endpoints->count; i++)
        if (strcmp(endpoints->text[i], text) == 0)
            return;
    if (endpoints->count < ENDPOINTS_MAX)
        strcpy(endpoints->text[endpoints->count++], text);
}

static void resolve(struct name *name) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(name->host, name->port, &hints, &list);
    if (status != 0) {
        log_event(LOG_WARN, "not-resolved", "front", name->text, "reason",
                  gai_strerror(status), NULL);
        return;
    }
    name->found.count = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        char host[INET6_ADDRSTRLEN + 16], text[ENDPOINT_LEN];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        bool v6 = a->ai_family == AF_INET6;
        snprintf(text, sizeof text, "tcp://%s%s%s:%s", v6 ? "[" : "", host,
                 v6 ? "]" : "", name->port);
        add(&name->found, text);
    }
    freeaddrinfo(list);
}

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

/* All of them, in an order of their own: DNS shuffles its answers. */
static void collect(struct resolver *r) {
    struct endpoints all = {0};
    for (int i = 0; i < r->name_count; i++) {
        if (!*r->names[i].host)
            add(&all, r->names[i].text);
        for (int k = 0; k < r->names[i].found.count; k++)
            add(&all, r->names[i].found.text[k]);
    }
    qsort(all.text, (size_t)all.count, sizeof all.text[0], compare);
    pthread_mutex_lock(&r->mutex);
    if (memcmp(&all, &r->endpoints, sizeof all) != 0) {
        r->endpoints = all;
        r->changed = true;
    }
    pthread_mutex_unlock(&r->mutex);
}

static void destroy(struct resolver *r) {
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static void *run(void *argument) {
    struct resolver *r = argument;
    for (;;) {
        for (int i = 0; i < r->name_count; i++)
            if (*r->names[i].host)
                resolve(&r->names[i]);
        collect(r);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += EVERY_S;
        pthread_mutex_lock(&r->mutex);
        int status = 0;
        while (!r->closing && status == 0)
            status = pthread_cond_timedwait(&r->wake, &r->mutex, &until);
        bool closing = r->closing;
        pthread_mutex_unlock(&r->mutex);
        if (closing)
            break;
    }
    destroy(r);
    return NULL;
}

/* ---- opening, asking, closing -------------------------------------------- */

struct resolver *resolver_open(const char *fronts, struct err *err) {
    struct resolver *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(err, "no memory for the list of fronts");
        return NULL;
    }
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (parse(r, fronts, err) < 0)
        goto fail;
    collect(r);
    bool names = false;
    for (int i = 0; i < r->name_count; i++)
        names = names || *r->names[i].host;
    r->started = names && pthread_create(&r->thread, NULL, run, r) == 0;
    if (names && !r->started) {
        err_set(err, "cannot start the resolver's thread");
        goto fail;
    }
    return r;
fail:
    resolver_close(r);
    return NULL;
}

/* The thread may sit in a resolution for long: it is left to itself and frees
 * everything when it comes back. */
void resolver_close(struct resolver *r) {
    if (!r)
        return;
    bool started = r->started;
    if (started)
        pthread_detach(r->thread);
    pthread_mutex_lock(&r->mutex);
    r->closing = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mutex);
    if (!started)
        destroy(r);
}

bool resolver_take(struct resolver *r, struct endpoints *endpoints) {
    pthread_mutex_lock(&r->mutex);
    bool changed = r->changed;
    if (changed)
        *endpoints = r->endpoints;
    r->changed = false;
    pthread_mutex_unlock(&r->mutex);
    return changed;
}
