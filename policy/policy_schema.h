/*
 * What may be written: types and keys as tables (policy_keys.c). Reading a document, checking it
 * and printing the reference of all keys are walks over the same tables, so they cannot disagree.
 */
#ifndef POLICY_POLICY_SCHEMA_H
#define POLICY_POLICY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy_reader.h"

struct policy_type;

/* Reads one value. Reports what is wrong with it, leaving *out as it was. */
typedef void policy_read(struct policy_reader *r, const struct policy_type *type,
                         const struct policy_node *n, void *out);

/* Prepares an entry of a list or section, or a mapping held by pointer, before its keys are read.
 */
typedef void policy_begin(void *out, const struct policy_node *n, unsigned index);

/* Checks what only a mapping as a whole can tell, after its keys were read. */
typedef void policy_finish(struct policy_reader *r, const struct policy_node *n, void *out);

enum policy_kind {
    POLICY_KIND_SCALAR,  /* one value, by `read` */
    POLICY_KIND_LIST,    /* values of `element`; in C a pointer and a count */
    POLICY_KIND_SECTION, /* the same, each under a name of the user's choice */
    POLICY_KIND_MAP,     /* `keys`; in C a struct */
};

struct policy_choice {
    const char *name; /* NULL ends a list of choices */
    int value;
};

struct policy_type {
    enum policy_kind kind;
    const char *name;     /* in the reference */
    const char *expected; /* completes "expected …" */
    size_t size;          /* of the C value; of a list or section: of its element */
    policy_read *read; /* scalars; a list that has one is read by it as a whole; a mapping that has
                          one may be written as one value */
    policy_begin *begin;
    policy_finish *finish;

    /* scalars, as their `read` needs them */
    uint64_t min, max;
    const char *range; /* min and max in words */
    const struct policy_choice *choices;
    enum policy_section section; /* a reference: where the name is defined */

    /* lists and sections */
    const struct policy_type *element;
    unsigned count_max;
    const char *empty;           /* why there must be an entry; NULL: none is needed */
    bool single;                 /* one value may stand for a list of one */
    bool unique;                 /* equal values are an error; their text must be canonical */
    enum policy_section defines; /* a section: what its names can be referred to as */

    /* mappings */
    const struct policy_key *keys; /* read in this order; a NULL name ends them */
};

struct policy_key {
    const char *name;
    const struct policy_type *type;
    size_t offset;       /* of the value in the struct; of a list: of its pointer */
    size_t count_offset; /* lists and sections */
    bool required;
    bool by_pointer;      /* a mapping: the struct has a pointer, NULL when the key is missing */
    const char *fallback; /* the default, as one would write it */
    const char *help;     /* one sentence for the reference */
};

extern const struct policy_type policy_type_file; /* the whole file, into a struct policy */

/* Reads a value of any type. `count` is for lists and sections. `n` may be NULL for a mapping: only
 * its defaults are then set. */
void policy_schema_read(struct policy_reader *r, const struct policy_type *type,
                        const struct policy_node *n, void *out, unsigned *count);

/* Reports "expected …, found …". */
void policy_schema_mismatch(struct policy_reader *r, const struct policy_type *type,
                            const struct policy_node *n);

#endif
