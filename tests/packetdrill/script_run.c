/*
 * Runs a script: line after line, each at its time. What the stack sends waits in the door until a
 * line expects it; at the end nothing may be left. A timer of the stack may be late by a tick of
 * its wheel, so times are compared with that much tolerance.
 */
#include "tests/packetdrill/script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define RUN_TOLERANCE (4 * CLOCK_MS)
#define RUN_PEER_PORT 40000
#define RUN_PEER_ISS  1000000
#define RUN_WINDOW    65535

static int run_line(struct script *s, const struct script_line *line);

int script_fail(struct script *s, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(s->error, sizeof s->error, format, arguments);
    va_end(arguments);
    return -1;
}

/* ---- the peer ---- */

static void default_set(struct script_segment *g, unsigned field, uint32_t *to, uint32_t value)
{
    if ((g->fields & field) == 0)
        *to = value;
}

static int run_icmp(struct script *s, const struct script_line *line)
{
    uint64_t type = 0, code = 0, mtu = 0, seq = 0;
    bool other = false;
    uint32_t number;

    for (unsigned i = 2; i < line->words; i++) {
        const char *word = line->word[i];

        if (script_number(script_value(word, "seq"), &seq))
            other = true;
        else if (!script_number(script_value(word, "type"), &type) &&
                 !script_number(script_value(word, "code"), &code) &&
                 !script_number(script_value(word, "mtu"), &mtu))
            return script_fail(s, "\"%s\" is no field of an ICMP error", word);
    }
    number = (uint32_t)seq;
    return script_packet_icmp(s, (uint8_t)type, (uint8_t)code, (uint32_t)mtu,
                              other ? &number : NULL);
}

/* The peer's clock runs from its SYN on, in milliseconds. */
static void timestamps_fill(struct script *s, struct script_segment *g)
{
    if ((g->tcp.flags & TCP_SYN) != 0) {
        s->ts_used = (g->fields & SCRIPT_TS) != 0;
        s->ts_base = g->tcp.ts_value;
        s->ts_at = s->at;
    } else if (s->ts_used && (g->fields & (SCRIPT_TS | SCRIPT_NO_TS)) == 0) {
        g->tcp.has_timestamp = true;
        g->tcp.ts_value = s->ts_base + (uint32_t)((s->at - s->ts_at) / CLOCK_MS);
    }
}

static int run_peer(struct script *s, const struct script_line *line)
{
    struct script_segment g;
    uint32_t end;

    if (line->words > 1 && strcmp(line->word[1], "icmp") == 0)
        return run_icmp(s, line);
    if (script_segment_parse(s, line, &g) < 0)
        return -1;
    if ((g.fields & SCRIPT_WIN) != 0)
        s->peer_window = g.tcp.window;
    g.tcp.window = s->peer_window;
    default_set(&g, SCRIPT_SEQ, &g.tcp.seq, s->peer_end);
    default_set(&g, SCRIPT_ACK, &g.tcp.ack, s->stack_end);
    if ((g.fields & SCRIPT_BACK) != 0)
        g.tcp.ts_echo = s->ts_recent - g.tcp.ts_echo;
    else
        default_set(&g, SCRIPT_ECHO, &g.tcp.ts_echo, s->ts_recent);
    end = g.tcp.seq + g.len + ((g.tcp.flags & (TCP_SYN | TCP_FIN)) != 0);
    if ((int32_t)(end - s->peer_end) > 0)
        s->peer_end = end;
    timestamps_fill(s, &g);
    script_packet_send(s, &g);
    return 0;
}

/* ---- the stack ---- */

/* The next segment, sent at `limit` at the latest. */
static bool next_segment(struct script *s, clock_ns limit, uint8_t *packet, size_t room,
                         struct script_segment *out, clock_ns *at)
{
    size_t len;

    do {
        len = door_packet_out(s->door, limit, packet, room, at);
        if (len == 0)
            return false;
    } while (!script_packet_take(s, packet, len, out));
    return true;
}

