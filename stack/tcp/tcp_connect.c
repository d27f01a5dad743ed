#include "stack/tcp/tcp.h"
#include "stack/tcp/tcp_conn.h"
#include "stack/tcp/tcp_defaults.h"
#include "stack/tcp/tcp_internal.h"
#include "stack/tcp/tcp_isn.h"
#include "stack/tcp/tcp_port.h"
#include "stack/tcp/tcp_seq.h"
#include "stack/tcp/tcp_table.h"
#include "stack/tcp/tcp_timer.h"

#define TCP_CONNECT_TIMEOUT                                                 \
    (75 * CLOCK_SEC) /* RFC 1122, 4.2.3.5: at least three minutes for data, \
                        less for a SYN by common practice */

struct sock *tcp_connect(struct tcp *t, const struct ip_endpoint *remote,
                         const struct sock_options *options, void *user, enum sock_error *error)
{
    static const struct sock_options none;
    struct ip_endpoint local = {0};
    struct tcp_conn *c, *reuse;
    uint32_t iss_min = 0;
    struct net_path path;

    if (options == NULL)
        options = &none;
    if (net_path_find(t->net, &remote->addr, &path) < 0) {
        *error = net_path_awaited(t->net, &remote->addr) ? SOCK_NOT_YET : SOCK_BAD_ADDRESS;
        return NULL;
    }
    path.wanted = true;
    local.addr = path.src;
    if (!tcp_port_pick(t, &local, remote, &reuse)) {
        *error = SOCK_NO_PORT;
        return NULL;
    }
    if (reuse != NULL) {
        iss_min =
            reuse->snd_max + TCP_REUSE_ISS_GAP; /* RFC 6191: beyond anything the old one sent */
        tcp_count(t, tcp_time_wait_reused);
        tcp_conn_end(reuse, SOCK_OK);
    }
    c = tcp_conn_create(t, 0);
    if (c == NULL) {
        *error = SOCK_NO_MEMORY;
        return NULL;
    }
    c->sock.user = user;
    c->sock.owned = true;
    c->sock.attached = true;
    c->active = true;
    tcp_conn_bind(c, &local, remote, &path, options, tcp_table_hash(&t->table, &local, remote));
    c->iss = tcp_isn(t, &local, remote);
    if (iss_min != 0)
        c->iss = seq_max(c->iss, iss_min);
    c->snd_una = c->snd_max = c->iss;
    c->send_queue_seq = c->iss + 1;
    tcp_conn_state(c, TCP_SYN_SENT);
    tcp_timer_set(
        c, TCP_TIMER_KEEPALIVE,
        t->now + (options->connect_timeout != 0 ? options->connect_timeout : TCP_CONNECT_TIMEOUT));
    c->send_syn = true;
    tcp_count(t, tcp_connects);
    tcp_conn_output(c);
    return &c->sock;
}
