/*
 * AF_XDP by hand, for two questions that the DPDK driver leaves open.
 *
 * Why did it fail? The driver answers every failure with -EINVAL; so after one the same steps are
 * taken once more, and the step that fails names the cause: a kernel without AF_XDP, a missing
 * capability, the limit on locked memory, a queue that another program holds.
 *
 * Is the interface another program's? That must be known before the driver tries: when it gives up
 * it detaches whatever XDP program is there. A program that nobody uses is what a killed process
 * left behind; it is taken over.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "stack/io/io_internal.h"

#define IO_XSK_CHUNK 4096
#define IO_XSK_RING  16
#define IO_XSK_TRIES 50

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

/* Loads the least of programs: r0 = XDP_PASS; exit. */
static int io_xsk_load_program(void)
{
    const struct bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP,
                           .insn_cnt = sizeof code / sizeof code[0],
                           .insns = (uintptr_t)code,
                           .license = (uintptr_t) "BSD"};
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);

    if (fd < 0)
        return -1;
    close(fd);
    return 0;
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
    if (io_xsk_bind(fd, netdev, queue) == 0) {
        if (io_xsk_load_program() == 0)
            return IO_XSK_POSSIBLE;
        error_set(e, "no XDP program can be loaded (%s); CAP_BPF and CAP_NET_ADMIN are needed",
                  strerror(errno));
        return IO_XSK_IMPOSSIBLE;
    }
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

/* 0 when there is none. From the library that came with the driver, which asks by rtnetlink. */
static uint32_t io_xsk_program(const char *netdev)
{
    int (*query)(int ifindex, int flags, uint32_t *id);
    void *lib = dlopen("libbpf.so.1", RTLD_LAZY | RTLD_NOLOAD);
    uint32_t id = 0;

    if (lib == NULL)
        return 0;
    *(void **)&query = dlsym(lib, "bpf_xdp_query_id");
    if (query == NULL || query((int)if_nametoindex(netdev), 0, &id) != 0)
        id = 0;
    dlclose(lib);
    return id;
}

int io_xsk_check_free(const char *netdev, unsigned queues, struct error *e)
{
    struct timespec release = {0, 100000000};

    if (io_xsk_program(netdev) == 0)
        return 0;
    for (unsigned q = 0; q < queues; q++) {
        struct error cause = {.set = false};

        if (io_xsk_probe(netdev, q, IO_XSK_CHUNK, &cause) == IO_XSK_TAKEN)
            return error_set(e, "%s", cause.text);
    }
    /* The sockets that just tried must be gone before the driver tries. */
    nanosleep(&release, NULL);
    return 0;
}