static bool options_differ(const struct script_segment *want, const struct script_segment *is)
{
    const struct packet_tcp *w = &want->tcp, *i = &is->tcp;
    unsigned f = want->fields;

    if ((f & SCRIPT_OPTIONS) != 0 &&
        (w->has_mss != i->has_mss || w->has_wscale != i->has_wscale ||
         w->sack_permitted != i->sack_permitted || w->has_timestamp != i->has_timestamp))
        return true;
    if (((f & SCRIPT_MSS) != 0 && (!i->has_mss || w->mss != i->mss)) ||
        ((f & SCRIPT_WS) != 0 && (!i->has_wscale || w->wscale != i->wscale)) ||
        ((f & SCRIPT_SACK) != 0 && !i->sack_permitted) ||
        ((f & SCRIPT_TS) != 0 && !i->has_timestamp) ||
        ((f & SCRIPT_ECHO) != 0 && w->ts_echo != i->ts_echo))
        return true;
    return (f & SCRIPT_BLOCKS) != 0 &&
           (w->sack_count != i->sack_count ||
            memcmp(w->sack, i->sack, w->sack_count * sizeof w->sack[0]) != 0);
}

static bool differs(const struct script_segment *want, const struct script_segment *is)
{
    uint8_t mask = (want->fields & SCRIPT_PSH) != 0 ? 0xff : (uint8_t)~TCP_PSH;
    unsigned f = want->fields;

    return (want->tcp.flags & mask) != (is->tcp.flags & mask) ||
           ((f & SCRIPT_SEQ) != 0 && want->tcp.seq != is->tcp.seq) ||
           ((f & SCRIPT_ACK) != 0 && want->tcp.ack != is->tcp.ack) || want->len != is->len ||
           ((f & SCRIPT_WIN) != 0 && want->tcp.window != is->tcp.window) ||
           ((f & SCRIPT_ECN) != 0 && want->ecn != is->ecn) ||
           ((f & SCRIPT_TTL) != 0 && want->ttl != is->ttl) || options_differ(want, is);
}

static int payload_check(struct script *s, const struct script_segment *g)
{
    for (uint32_t i = 0; i < g->len; i++) {
        if (g->payload[i] != script_byte(g->tcp.seq + i - 1))
            return script_fail(s, "byte %" PRIu32 " of the stream is wrong", g->tcp.seq + i);
    }
    return 0;
}

/* Further segments of data that belong to the same line. */
static int join(struct script *s, const struct script_segment *want, struct script_segment *is,
                clock_ns limit, clock_ns *at)
{
    uint8_t packet[9100];

    while (is->len > 0 && is->len < want->len) {
        struct script_segment more;

        if (!next_segment(s, limit, packet, sizeof packet, &more, at))
            return script_fail(s, "only %" PRIu32 " of %" PRIu32 " bytes were sent", is->len,
                               want->len);
        if (more.tcp.seq != is->tcp.seq + is->len || more.len == 0)
            return script_fail(s, "after %" PRIu32 " bytes comes seq=%" PRIu32, is->len,
                               more.tcp.seq);
        if (payload_check(s, &more) < 0)
            return -1;
        is->len += more.len;
        is->tcp.flags |= more.tcp.flags;
    }
    return 0;
}

static void note_end(struct script *s, const struct script_segment *g)
{
    uint32_t end = g->tcp.seq + g->len + ((g->tcp.flags & (TCP_SYN | TCP_FIN)) != 0);

    if ((g->tcp.flags & TCP_RST) == 0 && (int32_t)(end - s->stack_end) > 0)
        s->stack_end = end;
}

static int run_stack(struct script *s, const struct script_line *line)
{
    clock_ns at = 0, limit = s->at + RUN_TOLERANCE;
    struct script_segment want, is;
    uint8_t packet[9100];
    char text[512];

    if (script_segment_parse(s, line, &want) < 0)
        return -1;
    if (!next_segment(s, limit, packet, sizeof packet, &is, &at))
        return script_fail(s, "nothing was sent");
    if (payload_check(s, &is) < 0 || join(s, &want, &is, limit, &at) < 0)
        return -1;
    note_end(s, &is);
    if (differs(&want, &is))
        return script_fail(s, "sent was %s", script_packet_text(&is, text, sizeof text));
    if (at + RUN_TOLERANCE < s->at || at > limit)
        return script_fail(s, "it was sent %.1f ms from then",
                           ((double)at - (double)s->at) / (double)CLOCK_MS);
    return 0;
}

