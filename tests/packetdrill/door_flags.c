/* The settings of the door as text: "key=value,key=value". */
#include "tests/packetdrill/door_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag_type {
    FLAG_PREFIX,
    FLAG_ADDRESS,
    FLAG_BOOL,
    FLAG_U8,
    FLAG_U16,
    FLAG_U32,
    FLAG_MS,
    FLAG_WORD
};

struct flag {
    const char *name;
    enum flag_type type;
    size_t offset;
    const char *words; /* FLAG_WORD: the values of the enum, in order */
};

#define FLAG(name, type, field)                               \
    {                                                         \
        name, type, offsetof(struct door_config, field), NULL \
    }
#define FLAG_ENUM(name, field, words)                               \
    {                                                               \
        name, FLAG_WORD, offsetof(struct door_config, field), words \
    }

static const struct flag flags[] = {
    FLAG("local", FLAG_PREFIX, local[0]),
    FLAG("local6", FLAG_PREFIX, local[1]),
    FLAG("gateway", FLAG_ADDRESS, gateway[0]),
    FLAG("gateway6", FLAG_ADDRESS, gateway[1]),
    FLAG("mtu", FLAG_U16, mtu),
    FLAG("tso", FLAG_U16, tso),
    FLAG("nagle", FLAG_BOOL, nagle),
    FLAG("receive-buffer", FLAG_U32, receive_buffer),
    FLAG("send-buffer", FLAG_U32, send_buffer),
    FLAG("notsent-lowat", FLAG_U32, notsent_lowat),
    FLAG_ENUM("cookies", cookies, "auto always off"),
    FLAG("time-wait", FLAG_MS, time_wait),
    FLAG_ENUM("congestion", tcp.congestion, "cubic newreno"),
    FLAG_ENUM("ecn", tcp.ecn, "passive active off"),
    FLAG_ENUM("mtu-probing", tcp.mtu_probing, "black-hole always off"),
    FLAG("pacing-off", FLAG_BOOL, tcp.pacing_off),
    FLAG("timestamps-off", FLAG_BOOL, tcp.timestamps_off),
    FLAG("sack-off", FLAG_BOOL, tcp.sack_off),
    FLAG("window-scale", FLAG_U8, tcp.window_scale),
    FLAG("initial-window", FLAG_U16, tcp.initial_window),
    FLAG("quick-acks", FLAG_U16, tcp.quick_acks),
    FLAG("quick-acks-off", FLAG_BOOL, quick_acks_off),
    FLAG("abc-limit", FLAG_U16, tcp.abc_limit),
    FLAG("hystart-classic", FLAG_BOOL, tcp.hystart_classic),
    FLAG("rest-keeps-window", FLAG_BOOL, tcp.rest_keeps_window),
    FLAG("reduce-from-cwnd", FLAG_BOOL, tcp.reduce_from_cwnd),
    FLAG("cubic-classic", FLAG_BOOL, tcp.cubic_classic),
    FLAG("ecn-by-prr", FLAG_BOOL, tcp.ecn_by_prr),
    FLAG("sack-segments", FLAG_BOOL, tcp.sack_segments),
    FLAG("rack-by-number", FLAG_BOOL, tcp.rack_by_number),
    FLAG("syn-retries", FLAG_U8, tcp.syn_retries),
    FLAG("synack-retries", FLAG_U8, tcp.synack_retries),
    FLAG("rto-initial", FLAG_MS, tcp.rto_initial),
    FLAG("rto-min", FLAG_MS, tcp.rto_min),
    FLAG("delayed-ack", FLAG_MS, tcp.delayed_ack),
    FLAG("fin-wait-2", FLAG_MS, tcp.fin_wait_2),
    FLAG("receive-buffer-max", FLAG_U32, tcp.receive_buffer_max),
    FLAG("send-buffer-max", FLAG_U32, tcp.send_buffer_max),
};

static bool number_take(const char *text, unsigned long *out)
{
    char *end;

    *out = strtoul(text, &end, 10);
    return end != text && *end == '\0';
}

/* The place of a word in a list, or -1. */
static int word_index(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (int index = 0; *words != '\0'; index++) {
        size_t n = strcspn(words, " ");

        if (n == len && memcmp(words, word, n) == 0)
            return index;
        words += n + (words[n] == ' ');
    }
    return -1;
}

static bool number_store(enum flag_type type, void *to, unsigned long number)
{
    switch (type) {
    case FLAG_BOOL:
        *(bool *)to = number != 0;
        return number <= 1;
    case FLAG_U8:
        *(uint8_t *)to = (uint8_t)number;
        return number <= UINT8_MAX;
    case FLAG_U16:
        *(uint16_t *)to = (uint16_t)number;
        return number <= UINT16_MAX;
    case FLAG_MS:
        *(clock_ns *)to = number * CLOCK_MS;
        return true;
    default:
        *(uint32_t *)to = (uint32_t)number;
        return number <= UINT32_MAX;
    }
}

static bool value_take(const struct flag *f, struct door_config *config, const char *text)
{
    void *to = (char *)config + f->offset;
    unsigned long number;
    int word;

    switch (f->type) {
    case FLAG_PREFIX:
        return ip_prefix_parse(text, to) == 0;
    case FLAG_ADDRESS:
        return ip_parse(text, to) == 0;
    case FLAG_WORD:
        word = word_index(f->words, text);
        *(int *)to = word;
        return word >= 0;
    default:
        return number_take(text, &number) && number_store(f->type, to, number);
    }
}

static int flag_take(struct door_config *config, char *text, struct error *e)
{
    char *value = strchr(text, '=');

    if (value == NULL)
        return error_set(e, "\"%s\" has no value", text);
    *value++ = '\0';
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(flags[i].name, text) != 0)
            continue;
        return value_take(&flags[i], config, value) ? 0 : error_set(e, "%s: \"%s\"?", text, value);
    }
    return error_set(e, "there is no setting \"%s\"", text);
}

int door_config_parse(struct door_config *config, const char *text, struct error *e)
{
    char copy[1024], *rest = copy, *one;

    *config = (struct door_config){.mtu = 1500, .cookies = SOCK_COOKIES_OFF};
    ip_prefix_parse("192.168.0.1/16", &config->local[0]);
    ip_parse("192.168.0.2", &config->gateway[0]);
    snprintf(copy, sizeof copy, "%s", text != NULL ? text : "");
    while ((one = strsep(&rest, ",")) != NULL) {
        if (*one != '\0' && flag_take(config, one, e) < 0)
            return -1;
    }
    return 0;
}
