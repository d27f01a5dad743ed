/*
 * Files, read whole into memory: a stdio buffer would keep a copy of a key that nobody wipes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tls/tls_internal.h"

#define FILE_MAX (1024 * 1024)

void tls_file_free(struct tls_file *f)
{
    OPENSSL_clear_free(f->data, f->len);
    *f = (struct tls_file){0};
}

static int read_all(int fd, struct tls_file *f)
{
    size_t have = 0;
    ssize_t n;

    while (have < f->len && (n = read(fd, f->data + have, f->len - have)) != 0) {
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            have += (size_t)n;
    }
    return 0;
}

static int load(int fd, struct tls_file *f, const char *path, struct error *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return error_set(e, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(e, "cannot read %s: not a regular file", path);
    if (st.st_size > FILE_MAX)
        return error_set(e, "%s is larger than 1 MiB: neither a certificate nor a key", path);
    f->mode = st.st_mode;
    f->len = (size_t)st.st_size;
    f->data = OPENSSL_zalloc(f->len + 1);
    if (f->data == NULL)
        return error_set(e, "out of memory");
    if (read_all(fd, f) != 0)
        return error_set(e, "cannot read %s: %s", path, strerror(errno));
    return 0;
}

int tls_file_read(const char *path, struct tls_file *f, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    int status;

    *f = (struct tls_file){0};
    if (fd < 0)
        return error_set(e, "cannot read %s: %s", path, strerror(errno));
    status = load(fd, f, path, e);
    close(fd);
    if (status != 0)
        tls_file_free(f);
    return status;
}
