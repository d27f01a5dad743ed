/*
 * Why AF_XDP failed. The DPDK driver answers every failure with -EINVAL; so after one the same
 * steps are taken once more by hand, and the step that fails names the cause: a kernel without
 * AF_XDP, a missing capability, the limit on locked memory, a queue that another program holds.
 */
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stack/io/io_internal.h"

#define IO_XSK_CHUNK 4096
#define IO_XSK_RING  16
#define IO_XSK_TRIES 10

static int io_xsk_bind(int fd, const char *netdev, unsigned queue)
{
    struct sockaddr_xdp addr = {.sxdp_family = AF_XDP,
                                .sxdp_flags = XDP_COPY,
                                .sxdp_ifindex = if_nametoindex(netdev),
                                .sxdp_queue_id = queue};
    struct timespec pause = {0, 20000000};

    for (unsigned tries = 0; tries < IO_XSK_TRIES; tries++) {
        if (bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
            return 0;
        /* The kernel frees a queue some time after its socket was closed, which ours just was. */
        if (errno != EBUSY)
            break;
        nanosleep(&pause, NULL);
    }
    return -1;
}

static int io_xsk_set(int fd, int option, const void *value, socklen_t len)
{
    return setsockopt(fd, SOL_XDP, option, value, len);
}

static enum io_xsk_verdict io_xsk_try(int fd, void *memory, size_t bytes, const char *netdev,
                                      unsigned queue, struct error *e)
{
    struct xdp_umem_reg umem = {
        .addr = (uintptr_t)memory, .len = bytes, .chunk_size = IO_XSK_CHUNK};
    int size = IO_XSK_RING;

    if (io_xsk_set(fd, XDP_UMEM_REG, &umem, sizeof umem) != 0) {
        error_set(
            e,
            "%zu MiB of memory cannot be locked (%s); raise the limit (LimitMEMLOCK=, ulimit -l)",
            (bytes >> 20) + 1, strerror(errno));
        return IO_XSK_IMPOSSIBLE;
    }
    if (io_xsk_set(fd, XDP_UMEM_FILL_RING, &size, sizeof size) != 0 ||
        io_xsk_set(fd, XDP_UMEM_COMPLETION_RING, &size, sizeof size) != 0 ||
        io_xsk_set(fd, XDP_RX_RING, &size, sizeof size) != 0) {
        error_set(e, "no memory for its rings (%s)", strerror(errno));
        return IO_XSK_IMPOSSIBLE;
    }
    if (io_xsk_bind(fd, netdev, queue) == 0)
        return IO_XSK_POSSIBLE;
    if (errno == EBUSY) {
        error_set(e, "another program receives on it through AF_XDP (queue %u)", queue);
        return IO_XSK_TAKEN;
    }
    error_set(e, "queue %u cannot be bound (%s)", queue, strerror(errno));
    return IO_XSK_IMPOSSIBLE;
}

enum io_xsk_verdict io_xsk_probe(const char *netdev, unsigned queue, size_t bytes, struct error *e)
{
    enum io_xsk_verdict verdict = IO_XSK_IMPOSSIBLE;
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    void *memory;

    bytes = RTE_ALIGN_CEIL(bytes, IO_XSK_CHUNK);
    if (fd < 0) {
        error_set(e, errno == EPERM ? "CAP_NET_RAW is missing (%s)" : "the kernel has none (%s)",
                  strerror(errno));
        return IO_XSK_IMPOSSIBLE;
    }
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        verdict = io_xsk_try(fd, memory, bytes, netdev, queue, e);
        munmap(memory, bytes);
    } else {
        error_set(e, "no memory (%s)", strerror(errno));
    }
    close(fd);
    return verdict;
}
