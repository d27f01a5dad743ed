/*
 * What the daemon may do once its ports are open. Opening them takes privileges that handling
 * packets does not: loading XDP programs needs CAP_SYS_ADMIN, since libxdp looks programs up by
 * their ids (bpf(2)), and locking packet buffers CAP_IPC_LOCK.
 */
#ifndef APPLIANCE_PRIVILEGES_H
#define APPLIANCE_PRIVILEGES_H

#include "base/error.h"

/*
 * Gives up, for the calling thread and those that it starts from now on, the capabilities that only
 * opening ports takes. To be called between opening the ports and starting the workers. Nothing
 * happens for root, whose rights do not come from capabilities alone. Returns 0 or -1.
 */
int privileges_drop(struct error *e);

/* What to add to the cause of a failed start where the rights to open ports are missing; or "". */
const char *privileges_hint(void);

#endif
