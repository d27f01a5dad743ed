/*
 * Counters, declared once with their help.
 *
 * A module lists its counters as an X-macro of X(name, "help") lines and gets from it a struct of
 * 64-bit members and a table of descriptions:
 *
 *     #define ARP_COUNTERS(X) X(arp_requests_sent, "ARP requests sent") …
 *     COUNTER_STRUCT(arp_counters, ARP_COUNTERS);          in the header
 *     COUNTER_TABLE(arp_counter_table, ARP_COUNTERS);      in one .c file
 *
 * Each worker owns its structs and increments them plainly (COUNTER_INC). Another thread may read
 * them at any time through counter_read(): a member is an aligned 64-bit word that is stored whole.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

struct counter_desc {
    const char *name;
    const char *help;
};

struct counter_table {
    const struct counter_desc *desc;
    size_t count;
};

#define COUNTER_MEMBER_(name, help) uint64_t name;
#define COUNTER_DESC_(name, help)   {#name, help},

#define COUNTER_STRUCT(tag, LIST) \
    struct tag {                  \
        LIST(COUNTER_MEMBER_)     \
    }

#define COUNTER_TABLE(table, LIST)                                           \
    static const struct counter_desc table##_desc[] = {LIST(COUNTER_DESC_)}; \
    const struct counter_table table = {table##_desc, sizeof table##_desc / sizeof table##_desc[0]}

/* One writer a counter: a relaxed store keeps a concurrent reader from seeing a torn value. */
#define COUNTER_ADD(c, n) \
    __atomic_store_n(&(c), __atomic_load_n(&(c), __ATOMIC_RELAXED) + (n), __ATOMIC_RELAXED)
#define COUNTER_INC(c) COUNTER_ADD(c, 1)

/* Reads member `index` of a struct made by COUNTER_STRUCT. */
static inline uint64_t counter_read(const void *counters, size_t index)
{
    return __atomic_load_n((const uint64_t *)counters + index, __ATOMIC_RELAXED);
}

#endif
