/*
 * Theory of operation: each worker has a ring of its own (capture_ring.c), into which it copies the
 * frames that the filter lets through; a thread takes them out, the oldest of all rings first, and
 * writes. The thread looks every few milliseconds while there is nothing: it costs little, and no
 * worker ever has to wake it.
 *
 * What is sent is copied before the device has taken it, for afterwards the frame is the device's;
 * what the device refuses is taken back, as it will be offered again.
 *
 * At the end the writer says so and takes no more; workers stop copying at once, and the main
 * thread takes their lanes away when it gets to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "appliance/capture/capture_internal.h"

#define POLL_INTERVAL (5 * CLOCK_MS)
#define VLAN_TAG      4

struct capture {
    struct capture_config config;
    FILE *out;
    pthread_t thread;
    clock_ns to_wall; /* what the monotonic clock is behind */
    clock_ns deadline;
    struct capture_lane *lane;
    atomic_bool stop; /* by the main thread */
    atomic_int end;   /* enum capture_end, by the writer */
    _Atomic uint64_t frames, bytes;
};

/* ---- the worker's side ---- */

/* Copies a frame as it was on the wire: with the tag that a driver took out. */
static void copy_frame(const struct rte_mbuf *m, bool tagged, uint32_t len, uint8_t *out)
{
    uint32_t addresses = RTE_MIN(len, 12u), at = addresses;
    uint8_t tag[VLAN_TAG] = {0x81, 0x00, (uint8_t)(m->vlan_tci >> 8), (uint8_t)m->vlan_tci};
    const void *from = rte_pktmbuf_read(m, 0, addresses, out);

    if (from != out)
        memcpy(out, from, addresses);
    if (tagged) {
        memcpy(out + at, tag, sizeof tag);
        at += VLAN_TAG;
    }
    if (len <= at)
        return;
    from = rte_pktmbuf_read(m, addresses, len - at, out + at);
    if (from != out + at)
        memcpy(out + at, from, len - at);
}

static void take(struct capture_lane *l, unsigned interface, const struct rte_mbuf *m,
                 bool outgoing, clock_ns at)
{
    const struct capture *c = l->capture;
    bool tagged = !outgoing && (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
    uint32_t length = m->pkt_len + (tagged ? VLAN_TAG : 0);
    uint32_t captured = RTE_MIN(length, c->config.snaplen);
    struct capture_record *record;

    if (length == 0 || !capture_filter_match(&c->config.filter, m))
        return;
    record = capture_ring_reserve(&l->ring, captured);
    if (record == NULL) {
        __atomic_store_n(&l->dropped, l->dropped + 1, __ATOMIC_RELAXED);
        return;
    }
    record->length = length;
    record->interface = (uint16_t)interface;
    record->outgoing = outgoing;
    record->at = at;
    copy_frame(m, tagged, captured, (uint8_t *)(record + 1));
}

static bool is_over(const struct capture_lane *l)
{
    return atomic_load_explicit(&l->capture->end, memory_order_relaxed) != CAPTURE_RUNS;
}

void capture_received(struct capture_lane *l, unsigned interface, struct rte_mbuf *const *frames,
                      unsigned count)
{
    clock_ns at = clock_now() + l->capture->to_wall;

    if (is_over(l))
        return;
    for (unsigned i = 0; i < count; i++)
        take(l, interface, frames[i], false, at);
    capture_ring_commit(&l->ring, l->ring.next);
}

void capture_offered(struct capture_lane *l, unsigned interface, struct rte_mbuf *const *frames,
                     unsigned count)
{
    clock_ns at = clock_now() + l->capture->to_wall;

    l->offered = is_over(l) ? 0 : count;
    for (unsigned i = 0; i < l->offered; i++) {
        take(l, interface, frames[i], true, at);
        l->offer[i] = l->ring.next;
    }
}

void capture_sent(struct capture_lane *l, unsigned count)
{
    uint64_t begin = atomic_load_explicit(&l->ring.head, memory_order_relaxed);

    if (l->offered > 0)
        capture_ring_commit(&l->ring, count > 0 ? l->offer[count - 1] : begin);
}

/* ---- the writer ---- */

static uint64_t dropped_of(const struct capture *c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < c->config.workers; i++)
        sum += __atomic_load_n(&c->lane[i].dropped, __ATOMIC_RELAXED);
    return sum;
}

/* The lane with the oldest frame of all; NULL: there is none. */
static struct capture_lane *oldest(struct capture *c, const struct capture_record **record)
{
    struct capture_lane *found = NULL;

    for (unsigned i = 0; i < c->config.workers; i++) {
        const struct capture_record *r = capture_ring_peek(&c->lane[i].ring);

        if (r == NULL || (found != NULL && r->at >= (*record)->at))
            continue;
        found = &c->lane[i];
        *record = r;
    }
    return found;
}

static enum capture_end write_one(struct capture *c, const struct capture_record *record)
{
    size_t len = capture_pcapng_frame(c->out, record);
    uint64_t frames = c->frames + 1, bytes = c->bytes + len;

