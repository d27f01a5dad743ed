#include "appliance/notify.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>

void notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
    /* MONOTONIC_USEC is for Type=notify-reload (systemd 253 and later). */
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading the configuration",
               (unsigned long long)(clock_now() / CLOCK_US));
}

void notify_stopping(const char *status)
{
    sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status);
}

clock_ns notify_watchdog_time(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec * CLOCK_US : CLOCK_NEVER;
}

void notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}
