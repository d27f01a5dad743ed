/*
 * Our own scripts, in a language of our own, over the door. A line is
 *
 *     [TIME] VERB [WORD...]
 *
 * TIME is in seconds: "0.5" after the start, "+0.1" after the time of the line before; none: the
 * time of the line before. "#" begins a comment. The verbs:
 *
 *     set KEY=VALUE...        settings of the stack (door_flags.c), "family=6", "family=4,6": over
 *                             both, one after the other; before all others
 *     established [rtt=MS] [FIELD...]
 *                             listen, a handshake with these fields in the peer's SYN, accept
 *     listen, connect, accept, close, abort, shutdown
 *     write N, read N         of known bytes, which are compared on both sides
 *     option NAME=N           nodelay, keepalive (s), user-timeout (ms), send-buffer,
 *                             receive-buffer, mss
 *     peer FLAGS [FIELD...]   a segment from the peer
 *     peer icmp [FIELD...]    an ICMP error about what the stack sent: type= code= mtu= seq=
 *     stack FLAGS [FIELD...]  the next segment of the stack: at this time, with these fields
 *     silence                 nothing was sent up to this time
 *     check KEY=VALUE...      what is known of the connection: state, cwnd and ssthresh (segments),
 *                             rto and srtt (ms), mss, path-mtu, readable, queued, sack, timestamps,
 *                             ecn, retransmissions, spurious
 *
 * A call may end in "= RESULT": a number or the name of an errno. FLAGS are of "SFRPAUEW", or "-"
 * for none; that the stack sets PSH matters only where P is given. FIELDs: seq= ack= data=LENGTH
 * win= mss= ws= sack ts=VALUE[:ECHO] blocks=LEFT-RIGHT,... urg= ect0 ect1 ce ttl=, of the peer also
 * back=MS: its timestamp echoes one of so long before the stack's latest. Sequence numbers
 * count from the SYN of each side, which is 0. What a peer's segment does not say follows from what
 * went before, timestamps included, once its SYN had them ("no-ts": not in this one); what a
 * stack's segment does not say is not compared. One line for the stack may cover several segments
 * of data in a row, of which the last has the flags.
 */
#ifndef TESTS_PACKETDRILL_SCRIPT_H
#define TESTS_PACKETDRILL_SCRIPT_H

#include <stdint.h>
#include <stdio.h>

#include "stack/packet.h"
#include "tests/packetdrill/door.h"

#define SCRIPT_WORDS 24

/* Fields that a line names. */
enum script_field {
    SCRIPT_SEQ = 1 << 0,
    SCRIPT_ACK = 1 << 1,
    SCRIPT_DATA = 1 << 2,
    SCRIPT_WIN = 1 << 3,
    SCRIPT_MSS = 1 << 4,
    SCRIPT_WS = 1 << 5,
    SCRIPT_SACK = 1 << 6,
    SCRIPT_TS = 1 << 7,
    SCRIPT_ECHO = 1 << 8,
    SCRIPT_BLOCKS = 1 << 9,
    SCRIPT_URG = 1 << 10,
    SCRIPT_ECN = 1 << 11,
    SCRIPT_TTL = 1 << 12,
    SCRIPT_PSH = 1 << 13,
    SCRIPT_NO_TS = 1 << 15,
    SCRIPT_OPTIONS = 1 << 14, /* none but those named: of SYNs */
    SCRIPT_BACK = 1 << 16,
};

/* A segment, as a line has it or as the stack sent it; numbers of seq, ack and blocks as in the
 * script. */
struct script_segment {
    unsigned fields;
    struct packet_tcp tcp;
    uint32_t len;
    uint8_t ecn, ttl;
    const uint8_t *payload;
};

struct script_line {
    int number;
    bool timed, relative;
    clock_ns time;
    char *word[SCRIPT_WORDS]; /* the verb first */
    unsigned words;
    char text[512]; /* as it stands */
    char copy[512];
};

struct script {
    const char *path;
    int number; /* of the line */
    struct door *door;
    char settings[512];
    bool v6, both; /* family=6, family=4,6 */
    clock_ns start, at;
    int listener, fd; /* -1: none */
    uint16_t stack_port, peer_port;
    uint32_t stack_iss, peer_iss;
    bool stack_known;             /* its SYN was seen */
    uint32_t stack_end, peer_end; /* behind the last byte that each has sent */
    uint16_t peer_window;
    uint32_t ts_recent; /* the stack's latest timestamp */
    bool ts_used;       /* the peer's SYN had timestamps: */
    uint32_t ts_base;   /* with this value, */
    clock_ns ts_at;     /* at this time */
    uint64_t written, read;
    uint8_t sent[64]; /* the beginning of the stack's latest packet, for ICMP to quote */
    char error[1024];
};

/* Notes what is wrong in a line. Returns -1. */
int script_fail(struct script *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* script_parse.c: false at the end of the file; *wrong when the line is none. */
bool script_line_next(FILE *file, struct script_line *line, bool *wrong);
int script_segment_parse(struct script *s, const struct script_line *line,
                         struct script_segment *out);
bool script_number(const char *text, uint64_t *out);
const char *script_value(const char *word, const char *key); /* of "key=value", or NULL */

/* script_packet.c: between segments and packets. */
void script_packet_send(struct script *s, const struct script_segment *segment);
int script_packet_icmp(struct script *s, uint8_t type, uint8_t code, uint32_t mtu,
                       const uint32_t *seq);
bool script_packet_take(struct script *s, const uint8_t *packet, size_t len,
                        struct script_segment *out);
const char *script_packet_text(const struct script_segment *segment, char *out, size_t room);
uint8_t script_byte(uint64_t position); /* of either side's stream */

/* script_call.c: the verbs that are calls, and `check`. Return 0 or -1; 1 for another verb. */
int script_call(struct script *s, const struct script_line *line);

/* script_run.c: runs a file. Returns 0, or -1 with the cause printed. */
int script_run(const char *path);

#endif
