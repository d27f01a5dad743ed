#include "programs/http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t len;
};

const char *http_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "HTTP Version Not Supported";
    }
}

static bool is(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

/* Takes up to `end` off the front of *from; false when it is not there. */
static bool take(struct text *from, const char *end, struct text *out)
{
    const char *at = memmem(from->at, from->len, end, strlen(end));

    if (at == NULL)
        return false;
    *out = (struct text){from->at, (size_t)(at - from->at)};
    from->at = at + strlen(end);
    from->len -= out->len + strlen(end);
    return true;
}

static struct text trim(struct text t)
{
    while (t.len > 0 && (*t.at == ' ' || *t.at == '\t')) {
        t.at++;
        t.len--;
    }
    while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* RFC 9110, 5.6.2. */
static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        if (!isalnum((unsigned char)t.at[i]) &&
            (t.at[i] == '\0' || strchr("!#$%&'*+-.^_`|~", t.at[i]) == NULL))
            return false;
    }
    return t.len > 0;
}

/* RFC 3986 has visible characters only; whoever has a path of ours compares it as a string. */
static bool is_target(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        if (!isgraph((unsigned char)t.at[i]))
            return false;
    }
    return t.len > 0 && t.at[0] == '/';
}

/* A name and a value, and nothing that could be read in two ways (RFC 9112, 5). */
static bool take_field(struct text *fields, struct text *name, struct text *value)
{
    struct text line;

    if (!take(fields, "\r\n", &line) || !take(&line, ":", name) || !is_token(*name))
        return false;
    *value = trim(line);
    for (size_t i = 0; i < value->len; i++) {
        if (iscntrl((unsigned char)value->at[i]) && value->at[i] != '\t')
            return false;
    }
    return true;
}

static bool parse_length(struct text t, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (!isdigit((unsigned char)t.at[i]) || *out > UINT64_MAX / 10 - 1)
            return false;
        *out = *out * 10 + (uint64_t)(t.at[i] - '0');
    }
    return t.len > 0;
}

/* Is the word one of a list's? */
static bool lists(struct text list, const char *word)
{
    struct text item;

    while (take(&list, ",", &item)) {
        if (is(trim(item), word))
            return true;
    }
    return is(trim(list), word);
}

static void persist(struct text value, bool *keep_alive)
{
    if (lists(value, "close"))
        *keep_alive = false;
    else if (lists(value, "keep-alive"))
        *keep_alive = true;
}

/* No request with a body is served. */
static int judge_length(struct text value)
{
    uint64_t content = 0;

    if (!parse_length(value, &content))
        return 400;
    return content > 0 ? 413 : 200;
}

static int parse_request_fields(struct text fields, bool host_needed, struct http_request *out)
{
    struct text name, value;
    unsigned hosts = 0;
    int status = 200;

    while (status == 200 && fields.len > 0) {
        if (!take_field(&fields, &name, &value))
            return 400;
        if (is(name, "host"))
            hosts++;
        else if (is(name, "connection"))
            persist(value, &out->keep_alive);
        else if (is(name, "transfer-encoding"))
            status = 413;
        else if (is(name, "content-length"))
            status = judge_length(value);
    }
    if (status != 200)
        return status;
    return hosts > 1 || (host_needed && hosts == 0) ? 400 : 200;
}

static int parse_request(struct text head, struct http_request *out)
{
    struct text line, method, target, path;
    bool newer;

    if (!take(&head, "\r\n", &line) || !take(&line, " ", &method) || !take(&line, " ", &target) ||
        !is_token(method) || !is_target(target))
        return 400;
    newer = is(line, "HTTP/1.1");
    if (!newer && !is(line, "HTTP/1.0"))
        return line.len == 8 && strncmp(line.at, "HTTP/", 5) == 0 ? 505 : 400;
    out->keep_alive = newer;
    out->older = !newer;
    if (!take(&target, "?", &path))
        path = target;
    out->target = path.at;
    out->target_len = path.len;
    out->head = is(method, "HEAD");
    if (!out->head && !is(method, "GET"))
        return 405;
    return parse_request_fields(head, newer, out);
}

bool http_request_parse(const char *buf, size_t len, struct http_request *out)
{
    struct text all = {buf, len}, head;

    *out = (struct http_request){.status = 400};
    if (!take(&all, "\r\n\r\n", &head))
        return false;
    head.len += 2; /* the end of the last field's line */
    out->length = head.len + 2;
    out->status = parse_request(head, out);
    if (out->status != 200)
        out->keep_alive = false;
    return true;
}

/* Three digits, and nothing or a blank behind them (RFC 9112, 4); 0: it is none. */
static int parse_status(struct text t)
{
    int status = 0;

    if (t.len < 3 || (t.len > 3 && t.at[3] != ' '))
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)t.at[i]))
            return 0;
        status = status * 10 + (t.at[i] - '0');
    }
    return status;
}

static int parse_response(struct text head, struct http_response *out)
{
    struct text line, version, name, value;
    bool has_content = false;

    if (!take(&head, "\r\n", &line) || !take(&line, " ", &version))
        return -1;
    if (!is(version, "HTTP/1.1") && !is(version, "HTTP/1.0"))
        return -1;
    out->keep_alive = is(version, "HTTP/1.1");
    out->status = parse_status(line);
    if (out->status == 0)
        return -1;
    while (head.len > 0) {
        if (!take_field(&head, &name, &value))
            return -1;
        if (is(name, "connection"))
            persist(value, &out->keep_alive);
        else if (is(name, "content-length"))
            has_content = parse_length(value, &out->content);
    }
    return has_content ? 1 : -1;
}

int http_response_parse(const char *buf, size_t len, struct http_response *out)
{
    struct text all = {buf, len}, head;

    *out = (struct http_response){0};
    if (!take(&all, "\r\n\r\n", &head))
        return len < HTTP_HEAD_MAX ? 0 : -1;
    head.len += 2;
    out->length = head.len + 2;
    return parse_response(head, out);
}
