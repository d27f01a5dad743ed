/*
 * What packetdrill calls past the table, and must not get from the C library. The library is
 * preloaded, too, so that these stand in front:
 *
 * - getsockopt() and close() of descriptors that are the door's;
 * - mlockall(), sched_setscheduler(): of use to a program that measures real time only, and costly;
 * - times(): it is watched for 100 ms in a loop, to begin in the middle of a tick of the kernel;
 * - dlopen() with RTLD_DEEPBIND, which AddressSanitizer refuses.
 */
#include <dlfcn.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/times.h>
#include <unistd.h>

#include "tests/packetdrill/door.h"
#include "tests/packetdrill/door_packetdrill.h"

#define PRELOAD __attribute__((visibility("default")))

PRELOAD int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len);
PRELOAD int close(int fd);
PRELOAD int mlockall(int flags);
PRELOAD int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param);
PRELOAD clock_t times(struct tms *buffer);
PRELOAD void *dlopen(const char *path, int mode);

/* The next definition of a symbol behind ours: the C library's. */
static void next_find(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof found);
}

/* Is it a descriptor of the door's, asked for by others than the door? */
static struct door *door_for(int fd)
{
    struct door *d = door_of_process;

    return d != NULL && door_owns(d, fd) ? d : NULL;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
    static int (*next)(int, int, int, void *, socklen_t *);
    struct door *d = door_for(fd);
    int result;

    if (d != NULL) {
        door_enter(d);
        result = door_getsockopt(d, fd, level, name, value, len);
        door_leave(d);
        return result;
    }
    if (next == NULL)
        next_find("getsockopt", &next);
    return next(fd, level, name, value, len);
}

int close(int fd)
{
    static int (*next)(int);
    struct door *d = door_for(fd);
    int result;

    if (d != NULL) {
        door_enter(d);
        result = door_close(d, fd);
        door_leave(d);
        return result;
    }
    if (next == NULL)
        next_find("close", &next);
    return next(fd);
}

int mlockall(int flags)
{
    (void)flags;
    return 0;
}

int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
    (void)pid;
    (void)policy;
    (void)param;
    return 0;
}

clock_t times(struct tms *buffer)
{
    static clock_t ticks;

    if (buffer != NULL)
        *buffer = (struct tms){0};
    return ++ticks;
}

void *dlopen(const char *path, int mode)
{
    static void *(*next)(const char *, int);

    if (next == NULL)
        next_find("dlopen", &next);
    return next(path, mode & ~RTLD_DEEPBIND);
}
