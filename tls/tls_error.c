/*
 * Theory of operation: a failing call of OpenSSL's leaves a queue of errors, the cause first and
 * then each layer's view of it. The first entry that we know a better sentence for tells the story;
 * where there is none the first entry's own text does, with its number to look it up by.
 */
#include <string.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

/* '@' stands for what the peer is. */
static const struct {
    int reason;
    const char *text;
} plain[] = {
    {SSL_R_NO_SHARED_CIPHER, "no cipher suite in common with the @"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "no TLS version in common with the @"},
    {SSL_R_VERSION_TOO_LOW, "no TLS version in common with the @"},
    {SSL_R_WRONG_VERSION_NUMBER, "record of a wrong version: not TLS, or the stream is damaged"},
    {SSL_R_WRONG_SSL_VERSION, "record of a wrong version: not TLS, or the stream is damaged"},
    {SSL_R_HTTP_REQUEST, "plain HTTP request"},
    {SSL_R_HTTPS_PROXY_REQUEST, "plain HTTP CONNECT request"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
     "record that fails authentication: damaged or forged"},
    {SSL_R_BAD_RECORD_TYPE, "record of an unknown type"},
    {SSL_R_UNEXPECTED_RECORD, "record of an unexpected type"},
    {SSL_R_UNEXPECTED_MESSAGE, "unexpected message"},
    {SSL_R_CCS_RECEIVED_EARLY, "change_cipher_spec out of turn"},
    {SSL_R_APP_DATA_IN_HANDSHAKE, "application data before the end of the handshake"},
    {SSL_R_DATA_LENGTH_TOO_LONG, "record longer than TLS allows"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "record longer than TLS allows"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "record longer than TLS allows"},
    {SSL_R_LENGTH_TOO_SHORT, "record or message that is too short"},
    {SSL_R_LENGTH_MISMATCH, "malformed handshake message"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "handshake message of excessive size"},
    {SSL_R_BAD_EXTENSION, "malformed extension"},
    {SSL_R_BAD_KEY_SHARE, "key share that is no point of its group"},
    {SSL_R_BAD_ECPOINT, "key share that is no point of its group"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no key exchange group in common with the @"},
    {SSL_R_NO_SUITABLE_GROUPS, "no key exchange group in common with the @"},
    {SSL_R_UNSUPPORTED_ELLIPTIC_CURVE, "no key exchange group in common with the @"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
     "the @ accepts no signature that our certificate's key can make"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
     "the @ accepts no signature that our certificate's key can make"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol (ALPN) in common with the @"},
    {SSL_R_INAPPROPRIATE_FALLBACK, "the @ fell back to a lower TLS version than it supports"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
     "the @ showed no certificate, and the listener requires one: give the @ one of an authority "
     "in tls.client-auth.ca, or set tls.client-auth.mode to optional"},
    {SSL_R_BAD_SIGNATURE, "the @'s signature does not fit its certificate"},
    {SSL_R_DIGEST_CHECK_FAILED, "Finished does not match: the handshake was altered on its way"},
    {SSL_R_BINDER_DOES_NOT_VERIFY, "the ticket's binder does not verify"},
    {SSL_R_INCONSISTENT_EXTMS, "resumption without the session's extended_master_secret"},
    {SSL_R_TOO_MANY_WARN_ALERTS, "too many warning alerts"},
    {SSL_R_RECORD_TOO_SMALL, "too many empty records"},
    {SSL_R_APPLICATION_DATA_AFTER_CLOSE_NOTIFY, "data after close_notify"},
    {SSL_R_PROTOCOL_IS_SHUTDOWN, "write after our close_notify"},
    {SSL_R_SHUTDOWN_WHILE_IN_INIT, "close_notify while a handshake message is unfinished"},
    /* configuration */
    {SSL_R_EE_KEY_TOO_SMALL, "the certificate's key is too small"},
    {SSL_R_CA_KEY_TOO_SMALL, "the key of a certificate in the chain is too small"},
    {SSL_R_CA_MD_TOO_WEAK, "a certificate is signed with a hash that is broken (MD5 or SHA-1)"},
    {SSL_R_UNKNOWN_CERTIFICATE_TYPE, "the certificate's key type cannot be used for TLS"},
    {SSL_R_PRIVATE_KEY_MISMATCH, "the key does not belong to the certificate"},
};

/* Alerts of the peer's stand in the queue as reasons from here on. */
#define REASON_IS_ALERT(reason) \
    ((reason) > SSL_AD_REASON_OFFSET && (reason) < SSL_AD_REASON_OFFSET + 256)

static void add_alert(struct tls_text *t, const char *peer, uint8_t alert)
{
    const char *meaning = tls_alert_meaning(alert);

    tls_text_add(t, "%s sent alert %s (%u)", peer, tls_alert_name(alert), alert);
    if (meaning != NULL)
        tls_text_add(t, ": %s", meaning);
}

static void add_worded(struct tls_text *t, const char *peer, const char *text)
{
    const char *at;

    while ((at = strchr(text, '@')) != NULL) {
        tls_text_add(t, "%.*s%s", (int)(at - text), text, peer);
        text = at + 1;
    }
    tls_text_add(t, "%s", text);
}

static bool add_plain(struct tls_text *t, const char *peer, unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    if (reason == ERR_R_MALLOC_FAILURE) {
        tls_text_add(t, "out of memory");
        return true;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return false;
    if (REASON_IS_ALERT(reason)) {
        add_alert(t, peer, (uint8_t)(reason - SSL_AD_REASON_OFFSET));
        return true;
    }
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (plain[i].reason == reason) {
            add_worded(t, peer, plain[i].text);
            return true;
        }
    }
    return false;
}

static void add_raw(struct tls_text *t, unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);

    tls_text_add(t, "%s (OpenSSL error %08lX)", reason != NULL ? reason : "unnamed cause", code);
}

const char *tls_error_take(const char *peer, const char *fallback, char *out, size_t size)
{
    struct tls_text t = tls_text_begin(out, size);
    unsigned long first = ERR_peek_error(), code;
    bool told = false;

    while ((code = ERR_get_error()) != 0) {
        if (!told)
            told = add_plain(&t, peer, code);
    }
    if (!told && first != 0)
        add_raw(&t, first);
    else if (!told)
        tls_text_add(&t, "%s", fallback);
    return out;
}

int tls_error_set(struct error *e, const char *what)
{
    char cause[256];

    return error_set(e, "%s: %s", what,
                     tls_error_take("peer", "no cause given", cause, sizeof cause));
}
