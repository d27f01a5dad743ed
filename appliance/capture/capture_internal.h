/* Between the files of a capture. */
#ifndef APPLIANCE_CAPTURE_CAPTURE_INTERNAL_H
#define APPLIANCE_CAPTURE_CAPTURE_INTERNAL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>

#include "appliance/capture/capture.h"

/* ---- capture_filter.c ---- */

bool capture_filter_match(const struct capture_filter *f, const struct rte_mbuf *m);

/* ---- capture_ring.c: bytes of frames from one worker to the writer ---- */

/* A frame in the ring: this header, its bytes, room up to a multiple of 8. */
struct capture_record {
    uint32_t size;     /* of all that; the next record begins there */
    uint32_t captured; /* bytes that follow; 0: none, the ring goes on at its beginning */
    uint32_t length;   /* of the frame */
    uint16_t interface;
    bool outgoing;
    clock_ns at; /* wall clock */
};

#define CAPTURE_RING_SIZE (4u << 20) /* a power of two: 3 ms of 10 Gbit/s, 30 ms of 1 */

struct capture_ring {
    uint8_t *bytes;
    alignas(64) _Atomic uint64_t head; /* of what the writer may read */
    uint64_t next;                     /* of what the worker has written */
    alignas(64) _Atomic uint64_t tail;
};

int capture_ring_init(struct capture_ring *r);
void capture_ring_fini(struct capture_ring *r);

/* Room for a frame, whose record's size and captured are set; NULL: the ring is full. What was
 * written is the writer's after capture_ring_commit(); before, it may be taken back by setting
 * `next` to what it was. */
struct capture_record *capture_ring_reserve(struct capture_ring *r, uint32_t captured);
void capture_ring_commit(struct capture_ring *r, uint64_t next);

/* The oldest record, or NULL; and when it is done with. */
const struct capture_record *capture_ring_peek(struct capture_ring *r);
void capture_ring_release(struct capture_ring *r, const struct capture_record *record);

/* ---- capture_pcapng.c: the file (draft-ietf-opsawg-pcapng) ---- */

/* Each returns the bytes written, or 0 when the file cannot be written. */
size_t capture_pcapng_begin(FILE *out, const struct capture_config *config);
size_t capture_pcapng_frame(FILE *out, const struct capture_record *record);

/* `dropped`: frames that the file lacks. */
size_t capture_pcapng_end(FILE *out, const struct capture_config *config, uint64_t dropped);

/* ---- the whole ---- */

struct capture_lane {
    struct capture_ring ring;
    const struct capture *capture;
    unsigned offered;
    uint64_t offer[CAPTURE_OFFER]; /* where the ring ends behind each of the frames offered */
    uint64_t dropped;
};

#endif
