/*
 * Last words for a client that is not served. Each is followed by a lingering close: closing with
 * the rest of the client's bytes unread would send a RST, which makes many TCPs throw away what
 * they had received, the alert with it.
 */
#include "proxy/proxy_internal.h"

#include <string.h>

void proxy_refuse_alert(struct session *s, uint8_t alert, const char *why)
{
    uint8_t record[TLS_ALERT_RECORD_LEN];
    size_t len = tls_alert_record(alert, record);

    sock_write(s->client.sock, record, (uint32_t)len);
    proxy_session_linger(s, why);
}

/* The methods of RFC 9110, 9.3 and RFC 5789. */
bool proxy_refuse_is_http(const uint8_t *data, size_t len)
{
    static const char *const methods[] = {
        "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
    };

    for (unsigned i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        size_t n = strlen(methods[i]);

        if (len >= n && memcmp(data, methods[i], n) == 0)
            return true;
    }
    return false;
}

/* A person who typed http:// for https:// is told so; an alert record would be noise to a browser.
 */
void proxy_refuse_plain_http(struct session *s)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 58\r\n"
                                 "Connection: close\r\n"
                                 "\r\n"
                                 "This port speaks HTTPS: use https:// instead of http://.\r\n";

    sock_write(s->client.sock, answer, sizeof answer - 1);
    proxy_session_linger(s, "plain HTTP");
}
