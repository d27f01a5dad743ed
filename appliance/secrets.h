/*
 * What a peer must not be able to guess, drawn from the kernel once a process and equal on all
 * workers: they share the sequence-number and port secrets, accept each other's session tickets,
 * and agree with the device on the hash that spreads flows. A reload keeps them, so tickets that
 * clients hold stay good.
 */
#ifndef APPLIANCE_SECRETS_H
#define APPLIANCE_SECRETS_H

#include <stdint.h>

#include "base/error.h"
#include "tls/tls.h"

struct secrets {
    uint8_t stack[16];
    uint8_t limits[16]; /* the firewall's table of sources */
    uint8_t ticket[TLS_TICKET_SECRET_LEN];
    uint8_t rss_key[40];
};

int secrets_draw(struct secrets *s, struct error *e);
void secrets_wipe(struct secrets *s);

#endif
