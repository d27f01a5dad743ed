/*
 * As much of HTTP/1.1's messages (RFC 9112) as the programs need: a request without content, a
 * response with a Content-Length. Pure functions of bytes.
 */
#ifndef PROGRAMS_HTTP_H
#define PROGRAMS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192 /* bytes of a head, request or response */

struct http_request {
    int status;         /* 200: good so far; else what to answer: 400, 405, 413, 505 */
    bool head;          /* HEAD: the head of the response only */
    bool keep_alive;    /* the connection may go on (RFC 9112, 9.3) */
    bool older;         /* HTTP/1.0: a client that is to be told if it does (RFC 9112, C.2.2) */
    const char *target; /* into the buffer, without the query; not terminated */
    size_t target_len;
    size_t length; /* bytes of the whole request */
};

/* Returns whether a whole request stands at the start of the buffer; then *out is filled, and
 * after a status other than 200 the connection is to be closed. */
bool http_request_parse(const char *buf, size_t len, struct http_request *out);

struct http_response {
    int status;
    bool keep_alive;
    uint64_t content; /* Content-Length */
    size_t length;    /* bytes of the head */
};

/* 1: a whole head, *out is filled; 0: more is needed; -1: this is no response that we can read. */
int http_response_parse(const char *buf, size_t len, struct http_response *out);

const char *http_reason(int status);

#endif