    if (len == 0)
        return CAPTURE_FAILED;
    c->frames = frames;
    c->bytes = bytes;
    if (c->config.count != 0 && frames >= c->config.count)
        return CAPTURE_COUNT;
    return bytes + c->config.snaplen > c->config.bytes ? CAPTURE_BYTES : CAPTURE_RUNS;
}

static enum capture_end drain(struct capture *c)
{
    const struct capture_record *record = NULL;
    enum capture_end end = CAPTURE_RUNS;
    struct capture_lane *lane;

    while (end == CAPTURE_RUNS && (lane = oldest(c, &record)) != NULL) {
        if (record->at >= c->to_wall + c->deadline)
            return CAPTURE_TIME; /* where workers are faster than the file, there is no last one */
        end = write_one(c, record);
        capture_ring_release(&lane->ring, record);
    }
    return end;
}

static enum capture_end write_round(struct capture *c)
{
    const struct timespec pause = {.tv_nsec = POLL_INTERVAL};
    bool stop = atomic_load(&c->stop);
    enum capture_end end = drain(c);

    if (end != CAPTURE_RUNS)
        return end;
    if (fflush(c->out) != 0)
        return CAPTURE_FAILED;
    if (stop)
        return CAPTURE_STOPPED;
    if (clock_now() >= c->deadline)
        return CAPTURE_TIME;
    nanosleep(&pause, NULL);
    return CAPTURE_RUNS;
}

static void *writer(void *arg)
{
    struct capture *c = arg;
    enum capture_end end = CAPTURE_RUNS;

    pthread_setname_np(pthread_self(), "capture");
    while (end == CAPTURE_RUNS)
        end = write_round(c);
    c->bytes += capture_pcapng_end(c->out, &c->config, dropped_of(c));
    if (fclose(c->out) != 0)
        end = CAPTURE_FAILED;
    c->out = NULL;
    atomic_store(&c->end, (int)end);
    return NULL;
}

/* ---- the main thread's side ---- */

static int file_open(struct capture *c, struct error *e)
{
    int directory = open(c->config.directory, O_DIRECTORY | O_CLOEXEC);
    int fd = -1;

    if (directory >= 0) {
        fd = openat(directory, c->config.file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
        close(directory);
    }
    if (fd < 0)
        return error_set(e, "%s/%s: %s", c->config.directory, c->config.file, strerror(errno));
    c->out = fdopen(fd, "w");
    if (c->out == NULL) {
        close(fd);
        return error_set(e, "out of memory");
    }
    c->bytes = capture_pcapng_begin(c->out, &c->config);
    if (c->bytes != 0)
        return 0;
    return error_set(e, "%s/%s: %s", c->config.directory, c->config.file, strerror(errno));
}

static void lanes_free(struct capture *c)
{
    for (unsigned i = 0; c->lane != NULL && i < c->config.workers; i++)
        capture_ring_fini(&c->lane[i].ring);
    free(c->lane);
}

static int lanes_create(struct capture *c, struct error *e)
{
    size_t size = c->config.workers * sizeof *c->lane;

    c->lane = aligned_alloc(alignof(struct capture_lane), size);
    if (c->lane == NULL)
        return error_set(e, "out of memory");
    memset(c->lane, 0, size);
    for (unsigned i = 0; i < c->config.workers; i++) {
        c->lane[i].capture = c;
        if (capture_ring_init(&c->lane[i].ring) != 0)
            return error_set(e, "out of memory");
    }
    return 0;
}

static clock_ns wall_offset(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (clock_ns)ts.tv_sec * CLOCK_SEC + (clock_ns)ts.tv_nsec - clock_now();
}

struct capture *capture_start(const struct capture_config *config, struct error *e)
{
    struct capture *c = calloc(1, sizeof *c);
    int err = 0;

    if (c == NULL) {
        error_set(e, "out of memory");
        return NULL;
    }
    c->config = *config;
    c->to_wall = wall_offset();
    c->deadline = clock_now() + config->duration;
    if (lanes_create(c, e) == 0 && file_open(c, e) == 0) {
        err = pthread_create(&c->thread, NULL, writer, c);
        if (err == 0)
            return c;
        error_set(e, "the writer cannot be started: %s", strerror(err));
    }
    if (c->out != NULL)
        fclose(c->out);
    lanes_free(c);
    free(c);
    return NULL;
}

struct capture_lane *capture_lane(struct capture *c, unsigned worker)
{
    return &c->lane[worker];
}

void capture_stop(struct capture *c)
{
    atomic_store(&c->stop, true);
    pthread_join(c->thread, NULL);
}

void capture_free(struct capture *c)
{
    lanes_free(c);
    free(c);
}

void capture_state(const struct capture *c, struct capture_state *out)
{
    out->end = (enum capture_end)atomic_load(&c->end);
    out->frames = c->frames;
    out->bytes = c->bytes;
    out->dropped = dropped_of(c);
}
