/* TCP of all connections, those of clients and those to servers. */
#include "policy/policy_keys.h"
#include "policy/policy_scalar.h"

static const struct policy_choice congestion_choices[] = {
    {"cubic", POLICY_CUBIC},
    {"new-reno", POLICY_NEW_RENO},
    {NULL, 0},
};

static const struct policy_type type_congestion = {
    .name = "`cubic` or `new-reno`",
    .expected = "cubic or new-reno",
    .size = sizeof(enum policy_congestion),
    .read = policy_scalar_choice,
    .choices = congestion_choices,
};

static const struct policy_choice ecn_choices[] = {
    {"passive", POLICY_ECN_PASSIVE},
    {"active", POLICY_ECN_ACTIVE},
    {"off", POLICY_ECN_OFF},
    {NULL, 0},
};

static const struct policy_type type_ecn = {
    .name = "`passive`, `active` or `off`",
    .expected = "passive, active or off",
    .size = sizeof(enum policy_ecn),
    .read = policy_scalar_choice,
    .choices = ecn_choices,
};

static const struct policy_choice mtu_probing_choices[] = {
    {"black-hole", POLICY_MTU_PROBING_BLACK_HOLE},
    {"always", POLICY_MTU_PROBING_ALWAYS},
    {"off", POLICY_MTU_PROBING_OFF},
    {NULL, 0},
};

static const struct policy_type type_mtu_probing = {
    .name = "`black-hole`, `always` or `off`",
    .expected = "black-hole, always or off",
    .size = sizeof(enum policy_mtu_probing),
    .read = policy_scalar_choice,
    .choices = mtu_probing_choices,
};

static const struct policy_type type_initial_window = {
    .name = "number",
    .expected = "a number of segments",
    .size = sizeof(uint16_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 100,
    .range = "from 1 to 100",
};

static const struct policy_type type_min_rto = {
    .name = "duration",
    .expected = "a duration such as 200ms",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = 5 * CLOCK_MS,
    .max = 10 * CLOCK_SEC,
    .range = "from 5ms to 10s",
};

/* RFC 1122, 4.2.3.2: less than half a second. */
static const struct policy_type type_delayed_ack = {
    .name = "duration",
    .expected = "a duration such as 40ms",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = CLOCK_MS,
    .max = 499 * CLOCK_MS,
    .range = "from 1ms to 499ms",
};

/* The largest window is 2^30 bytes (RFC 7323, 2.3). */
static const struct policy_type type_buffer = {
    .name = "size",
    .expected = "a size such as 6MiB",
    .size = sizeof(uint64_t),
    .read = policy_scalar_size,
    .min = 4096,
    .max = 1u << 30,
    .range = "from 4KiB to 1GiB",
};

static const struct policy_type type_wait = {
    .name = "duration",
    .expected = "a duration such as 60s",
    .size = sizeof(clock_ns),
    .read = policy_scalar_duration,
    .min = CLOCK_SEC,
    .max = 3600 * CLOCK_SEC,
    .range = "from 1s to 1h",
};

static const struct policy_type type_orphans = {
    .name = "number",
    .expected = "a number of connections",
    .size = sizeof(uint32_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 1 << 24,
    .range = "from 1 to 16777216",
};

static const struct policy_type type_retries = {
    .name = "number",
    .expected = "a number of retransmissions",
    .size = sizeof(uint8_t),
    .read = policy_scalar_number,
    .min = 1,
    .max = 15,
    .range = "from 1 to 15",
};

static const struct policy_key tcp_keys[] = {
    {.name = "congestion-control",
     .type = &type_congestion,
     .offset = AT(tcp, congestion),
     .fallback = "cubic",
     .help = "CUBIC (RFC 9438) or NewReno (RFC 5681), with HyStart++ (RFC 9406)."},
    {.name = "ecn",
     .type = &type_ecn,
     .offset = AT(tcp, ecn),
     .fallback = "passive",
     .help = "Explicit congestion notification (RFC 3168): where the peer asks for it, `active`: "
             "asked for by us as well, or never."},
    {.name = "pacing",
     .type = &policy_keys_bool,
     .offset = AT(tcp, pacing),
     .fallback = "true",
     .help = "Whether large windows are spread over the round trip."},
    {.name = "initial-window",
     .type = &type_initial_window,
     .offset = AT(tcp, initial_window),
     .fallback = "10",
     .help = "Segments that a connection begins with (RFC 6928), from 1 to 100."},
    {.name = "min-rto",
     .type = &type_min_rto,
     .offset = AT(tcp, min_rto),
     .fallback = "200ms",
     .help = "The least retransmission timeout."},
    {.name = "delayed-ack",
     .type = &type_delayed_ack,
     .offset = AT(tcp, delayed_ack),
     .fallback = "40ms",
     .help = "How long an acknowledgement may wait for data to go with, below 500ms."},
    {.name = "receive-buffer-max",
     .type = &type_buffer,
     .offset = AT(tcp, receive_buffer_max),
     .fallback = "6MiB",
     .help = "To which the receive buffer of a connection grows by itself."},
    {.name = "send-buffer-max",
     .type = &type_buffer,
     .offset = AT(tcp, send_buffer_max),
     .fallback = "4MiB",
     .help = "The same of the send buffer."},
    {.name = "path-mtu-probing",
     .type = &type_mtu_probing,
     .offset = AT(tcp, mtu_probing),
     .fallback = "black-hole",
     .help = "When segments of other sizes find out what a path takes (RFC 4821): once full ones "
             "are lost again and again, always, or never."},
    {.name = "fin-wait-timeout",
     .type = &type_wait,
     .offset = AT(tcp, fin_wait),
     .fallback = "60s",
     .help = "How long a closed connection waits for the peer's FIN."},
    {.name = "time-wait",
     .type = &type_wait,
     .offset = AT(tcp, time_wait),
     .fallback = "60s",
     .help =
         "How long the addresses and ports of a connection that was closed by both are kept from "
         "stray segments (2 MSL, RFC 9293, 3.4.2); a new connection of the peer may have them "
         "earlier."},
    {.name = "max-orphans",
     .type = &type_orphans,
     .offset = AT(tcp, max_orphans),
     .help = "Closed connections of one worker that wait for their peers; by default an eighth of "
             "`limits.connections`."},
    {.name = "syn-retries",
     .type = &type_retries,
     .offset = AT(tcp, syn_retries),
     .fallback = "6",
     .help = "How often a SYN to a server is sent again, from 1 to 15."},
    {.name = "synack-retries",
     .type = &type_retries,
     .offset = AT(tcp, synack_retries),
     .fallback = "5",
     .help = "How often the answer to a client's SYN is sent again, from 1 to 15."},
    {.name = "sack",
     .type = &policy_keys_bool,
     .offset = AT(tcp, sack),
     .fallback = "true",
     .help = "Selective acknowledgements (RFC 2018)."},
    {.name = "timestamps",
     .type = &policy_keys_bool,
     .offset = AT(tcp, timestamps),
     .fallback = "true",
     .help = "The timestamps option (RFC 7323)."},
    {.name = NULL},
};

static void tcp_finish(struct policy_reader *r, const struct policy_node *n, void *out)
{
    struct policy_tcp *tcp = out;

    (void)r;
    if (n != NULL)
        tcp->mark = policy_node_place(n);
}

const struct policy_type policy_keys_tcp = {
    .kind = POLICY_KIND_MAP,
    .name = "mapping",
    .expected = "a mapping of settings of TCP",
    .finish = tcp_finish,
    .keys = tcp_keys,
};
