/* Lines of a script, and the segments in them. */
#include "tests/packetdrill/script.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool script_number(const char *text, uint64_t *out)
{
    char *end;

    if (text == NULL || !isdigit((unsigned char)*text))
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

const char *script_value(const char *word, const char *key)
{
    size_t len = strlen(key);

    return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

/* ---- lines ---- */

static bool time_take(const char *text, struct script_line *line)
{
    char *end;
    double seconds;

    line->relative = *text == '+';
    text += line->relative;
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    seconds = strtod(text, &end);
    line->time = (clock_ns)(seconds * 1e6 + 0.5) * CLOCK_US;
    return *end == '\0';
}

static bool words_take(struct script_line *line)
{
    char *rest = NULL, *word = strtok_r(line->copy, " \t\n", &rest);

    if (word != NULL && (*word == '+' || *word == '.' || isdigit((unsigned char)*word))) {
        line->timed = true;
        if (!time_take(word, line))
            return false;
        word = strtok_r(NULL, " \t\n", &rest);
    }
    for (; word != NULL && line->words < SCRIPT_WORDS; word = strtok_r(NULL, " \t\n", &rest))
        line->word[line->words++] = word;
    return word == NULL;
}

bool script_line_next(FILE *file, struct script_line *line, bool *wrong)
{
    int number = line->number;

    *wrong = false;
    *line = (struct script_line){.number = number};
    while (line->words == 0 && !line->timed) {
        if (fgets(line->text, sizeof line->text, file) == NULL)
            return false;
        line->number++;
        line->text[strcspn(line->text, "#\n")] = '\0';
        memcpy(line->copy, line->text, sizeof line->copy);
        if (!words_take(line) || (line->timed && line->words == 0)) {
            *wrong = true;
            return true;
        }
    }
    return true;
}

/* ---- segments ---- */

static bool flags_take(const char *text, struct script_segment *out)
{
    static const char letters[] = "FSRPAUEW"; /* in the order of the header's bits */

    if (strcmp(text, "-") == 0)
        return true;
    for (; *text != '\0'; text++) {
        const char *at = strchr(letters, *text);

        if (at == NULL)
            return false;
        out->tcp.flags |= (uint8_t)(1u << (at - letters));
    }
    if ((out->tcp.flags & TCP_PSH) != 0)
        out->fields |= SCRIPT_PSH;
    return true;
}

static bool timestamps_take(const char *text, struct script_segment *out)
{
    char *end;

    out->fields |= SCRIPT_TS;
    out->tcp.has_timestamp = true;
    out->tcp.ts_value = (uint32_t)strtoul(text, &end, 10);
    if (*end == ':') {
        out->fields |= SCRIPT_ECHO;
        out->tcp.ts_echo = (uint32_t)strtoul(end + 1, &end, 10);
    }
    return *end == '\0';
}

/* How long before the latest timestamp that the stack has sent lies the one echoed. */
static bool back_take(const char *text, struct script_segment *out)
{
    uint64_t ms;

    if (!script_number(text, &ms))
        return false;
    out->fields |= SCRIPT_BACK;
    out->tcp.ts_echo = (uint32_t)ms;
    return true;
}

static bool blocks_take(const char *text, struct script_segment *out)
{
    out->fields |= SCRIPT_BLOCKS;
    while (*text != '\0' && strcmp(text, "none") != 0) {
        char *end;

        if (out->tcp.sack_count == 4)
            return false;
        out->tcp.sack[out->tcp.sack_count].left = (uint32_t)strtoul(text, &end, 10);
        if (*end != '-')
            return false;
        out->tcp.sack[out->tcp.sack_count++].right = (uint32_t)strtoul(end + 1, &end, 10);
        if (*end != ',' && *end != '\0')
            return false;
        text = end + (*end == ',');
    }
    return true;
}

static bool bare_take(const char *word, struct script_segment *out)
{
    static const char *const ecn[] = {"not-ect", "ect1", "ect0", "ce"}; /* RFC 3168, 5 */

    for (uint8_t i = 0; i < 4; i++) {
        if (strcmp(word, ecn[i]) == 0) {
            out->fields |= SCRIPT_ECN;
            out->ecn = i;
            return true;
        }
    }
    if (strcmp(word, "only") == 0 || strcmp(word, "no-ts") == 0) {
        out->fields |= *word == 'o' ? SCRIPT_OPTIONS : SCRIPT_NO_TS;
        return true;
    }
    if (strcmp(word, "sack") != 0)
        return false;
    out->fields |= SCRIPT_SACK;
    out->tcp.sack_permitted = true;
    return true;
}

static bool number_take(const char *word, struct script_segment *out)
{
    static const char *const keys[] = {"seq", "ack", "data", "win", "mss", "ws", "urg", "ttl"};
    static const unsigned fields[] = {SCRIPT_SEQ, SCRIPT_ACK, SCRIPT_DATA, SCRIPT_WIN,
                                      SCRIPT_MSS, SCRIPT_WS,  SCRIPT_URG,  SCRIPT_TTL};
    uint64_t n;
    unsigned i = 0;

    while (i < 8 && script_value(word, keys[i]) == NULL)
        i++;
    if (i == 8 || !script_number(script_value(word, keys[i]), &n))
        return false;
    out->fields |= fields[i];
    out->tcp.seq = fields[i] == SCRIPT_SEQ ? (uint32_t)n : out->tcp.seq;
    out->tcp.ack = fields[i] == SCRIPT_ACK ? (uint32_t)n : out->tcp.ack;
    out->len = fields[i] == SCRIPT_DATA ? (uint32_t)n : out->len;
    out->tcp.window = fields[i] == SCRIPT_WIN ? (uint16_t)n : out->tcp.window;
    out->tcp.mss = fields[i] == SCRIPT_MSS ? (uint16_t)n : out->tcp.mss;
    out->tcp.wscale = fields[i] == SCRIPT_WS ? (uint8_t)n : out->tcp.wscale;
    out->tcp.urgent = fields[i] == SCRIPT_URG ? (uint16_t)n : out->tcp.urgent;
    out->ttl = fields[i] == SCRIPT_TTL ? (uint8_t)n : out->ttl;
    return true;
}

int script_segment_parse(struct script *s, const struct script_line *line,
                         struct script_segment *out)
{
    *out = (struct script_segment){.ttl = 64};
    if (line->words < 2 || !flags_take(line->word[1], out))
        return script_fail(s, "flags of a segment are wanted");
    for (unsigned i = 2; i < line->words; i++) {
        const char *word = line->word[i], *ts = script_value(word, "ts");
        const char *blocks = script_value(word, "blocks"), *back = script_value(word, "back");
        bool ok = ts != NULL       ? timestamps_take(ts, out)
                  : blocks != NULL ? blocks_take(blocks, out)
                  : back != NULL   ? back_take(back, out)
                                   : bare_take(word, out) || number_take(word, out);

        if (!ok)
            return script_fail(s, "\"%s\" is no field of a segment", word);
    }
    out->tcp.has_mss = (out->fields & SCRIPT_MSS) != 0;
    out->tcp.has_wscale = (out->fields & SCRIPT_WS) != 0;
    return 0;
}
