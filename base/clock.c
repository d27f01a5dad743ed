#include "base/clock.h"

#include <time.h>

clock_ns clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (clock_ns)ts.tv_sec * CLOCK_SEC + (clock_ns)ts.tv_nsec;
}
