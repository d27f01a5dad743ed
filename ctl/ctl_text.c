#include "ctl/ctl_text.h"

#include <string.h>

/* C0 and DEL; of C1 the UTF-8 forms, U+0080 to U+009F, which are C2 80 to C2 9F. */
static void clean(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
}

void ctl_text_line(FILE *out, const char *text)
{
    char line[4096];

    snprintf(line, sizeof line, "%s", text);
    clean(line);
    fprintf(out, "%s\n", line);
}

static const char *scaled(double value, double step, const char *const *units, unsigned count,
                          char *out)
{
    unsigned u = 0;

    while (value >= step && u + 1 < count) {
        value /= step;
        u++;
    }
    snprintf(out, CTL_TEXT_MAX, u == 0 || value >= 100 ? "%.0f%s" : "%.1f%s", value, units[u]);
    return out;
}

const char *ctl_text_bytes(double bytes, char *out)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};

    return scaled(bytes, 1024, units, 6, out);
}

const char *ctl_text_count(double count, char *out)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};

    return scaled(count, 1000, units, 5, out);
}

const char *ctl_text_duration(double s, char *out)
{
    unsigned long whole = s > 0 ? (unsigned long)s : 0;

    if (s < 0.001)
        snprintf(out, CTL_TEXT_MAX, "%.0fus", s * 1e6);
    else if (s < 1)
        snprintf(out, CTL_TEXT_MAX, "%.1fms", s * 1e3);
    else if (s < 60)
        snprintf(out, CTL_TEXT_MAX, "%.1fs", s);
    else if (whole < 3600)
        snprintf(out, CTL_TEXT_MAX, "%lum %lus", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, CTL_TEXT_MAX, "%luh %lum", whole / 3600, whole % 3600 / 60);
    else
        snprintf(out, CTL_TEXT_MAX, "%lud %luh", whole / 86400, whole % 86400 / 3600);
    return out;
}

static void join(const json_t *array, char *out)
{
    const json_t *element;
    size_t i, len = 0;
    char text[CTL_TEXT_MAX];

    out[0] = '\0';
    json_array_foreach (array, i, element) {
        int n = snprintf(out + len, CTL_TEXT_MAX - len, "%s%s", i > 0 ? ", " : "",
                         json_is_array(element) ? "" : ctl_text_value(element, text));

        if (n < 0 || (size_t)n >= CTL_TEXT_MAX - len)
            return;
        len += (size_t)n;
    }
    if (len == 0)
        memcpy(out, "-", sizeof "-");
}

const char *ctl_text_value(const json_t *value, char *out)
{
    if (json_is_string(value))
        snprintf(out, CTL_TEXT_MAX, "%s",
                 *json_string_value(value) != '\0' ? json_string_value(value) : "-");
    else if (json_is_integer(value))
        snprintf(out, CTL_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, CTL_TEXT_MAX, "%.3f", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, CTL_TEXT_MAX, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_array(value))
        join(value, out);
    else
        memcpy(out, "-", sizeof "-");
    clean(out);
    return out;
}

size_t ctl_text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80; /* not the rest of a UTF-8 character */
    return width;
}
