/*
 * A long, lossy path between two interfaces: what arrives on one leaves by the other, after a
 * bottleneck with a bounded queue and a delay; some of it is lost or overtaken. All chance comes
 * from one seed.
 *
 *     relay LEFT RIGHT [--rate MBIT] [--queue BYTES] [--delay MS] [--loss PERCENT]
 *                      [--reorder PERCENT] [--seed N]
 *
 * Rate, queue and delay hold for both directions, each with its own queue; loss and reordering for
 * frames from left to right that carry data: what is compared sends that way, and a SYN that is
 * lost would decide a short measurement all by itself. --delay is one way's. Runs until SIGTERM and
 * then tells what it has done, and how late it was itself.
 *
 * Theory of operation: frames are read from rings shared with the kernel, with the time at which
 * they came. When each is to leave follows from that time alone: the bottleneck is an account of
 * when it will have sent everything that it has taken. So a relay that wakes up late shifts nothing
 * as long as it is not later than the delay, and the queue holds what it would hold in a real
 * router. Frames on their way wait in a heap ordered by the time of leaving.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOT_SIZE   2048
#define RING_FRAMES 8192
#define RING_BLOCK  (1u << 16)
#define SLOTS       32768 /* frames on their way: 200 ms of 2 Gb/s */
#define DATA_FRAME  100   /* smaller ones carry no data to speak of */
#define PRIORITY    20
#define SECOND      INT64_C(1000000000)

struct path {
    double rate; /* bits a nanosecond; 0: no bound */
    int64_t queue, delay;
    double loss, reorder; /* 0 to 1 */
};

struct side {
    const char *name;
    int fd;
    uint8_t *ring;
    unsigned next;      /* frame of the ring to be read next */
    int64_t busy_until; /* the bottleneck away from here */
    struct sockaddr_ll to;
    uint64_t frames, bytes, lost, overflown, reordered, unsent;
    uint32_t dropped_by_kernel;
};

struct transit {
    int64_t at;
    uint64_t order;
    uint32_t slot, len;
    struct side *out;
};

struct relay {
    struct path path;
    struct side side[2];
    struct transit heap[SLOTS];
    uint32_t count;
    uint32_t free_slot[SLOTS], free_count;
    uint64_t order, random;
    uint64_t released, late_count;
    int64_t late_sum, late_max;
    uint8_t (*slot)[SLOT_SIZE];
};

static volatile sig_atomic_t stopping;

