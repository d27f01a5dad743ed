/*
 * Time as a value. One read a round in the worker loop; everything below takes `now` as an
 * argument, so that a simulator can own time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t clock_ns; /* nanoseconds since an arbitrary start; never goes back */

#define CLOCK_US    UINT64_C(1000)
#define CLOCK_MS    UINT64_C(1000000)
#define CLOCK_SEC   UINT64_C(1000000000)
#define CLOCK_NEVER UINT64_MAX /* a deadline that does not exist */

/* Reads CLOCK_MONOTONIC. */
clock_ns clock_now(void);

#endif
