/*
 * Theory of operation: a process that was killed leaves its socket file behind, and bind() refuses
 * an existing file. So the file is tried first: where connect() is refused, nobody listens and the
 * file may go. The permissions are set between bind() and listen(): before listen() nobody can
 * connect, whatever the file allows.
 */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "appliance/control/control_internal.h"

#define CONTROL_BACKLOG 128

static int make_address(const char *path, struct sockaddr_un *out, struct error *e)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path)
        return error_set(e, "%s: a socket's path has at most %zu bytes", path,
                         sizeof out->sun_path - 1);
    memcpy(out->sun_path, path, strlen(path) + 1);
    return 0;
}

/* Does a process listen there? A full backlog (EAGAIN) is a yes. */
static bool answered(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool yes;

    if (fd < 0)
        return true;
    yes = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN;
    close(fd);
    return yes;
}

static int remove_stale(const char *path, const struct sockaddr_un *address, struct error *e)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set(e, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, "%s exists and is no socket", path);
    if (answered(address))
        return error_set(e, "%s: another process answers there", path);
    if (unlink(path) < 0)
        return error_set(e, "%s: cannot remove the socket of a former process: %s", path,
                         strerror(errno));
    return 0;
}

static int set_group(const char *path, const char *name, struct error *e)
{
    struct group entry, *found = NULL;
    char text[16384];
    int err;

    if (name == NULL)
        return 0;
    err = getgrnam_r(name, &entry, text, sizeof text, &found);
    if (found == NULL)
        return error_set(e, "group \"%s\": %s", name, err != 0 ? strerror(err) : "not known here");
    if (lchown(path, (uid_t)-1, found->gr_gid) < 0)
        return error_set(e, "%s: cannot give it to group \"%s\": %s", path, name, strerror(errno));
    return 0;
}

static int bind_private(int fd, const char *path, const struct sockaddr_un *address,
                        struct error *e)
{
    mode_t before = umask(0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof *address);
    int err = errno;

    umask(before);
    if (result == 0)
        return 0;
    return error_set(e, "%s: %s", path,
                     err == ENOENT ? "its directory does not exist" : strerror(err));
}

static int publish(int fd, const struct control_config *config, struct error *e)
{
    if (set_group(config->path, config->group, e) < 0)
        return -1;
    if (chmod(config->path, config->mode) < 0 || listen(fd, CONTROL_BACKLOG) < 0)
        return error_set(e, "%s: %s", config->path, strerror(errno));
    return 0;
}

int control_socket_open(const struct control_config *config, struct stat *identity, struct error *e)
{
    struct sockaddr_un address;
    int fd;

    if (make_address(config->path, &address, e) < 0 || remove_stale(config->path, &address, e) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(e, "%s: %s", config->path, strerror(errno));
    if (bind_private(fd, config->path, &address, e) < 0) {
        close(fd);
        return -1;
    }
    if (lstat(config->path, identity) < 0 || publish(fd, config, e) < 0) {
        unlink(config->path);
        close(fd);
        return error_set(e, "%s: it went away", config->path);
    }
    return fd;
}

void control_socket_remove(const char *path, const struct stat *identity)
{
    struct stat st;

    if (lstat(path, &st) == 0 && st.st_dev == identity->st_dev && st.st_ino == identity->st_ino)
        unlink(path);
}
