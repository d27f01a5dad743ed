/* What the web server serves: one fixed body for every path, or the regular files below a folder,
 * read once. Immutable afterwards, shared by all threads. */
#ifndef PROGRAMS_SITE_H
#define PROGRAMS_SITE_H

#include <stddef.h>

#include "base/error.h"

#define SITE_BYTES_MAX (1ul << 30) /* of all files together */

struct site;

struct site_page {
    char *path; /* "/folder/file"; NULL: of every path */
    char *body;
    size_t len;
};

struct site *site_fixed(size_t len, struct error *e);
struct site *site_load(const char *folder, struct error *e);
void site_free(struct site *s);

/* "/" is "/index.html". NULL: no such page. */
const struct site_page *site_find(const struct site *s, const char *path, size_t len);

#endif