static void fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The clock of the kernel's time stamps. */
static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* splitmix64 */
static bool chance(struct relay *r, double probability)
{
    uint64_t z = (r->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53 < probability;
}

/* ---- frames on their way ---- */

static bool earlier(const struct transit *a, const struct transit *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct relay *r, struct transit t)
{
    uint32_t i = r->count++;

    for (; i > 0 && earlier(&t, &r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = t;
}

static struct transit heap_pop(struct relay *r)
{
    struct transit top = r->heap[0], last = r->heap[--r->count];
    uint32_t i = 0;

    for (uint32_t child = 1; child < r->count; child = 2 * i + 1) {
        if (child + 1 < r->count && earlier(&r->heap[child + 1], &r->heap[child]))
            child++;
        if (!earlier(&r->heap[child], &last))
            break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return top;
}

/* ---- arrival ---- */

/* When the frame has passed the bottleneck; -1: its queue was full. */
static int64_t bottleneck(const struct path *p, struct side *in, int64_t at, uint32_t len)
{
    int64_t start = in->busy_until > at ? in->busy_until : at;

    if (p->rate == 0)
        return at;
    if ((double)(start - at) * p->rate / 8 + len > (double)p->queue)
        return -1;
    in->busy_until = start + (int64_t)(len * 8 / p->rate);
    return in->busy_until;
}

static void arrive(struct relay *r, struct side *in, const uint8_t *frame, uint32_t len, int64_t at)
{
    bool chancy = in == &r->side[0] && len >= DATA_FRAME;
    struct transit t = {.order = r->order++, .len = len, .out = &r->side[in == &r->side[0]]};

    in->frames++;
    in->bytes += len;
    t.at = bottleneck(&r->path, in, at, len);
    if (t.at < 0 || r->free_count == 0) {
        in->overflown++;
        return;
    }
    if (chancy && chance(r, r->path.loss)) {
        in->lost++;
        return;
    }
    t.at += r->path.delay;
    if (chancy && chance(r, r->path.reorder)) {
        t.at += r->path.delay / 4;
        in->reordered++;
    }
    t.slot = r->free_slot[--r->free_count];
    memcpy(r->slot[t.slot], frame, len);
    heap_push(r, t);
}

static bool receive(struct relay *r, struct side *s)
{
    struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)(s->ring + (size_t)s->next * SLOT_SIZE);

    if ((__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
        return false;
    if (h->tp_snaplen <= SLOT_SIZE)
        arrive(r, s, (const uint8_t *)h + h->tp_mac, h->tp_snaplen,
               h->tp_sec * SECOND + h->tp_nsec);
    __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    s->next = (s->next + 1) % RING_FRAMES;
    return true;
}

/* ---- departure ---- */

static void release(struct relay *r, int64_t now)
{
    while (r->count > 0 && r->heap[0].at <= now) {
        struct transit t = heap_pop(r);
        int64_t late = now_ns() - t.at;

        if (sendto(t.out->fd, r->slot[t.slot], t.len, 0, (const struct sockaddr *)&t.out->to,
                   sizeof t.out->to) < 0)
            t.out->unsent++;
        r->free_slot[r->free_count++] = t.slot;
        r->released++;
        r->late_sum += late;
        r->late_count += late > SECOND / 1000;
        r->late_max = late > r->late_max ? late : r->late_max;
    }
}

static void rest(struct relay *r)
{
    struct pollfd p[2] = {{.fd = r->side[0].fd, .events = POLLIN},
                          {.fd = r->side[1].fd, .events = POLLIN}};
    int64_t wait = r->count > 0 ? r->heap[0].at - now_ns() : SECOND / 10;
    struct timespec t = {.tv_nsec = wait > SECOND / 10 ? SECOND / 10 : wait};

    if (wait > 0)
        ppoll(p, 2, &t, NULL);
}

/* ---- set-up ---- */

static void side_open(struct side *s, const char *name)
{
    struct tpacket_req req = {.tp_block_size = RING_BLOCK,
                              .tp_block_nr = RING_FRAMES / (RING_BLOCK / SLOT_SIZE),
                              .tp_frame_size = SLOT_SIZE,
                              .tp_frame_nr = RING_FRAMES};
    int version = TPACKET_V2, on = 1, buffer = 16 << 20;

    s->name = name;
    s->to = (struct sockaddr_ll){.sll_family = AF_PACKET,
                                 .sll_protocol = htons(ETH_P_ALL),
                                 .sll_ifindex = (int)if_nametoindex(name)};
    if (s->to.sll_ifindex == 0)
        fail(name);
    s->fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (s->fd < 0 || setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof req) < 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0 ||
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) < 0)
        fail(name);
    s->ring = mmap(NULL, (size_t)RING_FRAMES * SLOT_SIZE, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_POPULATE, s->fd, 0);
    if (s->ring == MAP_FAILED || bind(s->fd, (const struct sockaddr *)&s->to, sizeof s->to) < 0)
        fail(name);
}

static void set_up(struct relay *r, const char *left, const char *right)
{
    struct sched_param priority = {.sched_priority = PRIORITY};

    r->slot = calloc(SLOTS, SLOT_SIZE);
    if (r->slot == NULL)
        fail("memory");
    for (uint32_t i = 0; i < SLOTS; i++)
        r->free_slot[r->free_count++] = i;
    side_open(&r->side[0], left);
    side_open(&r->side[1], right);
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
        fprintf(stderr, "relay: without real-time priority: %s\n", strerror(errno));
}

static void report(struct relay *r)
{
    for (unsigned i = 0; i < 2; i++) {
        struct side *s = &r->side[i];
        struct tpacket_stats stats = {0};
        socklen_t len = sizeof stats;

        getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
        printf("from %s: %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " lost, %" PRIu64
               " overflown, %" PRIu64 " reordered, %u missed, %" PRIu64 " unsent\n",
               s->name, s->frames, s->bytes, s->lost, s->overflown, s->reordered, stats.tp_drops,
               s->unsent);
    }
    printf("late: mean %.0f us, most %.0f us, %.3f %% more than 1 ms\n",
           r->released > 0 ? (double)r->late_sum / (double)r->released / 1e3 : 0,
           (double)r->late_max / 1e3,
           r->released > 0 ? 100.0 * (double)r->late_count / (double)r->released : 0);
    fflush(stdout);
}

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static bool option(struct relay *r, const char *name, const char *text)
{
    double value = strtod(text, NULL);

    if (strcmp(name, "--rate") == 0)
        r->path.rate = value / 1e3;
    else if (strcmp(name, "--queue") == 0)
        r->path.queue = (int64_t)value;
    else if (strcmp(name, "--delay") == 0)
        r->path.delay = (int64_t)(value * 1e6);
    else if (strcmp(name, "--loss") == 0)
        r->path.loss = value / 100;
    else if (strcmp(name, "--reorder") == 0)
        r->path.reorder = value / 100;
    else if (strcmp(name, "--seed") == 0)
        r->random = (uint64_t)value;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    static struct relay r = {.path.queue = 1 << 20};
    struct sigaction action = {.sa_handler = stop};

    for (int i = 3; i < argc; i += 2) {
        if (i + 1 == argc || !option(&r, argv[i], argv[i + 1]))
            argc = 0;
    }
    if (argc < 3) {
        fprintf(stderr, "usage: relay LEFT RIGHT [--rate MBIT] [--queue BYTES] [--delay MS]\n"
                        "             [--loss PERCENT] [--reorder PERCENT] [--seed N]\n");
        return 2;
    }
    set_up(&r, argv[1], argv[2]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    printf("relaying\n");
    fflush(stdout);
    while (!stopping) {
        bool busy = false;

        for (unsigned i = 0; i < 2; i++) {
            for (unsigned n = 0; n < 64 && receive(&r, &r.side[i]); n++)
                busy = true;
        }
        release(&r, now_ns());
        if (!busy)
            rest(&r);
    }
    report(&r);
    return 0;
}
