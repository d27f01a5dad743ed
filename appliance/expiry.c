#include "appliance/expiry.h"

#include <stdio.h>

#include "base/log.h"

#define DAY              86400
#define CERTIFICATE_DAYS 14
#define OCSP_DAYS        3

static const char *days_text(time_t left, char out[32])
{
    long days = (long)(left / DAY);

    if (days == 0)
        snprintf(out, 32, "within a day");
    else
        snprintf(out, 32, "in %ld day%s", days, days == 1 ? "" : "s");
    return out;
}

const char *expiry_of_certificate(const struct tls_cert_file *f, time_t now,
                                  char out[EXPIRY_TEXT_MAX])
{
    time_t left = tls_cert_file_expiry(f) - now;
    char days[32];

    if (left >= CERTIFICATE_DAYS * DAY)
        return NULL;
    if (left < 0)
        snprintf(out, EXPIRY_TEXT_MAX, "the certificate has expired: renew it and reload");
    else
        snprintf(out, EXPIRY_TEXT_MAX, "the certificate expires %s: renew it and reload",
                 days_text(left, days));
    return out;
}

const char *expiry_of_ocsp(const struct tls_cert_file *f, time_t now, char out[EXPIRY_TEXT_MAX])
{
    time_t left = tls_cert_file_ocsp_expiry(f) - now;
    char days[32];

    if (tls_cert_file_ocsp_expiry(f) == 0 || left >= OCSP_DAYS * DAY)
        return NULL;
    if (left < 0)
        snprintf(out, EXPIRY_TEXT_MAX,
                 "the OCSP response is over and not stapled: fetch a new one and reload");
    else
        snprintf(out, EXPIRY_TEXT_MAX, "the OCSP response is over %s: fetch a new one and reload",
                 days_text(left, days));
    return out;
}

/* One that has expired is an error: clients refuse it by now. */
static void log_certificate(const struct tls_cert_file *f, time_t now)
{
    char text[EXPIRY_TEXT_MAX];

    if (expiry_of_certificate(f, now, text) != NULL)
        log_write(tls_cert_file_expiry(f) < now ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "tls",
                  "certificate %s: %s", tls_cert_file_name(f), text);
    if (expiry_of_ocsp(f, now, text) != NULL)
        log_warn("tls", "certificate %s: %s", tls_cert_file_name(f), text);
}

static bool ended(time_t end, time_t since, time_t now)
{
    return end >= since && end < now;
}

static void log_ended(const struct tls_cert_file *f, time_t since, time_t now)
{
    if (ended(tls_cert_file_expiry(f), since, now) ||
        ended(tls_cert_file_ocsp_expiry(f), since, now))
        log_certificate(f, now);
}

void expiry_tick(struct expiry *e, const struct snapshot *s, time_t now)
{
    bool daily = e->daily != 0 && now >= e->daily;

    for (unsigned i = 0; i < s->policy->certificate_count; i++) {
        if (daily)
            log_certificate(s->certificates[i], now);
        else if (e->seen != 0)
            log_ended(s->certificates[i], e->seen, now);
    }
    e->seen = now;
    if (e->daily == 0 || daily)
        e->daily = now + DAY;
}
