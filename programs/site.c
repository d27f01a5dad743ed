#include "programs/site.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct site {
    struct site_page *page; /* sorted by path */
    size_t count, bytes;
};

static int out_of_memory(struct error *e)
{
    return error_set(e, "out of memory");
}

/* Room for another page; NULL: no memory. */
static struct site_page *page_add(struct site *s)
{
    struct site_page *more = reallocarray(s->page, s->count + 1, sizeof *more);

    if (more == NULL)
        return NULL;
    s->page = more;
    more[s->count] = (struct site_page){0};
    return &more[s->count++];
}

struct site *site_fixed(size_t len, struct error *e)
{
    struct site *s = calloc(1, sizeof *s);
    struct site_page *p = s != NULL ? page_add(s) : NULL;

    if (p != NULL)
        p->body = malloc(len + 1);
    if (p == NULL || p->body == NULL) {
        out_of_memory(e);
        site_free(s);
        return NULL;
    }
    p->len = len;
    for (size_t i = 0; i < len; i++)
        p->body[i] = (char)('a' + i % 26);
    return s;
}

static int read_body(struct site_page *p, const char *name, size_t len, struct error *e)
{
    FILE *f = fopen(name, "re");

    p->body = malloc(len + 1);
    p->len = len;
    if (f == NULL || p->body == NULL || fread(p->body, 1, len, f) != len) {
        error_set(e, "%s: %s", name, f != NULL ? "cannot be read" : strerror(errno));
        if (f != NULL)
            fclose(f);
        return -1;
    }
    fclose(f);
    return 0;
}

static int load_file(struct site *s, const FTSENT *f, size_t root_len, struct error *e)
{
    size_t len = (size_t)f->fts_statp->st_size;
    struct site_page *p;

    s->bytes += len;
    if (s->bytes > SITE_BYTES_MAX)
        return error_set(e, "the files are more than %lu bytes", SITE_BYTES_MAX);
    p = page_add(s);
    if (p == NULL)
        return out_of_memory(e);
    p->path = strdup(f->fts_path + root_len);
    if (p->path == NULL)
        return out_of_memory(e);
    return read_body(p, f->fts_accpath, len, e);
}

static int load_tree(struct site *s, FTS *tree, size_t root_len, struct error *e)
{
    FTSENT *f;

    while ((f = fts_read(tree)) != NULL) {
        if (f->fts_info == FTS_F && load_file(s, f, root_len, e) < 0)
            return -1;
        if (f->fts_info == FTS_ERR || f->fts_info == FTS_DNR || f->fts_info == FTS_NS)
            return error_set(e, "%s: %s", f->fts_path, strerror(f->fts_errno));
    }
    return s->count > 0 ? 0 : error_set(e, "there is no file");
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct site_page *)a)->path, ((const struct site_page *)b)->path);
}

struct site *site_load(const char *folder, struct error *e)
{
    char *root = strdup(folder);
    size_t len = strlen(folder);
    char *const roots[] = {root, NULL};
    struct site *s = calloc(1, sizeof *s);
    int result = -1;
    FTS *tree;

    while (root != NULL && len > 1 && root[len - 1] == '/')
        root[--len] = '\0';
    tree = root != NULL ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    if (s == NULL || tree == NULL)
        error_set(e, "%s", strerror(errno));
    else
        result = load_tree(s, tree, len, e);
    if (tree != NULL)
        fts_close(tree);
    free(root);
    if (result < 0) {
        site_free(s);
        return NULL;
    }
    if (s->count > 0)
        qsort(s->page, s->count, sizeof *s->page, by_path);
    return s;
}

void site_free(struct site *s)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        free(s->page[i].path);
        free(s->page[i].body);
    }
    if (s != NULL)
        free(s->page);
    free(s);
}

/* As strcmp() of what may hold any bytes. */
static int path_order(const char *path, size_t len, const char *known)
{
    size_t known_len = strlen(known);
    int order = memcmp(path, known, len < known_len ? len : known_len);

    return order != 0 ? order : (len > known_len) - (len < known_len);
}

const struct site_page *site_find(const struct site *s, const char *path, size_t len)
{
    size_t low = 0, high = s->count;

    if (s->page[0].path == NULL)
        return &s->page[0];
    if (len == 1) {
        path = "/index.html";
        len = strlen(path);
    }
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct site_page *p = &s->page[mid];
        int order = path_order(path, len, p->path);

        if (order == 0)
            return p;
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
