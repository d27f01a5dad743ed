#include "appliance/session_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "appliance/control/control_request.h"

#define ID_SHIFT 48

const char *session_id_format(uint64_t id, char *out)
{
    snprintf(out, SESSION_ID_MAX, "%u.%llu", session_id_worker(id),
             (unsigned long long)(id & ((UINT64_C(1) << ID_SHIFT) - 1)));
    return out;
}

int session_id_parse(const char *text, uint64_t *out)
{
    unsigned long long number;
    unsigned worker;
    int end = 0;

    if (sscanf(text, "%5u.%15llu%n", &worker, &number, &end) != 2 || text[end] != '\0')
        return -1;
    if (worker > UINT16_MAX || number >> ID_SHIFT != 0)
        return -1;
    *out = (uint64_t)worker << ID_SHIFT | number;
    return 0;
}

static json_t *id_json(uint64_t id)
{
    char text[SESSION_ID_MAX];

    return json_string(session_id_format(id, text));
}

static json_t *endpoint_json(const struct ip_endpoint *endpoint)
{
    char text[IP_TEXT_MAX];

    return json_string(ip_endpoint_format(endpoint, text));
}

static json_t *seconds(clock_ns duration)
{
    return json_real((double)duration / (double)CLOCK_SEC);
}

/* Of a time since the session began; null for what never came. */
static json_t *milestone(clock_ns since)
{
    return since != 0 ? seconds(since) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? control_string(text) : json_null();
}

static clock_ns age(const struct proxy_record *r, clock_ns now)
{
    clock_ns end = r->ended != 0 ? r->ended : now;

    return end > r->opened ? end - r->opened : 0;
}

json_t *session_json_row(const struct proxy_record *r, clock_ns now)
{
    const struct proxy_record_side *server = &r->backend_side;

    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "id",
                     id_json(r->id), "client", endpoint_json(&r->client), "listener",
                     text_or_null(r->listener), "state", r->state, "action", r->action,
                     "server_name", text_or_null(r->sni), "backend", text_or_null(r->backend),
                     "server", server->used ? endpoint_json(&server->remote) : json_null(), "age",
                     seconds(age(r, now)), "from_client", (json_int_t)r->from_client,
                     "from_backend", (json_int_t)r->from_backend);
}

static json_t *tls_json(const struct proxy_record_tls *t)
{
    if (!t->used)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:b, s:b}", "version",
                     text_or_null(t->version), "cipher", text_or_null(t->cipher), "group",
                     text_or_null(t->group), "certificate", text_or_null(t->certificate), "alpn",
                     text_or_null(t->alpn), "resumed", (int)t->resumed, "peer",
                     text_or_null(t->peer), "peer_verified", (int)t->peer_verified, "ocsp_stapled",
                     (int)t->ocsp_stapled);
}

static void add_tcp(json_t *side, const struct sock_info *i)
{
    json_object_set_new(side, "state", json_string(tcp_state_name(i->state)));
    json_object_set_new(side, "srtt", seconds(i->srtt));
    json_object_set_new(side, "rttvar", seconds(i->rttvar));
    json_object_set_new(side, "rto", seconds(i->rto));
    json_object_set_new(side, "mss", json_integer(i->mss));
    json_object_set_new(side, "cwnd", json_integer(i->cwnd));
    json_object_set_new(side, "ssthresh", json_integer(i->ssthresh));
    json_object_set_new(side, "send_window", json_integer(i->send_window));
    json_object_set_new(side, "receive_window", json_integer(i->receive_window));
    json_object_set_new(side, "bytes_received", json_integer((json_int_t)i->bytes_received));
    json_object_set_new(side, "bytes_acked", json_integer((json_int_t)i->bytes_acked));
    json_object_set_new(side, "retransmissions", json_integer(i->retransmissions));
    json_object_set_new(side, "send_queue", json_integer(i->send_queue));
    json_object_set_new(side, "receive_queue", json_integer(i->receive_queue));
    json_object_set_new(side, "out_of_order", json_integer(i->out_of_order));
    json_object_set_new(side, "send_buffer", json_integer(i->send_buffer));
    json_object_set_new(side, "receive_buffer", json_integer(i->receive_buffer));
    json_object_set_new(side, "congestion", text_or_null(i->congestion));
    json_object_set_new(side, "pacing_rate", json_integer((json_int_t)i->pacing_rate));
    json_object_set_new(side, "rtt_min", seconds(i->rtt_min));
    json_object_set_new(side, "in_flight", json_integer(i->in_flight));
    json_object_set_new(side, "lost", json_integer(i->lost));
    json_object_set_new(side, "spurious", json_integer(i->spurious));
    json_object_set_new(side, "reordering", json_integer(i->reordering));
    json_object_set_new(side, "sack", json_boolean(i->sack));
    json_object_set_new(side, "timestamps", json_boolean(i->timestamps));
    json_object_set_new(side, "ecn", json_boolean(i->ecn));
    json_object_set_new(side, "path_mtu", json_integer(i->path_mtu));
}

static json_t *side_json(const struct proxy_record_side *s)
{
    json_t *side;

    if (!s->used)
        return json_null();
    side = json_pack("{s:o, s:o}", "remote", endpoint_json(&s->remote), "local",
                     endpoint_json(&s->local));
    add_tcp(side, &s->tcp);
    json_object_set_new(side, "tls", tls_json(&s->tls));
    return side;
}

json_t *session_json(const struct proxy_record *r, clock_ns now)
{
    json_t *object = session_json_row(r, now);

    json_object_set_new(object, "rule", text_or_null(r->rule));
    json_object_set_new(object, "class", text_or_null(r->egress_class));
    json_object_set_new(object, "hello", milestone(r->hello));
    json_object_set_new(object, "handshake", milestone(r->handshake));
    json_object_set_new(object, "connect", milestone(r->connect));
    json_object_set_new(object, "first_byte", milestone(r->first_byte));
    json_object_set_new(object, "tries", json_integer(r->tries));
    if (r->ended != 0)
        json_object_set_new(object, "reason", text_or_null(r->reason));
    json_object_set_new(object, "client_side", side_json(&r->client_side));
    json_object_set_new(object, "backend_side", side_json(&r->backend_side));
    return object;
}
