/*
 * A capture: frames of the workers' interfaces copied into a pcapng file while it runs. One at a
 * time; bounded in frames, bytes and time.
 *
 * A worker hands frames to its lane, which never waits: where the writer is behind, frames are left
 * out of the file and counted. A worker without a lane pays one test of a pointer for a burst.
 *
 * Everything but capture_received(), capture_offered() and capture_sent() is the main thread's.
 */
#ifndef APPLIANCE_CAPTURE_CAPTURE_H
#define APPLIANCE_CAPTURE_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "stack/stack.h"

struct rte_mbuf;

#define CAPTURE_SNAPLEN_MIN   64
#define CAPTURE_SNAPLEN_MAX   65535
#define CAPTURE_FLOWS_MAX     2
#define CAPTURE_SECONDS_MAX   86400
#define CAPTURE_MEGABYTES_MAX 65536

/* Both ends of a connection, in either direction. */
struct capture_flow {
    struct ip_endpoint end[2];
};

/* What frames have to be to be captured; all zero: any. */
struct capture_filter {
    bool has_host;
    struct ip_addr host; /* source or destination, of ARP as well */
    uint16_t port;       /* of TCP or UDP, either end; 0: any */
    unsigned flow_count; /* TCP; one of them. 0: any */
    struct capture_flow flow[CAPTURE_FLOWS_MAX];
};

/* The texts are not copied: they outlive the capture. */
struct capture_config {
    const char *directory, *file; /* a name without '/'; must not exist yet */
    const char *comment;          /* for the file: what is captured */
    struct capture_filter filter;
    unsigned workers;
    const char *interface[STACK_MAX_IFACES]; /* names, by index */
    unsigned interface_count;
    uint32_t snaplen; /* bytes kept of a frame */
    uint64_t count;   /* frames; 0: no bound */
    uint64_t bytes;   /* of the file */
    clock_ns duration;
};

struct capture;
struct capture_lane;

/* Makes the file, with permissions 0600, and starts its writer. NULL with the cause. */
struct capture *capture_start(const struct capture_config *config, struct error *e);

/* What a worker writes to. */
struct capture_lane *capture_lane(struct capture *c, unsigned worker);

/* Has the writer write what it has and close the file. No worker has a lane any more. Once, then
 * capture_free(). The texts of the configuration are not needed any more. */
void capture_stop(struct capture *c);
void capture_free(struct capture *c);

enum capture_end {
    CAPTURE_RUNS,
    CAPTURE_STOPPED,
    CAPTURE_COUNT,
    CAPTURE_BYTES,
    CAPTURE_TIME,
    CAPTURE_FAILED
};

struct capture_state {
    enum capture_end end;
    uint64_t frames, bytes; /* written */
    uint64_t dropped;       /* that should be there and are not */
};

void capture_state(const struct capture *c, struct capture_state *out);

/* ---- the worker's side ---- */

/* Frames that came in by an interface. */
void capture_received(struct capture_lane *l, unsigned interface, struct rte_mbuf *const *frames,
                      unsigned count);

/* Frames that are offered to a device, at most CAPTURE_OFFER; then how many of them it took: only
 * those are captured. Two calls, as the device owns a frame once it has taken it. */
#define CAPTURE_OFFER 64
void capture_offered(struct capture_lane *l, unsigned interface, struct rte_mbuf *const *frames,
                     unsigned count);
void capture_sent(struct capture_lane *l, unsigned count);

#endif