/* Runs a line that the script has not, at the time of the one it has. */
static int run_text(struct script *s, const char *text)
{
    struct script_line line = {0};
    char *rest = NULL;

    snprintf(line.text, sizeof line.text, "%s", text);
    memcpy(line.copy, line.text, sizeof line.copy);
    for (char *w = strtok_r(line.copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
        line.word[line.words++] = w;
    return run_line(s, &line);
}

static int run_established(struct script *s, const struct script_line *line)
{
    char syn[512] = "peer S", stack[] = "stack SA seq=0 ack=1";
    uint64_t rtt = 0;
    size_t used;

    for (unsigned i = 1; i < line->words; i++) {
        used = strlen(syn);
        if (!script_number(script_value(line->word[i], "rtt"), &rtt))
            snprintf(syn + used, sizeof syn - used, " %s", line->word[i]);
    }
    if (run_text(s, "listen") < 0 || run_text(s, syn) < 0 || run_text(s, stack) < 0)
        return -1;
    s->at += rtt * CLOCK_MS;
    return run_text(s, "peer A") < 0 || run_text(s, "accept") < 0 ? -1 : 0;
}

/* Nothing is left that no line has expected. */
static int run_silence(struct script *s)
{
    struct script_segment is;
    uint8_t packet[9100];
    char text[512];
    clock_ns at;

    if (!next_segment(s, s->at, packet, sizeof packet, &is, &at))
        return 0;
    return script_fail(s, "sent was %s", script_packet_text(&is, text, sizeof text));
}

/* ---- lines ---- */

static int run_set(struct script *s, const struct script_line *line)
{
    for (unsigned i = 1; i < line->words; i++) {
        size_t used = strlen(s->settings);

        if (strcmp(line->word[i], "family=6") == 0)
            s->v6 = true;
        else if (strcmp(line->word[i], "family=4,6") == 0)
            s->both = true;
        else
            snprintf(s->settings + used, sizeof s->settings - used, ",%s", line->word[i]);
    }
    return s->door == NULL ? 0 : script_fail(s, "settings come first");
}

static int door_open(struct script *s)
{
    struct door_config config;
    struct error e = {0};
    char text[640];

    snprintf(text, sizeof text, "pacing-off=1%s%s",
             s->v6 ? ",local6=fd3d:a0b:17d6::1/48,gateway6=fd3d:a0b:17d6:8888::1" : "",
             s->settings);
    if (door_config_parse(&config, text, &e) < 0)
        return script_fail(s, "%s", e.text);
    s->door = door_create(&config, &e);
    if (s->door == NULL)
        return script_fail(s, "%s", e.text);
    s->start = s->at = door_now(s->door);
    return 0;
}

static int run_line(struct script *s, const struct script_line *line)
{
    int status;

    if (strcmp(line->word[0], "set") == 0)
        return run_set(s, line);
    if (s->door == NULL && door_open(s) < 0)
        return -1;
    if (line->timed)
        s->at = (line->relative ? s->at : s->start) + line->time;
    if (strcmp(line->word[0], "stack") == 0)
        return run_stack(s, line);
    door_run(s->door, s->at);
    if (strcmp(line->word[0], "peer") == 0)
        return run_peer(s, line);
    if (strcmp(line->word[0], "silence") == 0)
        return run_silence(s);
    if (strcmp(line->word[0], "established") == 0)
        return run_established(s, line);
    status = script_call(s, line);
    return status > 0 ? script_fail(s, "there is no verb \"%s\"", line->word[0]) : status;
}

/* Whether it asks for the other family, too, is known behind it. */
static int run_family(const char *path, bool v6, bool *both)
{
    struct script s = {.path = path,
                       .v6 = v6,
                       .listener = -1,
                       .fd = -1,
                       .peer_port = RUN_PEER_PORT,
                       .peer_iss = RUN_PEER_ISS,
                       .peer_window = RUN_WINDOW};
    struct script_line line = {0};
    FILE *file = fopen(path, "r");
    int status = 0;
    bool wrong;

    if (file == NULL) {
        perror(path);
        return -1;
    }
    while (status == 0 && script_line_next(file, &line, &wrong))
        status = wrong ? script_fail(&s, "this is no line of a script") : run_line(&s, &line);
    if (status == 0 && s.door != NULL)
        status = run_silence(&s);
    if (status < 0)
        printf("%s:%d: %s%s\n    %s\n", path, line.number, v6 ? "over IPv6: " : "", s.error,
               line.text);
    fclose(file);
    door_destroy(s.door);
    if (status == 0 && door_mbufs_in_use() != 0) {
        printf("%s: %u mbufs are missing\n", path, door_mbufs_in_use());
        status = -1;
    }
    *both = s.both;
    return status;
}

int script_run(const char *path)
{
    bool both;
    int status = run_family(path, false, &both);

    return status == 0 && both ? run_family(path, true, &both) : status;
}
