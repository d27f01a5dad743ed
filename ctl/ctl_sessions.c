/* sessions: one line each, or one of them in full. */
#include <string.h>

#include "ctl/ctl_command.h"
#include "ctl/ctl_text.h"

#define LIMIT_DEFAULT 1000

static const struct ctl_column list_columns[] = {
    {"ID", "id", NULL, false},
    {"CLIENT", "client", NULL, false},
    {"LISTENER", "listener", NULL, false},
    {"STATE", "state", NULL, false},
    {"ACTION", "action", NULL, false},
    {"SERVER NAME", "server_name", NULL, false},
    {"BACKEND", "backend", NULL, false},
    {"SERVER", "server", NULL, false},
    {"AGE", "age", ctl_table_duration, true},
    {"FROM CLIENT", "from_client", ctl_table_bytes, true},
    {"FROM BACKEND", "from_backend", ctl_table_bytes, true},
    {0},
};

static const struct ctl_column one_columns[] = {
    {"session", "id", NULL, false},
    {"state", "state", NULL, false},
    {"client", "client", NULL, false},
    {"listener", "listener", NULL, false},
    {"rule", "rule", NULL, false},
    {"action", "action", NULL, false},
    {"server name", "server_name", NULL, false},
    {"backend", "backend", NULL, false},
    {"class", "class", NULL, false},
    {"age", "age", ctl_table_duration, false},
    {"ClientHello after", "hello", ctl_table_duration, false},
    {"handshake after", "handshake", ctl_table_duration, false},
    {"connected after", "connect", ctl_table_duration, false},
    {"first byte after", "first_byte", ctl_table_duration, false},
    {"servers tried", "tries", NULL, false},
    {"from the client", "from_client", ctl_table_bytes, false},
    {"from the server", "from_backend", ctl_table_bytes, false},
    {0},
};

static const struct ctl_column tcp_columns[] = {
    {"  remote", "remote", NULL, false},
    {"  local", "local", NULL, false},
    {"  TCP state", "state", NULL, false},
    {"  smoothed RTT", "srtt", ctl_table_duration, false},
    {"  RTT variation", "rttvar", ctl_table_duration, false},
    {"  RTO", "rto", ctl_table_duration, false},
    {"  MSS", "mss", NULL, false},
    {"  cwnd", "cwnd", NULL, false},
    {"  ssthresh", "ssthresh", NULL, false},
    {"  send window", "send_window", NULL, false},
    {"  receive window", "receive_window", NULL, false},
    {"  received", "bytes_received", ctl_table_bytes, false},
    {"  acknowledged", "bytes_acked", ctl_table_bytes, false},
    {"  retransmissions", "retransmissions", NULL, false},
    {"  send queue", "send_queue", NULL, false},
    {"  receive queue", "receive_queue", NULL, false},
    {"  out of order", "out_of_order", NULL, false},
    {"  send buffer", "send_buffer", NULL, false},
    {"  receive buffer", "receive_buffer", NULL, false},
    {"  congestion control", "congestion", NULL, false},
    {"  pacing rate", "pacing_rate", ctl_table_bytes, false},
    {"  least RTT", "rtt_min", ctl_table_duration, false},
    {"  in flight", "in_flight", NULL, false},
    {"  lost", "lost", NULL, false},
    {"  spurious recoveries", "spurious", NULL, false},
    {"  reordering", "reordering", NULL, false},
    {"  SACK", "sack", NULL, false},
    {"  timestamps", "timestamps", NULL, false},
    {"  ECN", "ecn", NULL, false},
    {"  path MTU", "path_mtu", NULL, false},
    {0},
};

static const struct ctl_column tls_columns[] = {
    {"  TLS version", "version", NULL, false},
    {"  cipher", "cipher", NULL, false},
    {"  group", "group", NULL, false},
    {"  certificate", "certificate", NULL, false},
    {"  ALPN", "alpn", NULL, false},
    {"  resumed", "resumed", NULL, false},
    {"  peer", "peer", NULL, false},
    {"  peer verified", "peer_verified", NULL, false},
    {"  OCSP stapled", "ocsp_stapled", NULL, false},
    {0},
};

static void print_side(const char *title, const json_t *side)
{
    const json_t *tls = json_object_get(side, "tls");

    if (!json_is_object(side))
        return;
    printf("\n%s\n", title);
    ctl_table_print_one(stdout, tcp_columns, side);
    if (json_is_object(tls))
        ctl_table_print_one(stdout, tls_columns, tls);
}

static enum ctl_status show_one(struct ctl_client *c, const struct ctl_options *o)
{
    json_t *result;
    enum ctl_status status =
        ctl_ask(c, o, json_pack("{s:s, s:s}", "command", "session", "id", o->argument[1]), &result);

    if (result == NULL)
        return status;
    ctl_table_print_one(stdout, one_columns, result);
    print_side("client's connection", json_object_get(result, "client_side"));
    print_side("server's connection", json_object_get(result, "backend_side"));
    json_decref(result);
    return CTL_DONE;
}

static json_t *list_request(const struct ctl_options *o)
{
    json_t *request = ctl_request("sessions");

    if (o->listener != NULL)
        json_object_set_new(request, "listener", json_string(o->listener));
    if (o->backend != NULL)
        json_object_set_new(request, "backend", json_string(o->backend));
    if (o->client != NULL)
        json_object_set_new(request, "client", json_string(o->client));
    return request;
}

enum ctl_status ctl_sessions(struct ctl_client *c, const struct ctl_options *o)
{
    size_t limit = o->limit > 0 ? o->limit : LIMIT_DEFAULT;
    enum ctl_status status;
    json_t *rows;

    if (o->argument_count > 1)
        return show_one(c, o);
    status = ctl_client_ask_pages(c, list_request(o), "sessions", limit + 1, &rows);
    if (status != CTL_DONE) {
        json_decref(rows);
        return status;
    }
    if (json_array_size(rows) > limit) {
        json_array_remove(rows, limit);
        fprintf(stderr, "sluicectl: there are more than the %zu sessions shown (--limit)\n", limit);
    }
    if (o->json) {
        ctl_print_json(rows);
        return CTL_DONE;
    }
    ctl_table_print(stdout, list_columns, rows);
    json_decref(rows);
    return CTL_DONE;
}
