#include "policy/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a pipe";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

static int check_kind(const struct stat *st, struct error *e)
{
    if (S_ISREG(st->st_mode))
        return 0;
    return error_set(e, "cannot be read: it is %s, expected a file", kind_of(st->st_mode));
}

int policy_file_open(const char *path, struct error *e)
{
    struct stat st;
    int fd;

    /* Looked at before it is opened, as that alone does something to some devices. */
    if (stat(path, &st) < 0)
        return error_set(e, "cannot be opened: %s", strerror(errno));
    if (check_kind(&st, e) < 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set(e, "cannot be opened: %s", strerror(errno));
    if (fstat(fd, &st) < 0)
        error_set(e, "cannot be read: %s", strerror(errno));
    else if (check_kind(&st, e) == 0)
        return fd;
    close(fd);
    return -1;
}
