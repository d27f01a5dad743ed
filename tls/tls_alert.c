#include "tls/tls_internal.h"

#define ALERT_FATAL 2

/* RFC 8446, 6 and the extensions' own RFCs; the meaning is worded for an alert that we receive. */
static const struct {
    uint8_t alert;
    const char *name, *meaning;
} alerts[] = {
    {0, "close_notify", "it ends the connection"},
    {10, "unexpected_message", "it did not expect a message of ours"},
    {20, "bad_record_mac", "a record of ours reached it damaged"},
    {22, "record_overflow", "a record of ours was too long for it"},
    {40, "handshake_failure", "it finds no acceptable set of parameters"},
    {42, "bad_certificate", "it finds our certificate damaged or not signed correctly"},
    {43, "unsupported_certificate", "it does not support our certificate's type"},
    {44, "certificate_revoked", "our certificate has been revoked"},
    {45, "certificate_expired", "our certificate has expired by its clock"},
    {46, "certificate_unknown", "it does not accept our certificate"},
    {47, "illegal_parameter", "it finds a field of ours out of range"},
    {48, "unknown_ca", "it does not trust our certificate's issuer, or the chain is incomplete"},
    {49, "access_denied", "it denies access"},
    {50, "decode_error", "it could not decode a message of ours"},
    {51, "decrypt_error", "a signature or Finished of ours failed its check"},
    {70, "protocol_version", "it does not accept the TLS version"},
    {71, "insufficient_security", "it requires stronger parameters"},
    {80, "internal_error", "it failed for a reason of its own"},
    {86, "inappropriate_fallback", "it sees a downgrade of the TLS version"},
    {90, "user_canceled", "its user cancelled the handshake"},
    {100, "no_renegotiation", "it does not renegotiate"},
    {109, "missing_extension", "it misses an extension of ours"},
    {110, "unsupported_extension", "we sent an extension that it did not offer"},
    {112, "unrecognized_name", "it does not know the name"},
    {113, "bad_certificate_status_response", "it does not accept our OCSP response"},
    {115, "unknown_psk_identity", "it does not know the pre-shared key"},
    {116, "certificate_required", "it requires a certificate"},
    {120, "no_application_protocol", "it has no application protocol (ALPN) in common with us"},
};

#define ALERT_COUNT (sizeof alerts / sizeof alerts[0])

const char *tls_alert_name(uint8_t alert)
{
    for (size_t i = 0; i < ALERT_COUNT; i++) {
        if (alerts[i].alert == alert)
            return alerts[i].name;
    }
    return "unknown alert";
}

const char *tls_alert_meaning(uint8_t alert)
{
    for (size_t i = 0; i < ALERT_COUNT; i++) {
        if (alerts[i].alert == alert)
            return alerts[i].meaning;
    }
    return NULL;
}

size_t tls_alert_record(uint8_t alert, uint8_t out[TLS_ALERT_RECORD_LEN])
{
    out[0] = SSL3_RT_ALERT;
    out[1] = TLS_VERSION_1_2 >> 8; /* legacy_record_version: RFC 8446, 5.1 */
    out[2] = TLS_VERSION_1_2 & 0xff;
    out[3] = 0;
    out[4] = 2;
    out[5] = ALERT_FATAL;
    out[6] = alert;
    return TLS_ALERT_RECORD_LEN;
}
