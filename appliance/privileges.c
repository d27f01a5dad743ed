/*
 * Theory of operation: capabilities belong to threads (capabilities(7)), and a thread inherits
 * those of the one that starts it. So the main thread drops before it starts the workers, and
 * everything that touches a peer's bytes runs without. Permitted and ambient sets are reduced as
 * well: there is no way back.
 */
#include "appliance/privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "base/log.h"

/* Kept: raw sockets and the settings of interfaces, which closing the ports restores (XDP programs
 * are detached through netlink). */
static const cap_value_t needed_later[] = {CAP_NET_RAW, CAP_NET_ADMIN};

/* Those of needed_later that the thread has. */
static cap_t reduced(cap_t have)
{
    cap_t keep = cap_init();

    for (size_t i = 0; keep != NULL && i < sizeof needed_later / sizeof needed_later[0]; i++) {
        cap_flag_value_t value = CAP_CLEAR;

        cap_get_flag(have, needed_later[i], CAP_PERMITTED, &value);
        cap_set_flag(keep, CAP_PERMITTED, 1, &needed_later[i], value);
        cap_set_flag(keep, CAP_EFFECTIVE, 1, &needed_later[i], value);
    }
    return keep;
}

int privileges_drop(struct error *e)
{
    cap_t have, keep;
    char *text;
    int result;

    if (geteuid() == 0)
        return 0;
    have = cap_get_proc();
    keep = have != NULL ? reduced(have) : NULL;
    /* Ambient capabilities go with the permitted and inheritable ones. */
    result = keep != NULL ? cap_set_proc(keep) : -1;
    if (result < 0)
        error_set(e, "cannot give up capabilities: %s", strerror(errno));
    text = result == 0 ? cap_to_text(keep, NULL) : NULL;
    if (text != NULL)
        log_debug("sluice", "capabilities from now on: %s", text);
    cap_free(text);
    cap_free(keep);
    cap_free(have);
    return result;
}

const char *privileges_hint(void)
{
    cap_t all = cap_get_proc();
    cap_flag_value_t admin = CAP_SET, raw = CAP_SET;

    if (all != NULL) {
        cap_get_flag(all, CAP_NET_ADMIN, CAP_EFFECTIVE, &admin);
        cap_get_flag(all, CAP_NET_RAW, CAP_EFFECTIVE, &raw);
        cap_free(all);
    }
    return admin == CAP_SET && raw == CAP_SET
               ? ""
               : " (neither root nor granted the capabilities of sluice(8))";
}
