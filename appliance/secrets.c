#include "appliance/secrets.h"

#include <errno.h>
#include <string.h>

#include "base/siphash.h"

int secrets_draw(struct secrets *s, struct error *e)
{
    if (siphash_random(s, sizeof *s) < 0)
        return error_set(e, "cannot draw random secrets: %s", strerror(errno));
    return 0;
}

void secrets_wipe(struct secrets *s)
{
    explicit_bzero(s, sizeof *s);
}
