/* The constants of TCP. Some are defaults of struct stack_tcp_config. */
#ifndef STACK_TCP_TCP_DEFAULTS_H
#define STACK_TCP_TCP_DEFAULTS_H

#include "base/clock.h"

#define TCP_DEFAULT_MSS       536 /* RFC 9293, 3.7.1: when the peer names none */
#define TCP_WINDOW_SCALE_MAX  14
#define TCP_WINDOW_SCALE      7  /* what we offer: windows up to 8 MB in steps of 128 bytes */
#define TCP_INITIAL_SEGMENTS  10 /* RFC 6928 */
#define TCP_ETHERNET_MSS      1460
#define TCP_CWND_MAX          (1u << 30) /* the largest window of the peer */
#define TCP_DUPACK_THRESHOLD  3          /* RFC 5681 */
#define TCP_ABC_LIMIT         8          /* RFC 9406, 4.2 */
#define TCP_QUICK_ACKS        16 /* segments acknowledged at once when a connection is young */
#define TCP_DELAYED_ACK       (40 * CLOCK_MS)
#define TCP_RTO_INITIAL       (1 * CLOCK_SEC) /* RFC 6298, 2.1 */
#define TCP_RTO_SYN_LOST      (3 * CLOCK_SEC) /* RFC 6298, 5.7 */
#define TCP_SYN_AGAIN         (10 * CLOCK_MS) /* after resetting the peer's older connection */
#define TCP_RTO_MIN           (200 * CLOCK_MS)
#define TCP_RTO_MAX           (60 * CLOCK_SEC)
#define TCP_PERSIST_MIN       (200 * CLOCK_MS)
#define TCP_PERSIST_TRIES     8 /* window probes at least before the user timeout: some get lost */
#define TCP_SYN_RETRIES       6
#define TCP_SYNACK_RETRIES    5
#define TCP_KEEPALIVE_PROBES  9
#define TCP_KEEPALIVE_GAP     (75 * CLOCK_SEC)
#define TCP_FIN_WAIT_2_TIME   (60 * CLOCK_SEC) /* for connections that nobody owns any more */
#define TCP_TIME_WAIT_DEFAULT (60 * CLOCK_SEC)
#define TCP_TIME_WAIT_REUSE   (1 * CLOCK_SEC)  /* RFC 6191: timestamps must have moved on */
#define TCP_REUSE_ISS_GAP     (128 * 1024)     /* beyond what the former connection sent */
#define TCP_PAWS_EXPIRY       (24 * 24 * 3600) /* seconds: RFC 7323, 5.5 */
#define TCP_STARVED_RETRY     (20 * CLOCK_US)
#define TCP_SHARE_MIN         4 /* segments that any queue may hold, whatever the others do */
/* Patience with peers that take nothing when memory is short. */
#define TCP_PRESSED_PATIENCE (10 * CLOCK_SEC)
#define TCP_OUT_OF_ORDER_MAX 1024  /* gaps in one connection's reassembly queue */
#define TCP_COOKIE_WINDOW    14600 /* ten segments on Ethernet */
#define TCP_RECEIVE_BUFFER   (6u << 20)
#define TCP_SEND_BUFFER      (4u << 20)
#define TCP_PORT_MIN         16384
#define TCP_PORT_MAX         65535
#define TCP_PORT_TRIES       1024 /* ports found in use before a connect gives up */

#endif
