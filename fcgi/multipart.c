#include "fcgi/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FORM_DATA "multipart/form-data"
#define SPACE " \t"

static int malformed(struct err *err, const char *what) {
    return err_problem(err, "malformed-multipart",
                       "The body is no well-formed multipart/form-data: %s.",
                       what);
}

bool multipart_is(const char *content_type) {
    size_t len = strlen(FORM_DATA);
    return strncasecmp(content_type, FORM_DATA, len) == 0 &&
           (!content_type[len] || strchr(SPACE ";", content_type[len]));
}

/* ---- parameters: ; name=token or ; name="quoted" ----------------------- */

/* A view of text that need not end with a NUL. */
struct span {
    const char *at, *end;
};

static void skip_space(struct span *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
        s->at++;
}

static struct span take_token(struct span *s) {
    struct span token = {s->at, s->at};
    while (s->at < s->end && !memchr(" \t;=\"", *s->at, 5))
        s->at++;
    token.end = s->at;
    return token;
}

/* Into out, unescaped; -1 where it is not closed or does not fit. */
static int take_quoted(struct span *s, char *out, size_t size) {
    size_t len = 0;
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        if (len + 1 < size)
            out[len] = *s->at;
        len++;
    }
    if (s->at == s->end || len >= size)
        return -1;
    s->at++;
    out[len] = 0;
    return 0;
}

static int take_value(struct span *s, char *out, size_t size) {
    if (s->at < s->end && *s->at == '"')
        return take_quoted(s, out, size);
    struct span token = take_token(s);
    size_t len = (size_t)(token.end - token.at);
    if (len >= size)
        return -1;
    memcpy(out, token.at, len);
    out[len] = 0;
    return 0;
}

/* 1 found, 0 absent, -1 malformed or too long. Starts behind the value that
 * the parameters belong to. */
static int find_parameter(struct span s, const char *name, char *out,
                          size_t size) {
    char other[1024]; /* a value that is not asked for: a file name, mostly */
    while (s.at < s.end) {
        skip_space(&s);
        if (s.at == s.end)
            return 0;
        if (*s.at++ != ';')
            return -1;
        skip_space(&s);
        struct span key = take_token(&s);
        skip_space(&s);
        if (s.at == s.end || *s.at != '=')
            continue;
        s.at++;
        skip_space(&s);
        size_t len = (size_t)(key.end - key.at);
        if (len == strlen(name) && strncasecmp(key.at, name, len) == 0)
            return take_value(&s, out, size) < 0 ? -1 : 1;
        if (take_value(&s, other, sizeof other) < 0)
            return -1;
    }
    return 0;
}

int multipart_boundary(const char *content_type,
                       char boundary[MULTIPART_BOUNDARY_MAX + 1],
                       struct err *err) {
    struct span s = {content_type + strcspn(content_type, ";"),
                     content_type + strlen(content_type)};
    int found =
        find_parameter(s, "boundary", boundary, MULTIPART_BOUNDARY_MAX + 1);
    if (found <= 0 || !*boundary)
        return malformed(err, "its Content-Type has no boundary of 1 to 70 "
                              "characters");
    return 0;
}

/* ---- the body ---------------------------------------------------------- */

struct cursor {
    const uint8_t *at, *end;
    char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_len;
};

static size_t left(const struct cursor *c) {
    return (size_t)(c->end - c->at);
}

static const uint8_t *find(const struct cursor *c, const char *text,
                           size_t len) {
    return memmem(c->at, left(c), text, len);
}

/* To behind the first delimiter; what stands before it is of no meaning. The
 * very first has no line before it, so its CR LF may be missing. */
static int skip_preamble(struct cursor *c) {
    size_t len = c->delimiter_len - 2;
    if (left(c) >= len && memcmp(c->at, c->delimiter + 2, len) == 0) {
        c->at += len;
        return 0;
    }
    const uint8_t *found = find(c, c->delimiter, c->delimiter_len);
    if (!found)
        return -1;
    c->at = found + c->delimiter_len;
    return 0;
}

/* Behind a delimiter: 1 where a part follows, 0 at the end, -1 otherwise. */
static int next(struct cursor *c) {
    if (left(c) >= 2 && memcmp(c->at, "--", 2) == 0)
        return 0;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
    if (left(c) < 2 || memcmp(c->at, "\r\n", 2) != 0)
        return -1;
    c->at += 2;
    return 1;
}

/* The name out of one header line, where it is Content-Disposition. */
static int read_header(const char *line, size_t len,
                       struct multipart_part *part) {
    static const char field[] = "content-disposition:";
    size_t field_len = sizeof field - 1;
    if (len < field_len || strncasecmp(line, field, field_len) != 0)
        return 0;
    struct span s = {line + field_len, line + len};
    skip_space(&s);
    struct span kind = take_token(&s);
    if (kind.end - kind.at != 9 || strncasecmp(kind.at, "form-data", 9) != 0)
        return -1;
    return find_parameter(s, "name", part->name, sizeof part->name);
}

/* Header lines up to the empty one. */
static int read_headers(struct cursor *c, struct multipart_part *part,
                        struct err *err) {
    const uint8_t *start = c->at;
    for (;;) {
        const uint8_t *eol = find(c, "\r\n", 2);
        if (!eol || eol - start > MULTIPART_HEADER_MAX)
            return malformed(err, "the headers of a part do not end");
        size_t len = (size_t)(eol - c->at);
        const char *line = (const char *)c->at;
        c->at = eol + 2;
        if (len == 0)
            return 0;
        if (read_header(line, len, part) < 0)
            return malformed(err, "a part's Content-Disposition is malformed");
    }
}

static int read_part(struct cursor *c, struct multipart_part *part,
                     struct err *err) {
    memset(part, 0, sizeof *part);
    if (read_headers(c, part, err) < 0)
        return -1;
    part->bytes = c->at;
    /* An empty part has its delimiter at once, behind the headers' CR LF. */
    size_t len = c->delimiter_len - 2;
    if (left(c) >= len && memcmp(c->at, c->delimiter + 2, len) == 0) {
        c->at += len;
        return 0;
    }
    const uint8_t *end = find(c, c->delimiter, c->delimiter_len);
    if (!end)
        return malformed(err, "the last part is not closed");
    part->size = (size_t)(end - c->at);
    c->at = end + c->delimiter_len;
    return 0;
}

int multipart_parse(const uint8_t *body, size_t size, const char *boundary,
                    struct multipart_part *parts, int max, struct err *err) {
    struct cursor c = {.at = body, .end = body + size};
    c.delimiter_len =
        (size_t)snprintf(c.delimiter, sizeof c.delimiter, "\r\n--%s", boundary);
    if (size == 0 || skip_preamble(&c) < 0)
        return malformed(err, "the boundary does not occur");
    int count = 0;
    for (;;) {
        int more = next(&c);
        if (more < 0)
            return malformed(err, "a boundary is not followed by a new line");
        if (more == 0)
            return count;
        if (count == max)
            return malformed(err, "it has too many parts");
        if (read_part(&c, &parts[count], err) < 0)
            return -1;
        count++;
    }
}
