/* What the service manager is told (sd_notify(3)). Without one (NOTIFY_SOCKET unset) nothing is. */
#ifndef APPLIANCE_NOTIFY_H
#define APPLIANCE_NOTIFY_H

#include "base/clock.h"

/* `status` is a line for people: `systemctl status` shows it. */
void notify_ready(const char *status);
void notify_reloading(void); /* until the next notify_ready() */
void notify_stopping(const char *status);

/* How long the service manager waits for a sign of life before it restarts the daemon; CLOCK_NEVER
 * when it does not. */
clock_ns notify_watchdog_time(void);
void notify_alive(void);

#endif
