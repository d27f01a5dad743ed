/* Maglev's table against the paper's algorithm, its balance, and what moves when a server goes. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "proxy/proxy_maglev.h"

#define SERVERS_MAX 64

struct pool {
    struct policy_server servers[SERVERS_MAX];
    struct policy_backend backend;
};

static uint64_t seed = 88172645463325252u;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

static void pool_init(struct pool *p, unsigned count, unsigned weight_max)
{
    *p = (struct pool){.backend = {.name = "web", .servers = p->servers, .server_count = count}};
    for (unsigned i = 0; i < count; i++) {
        struct policy_server *s = &p->servers[i];

        s->endpoint.addr = ip_from_v4(0x0a000000u + i + 1);
        s->endpoint.port = (uint16_t)(1 + pick(65535));
        s->weight = (uint16_t)(1 + pick(weight_max));
    }
}

static struct proxy_maglev *make(const struct pool *p)
{
    struct error e = {0};
    struct proxy_maglev *m = proxy_maglev_create(&p->backend, &e);

    assert_non_null(m);
    return m;
}

static uint64_t hash(const struct policy_server *s, uint64_t which)
{
    const struct siphash_key key = {which, 0};
    uint8_t bytes[18];

    memcpy(bytes, s->endpoint.addr.b, 16);
    bytes[16] = (uint8_t)(s->endpoint.port / 256);
    bytes[17] = (uint8_t)(s->endpoint.port % 256);
    return siphash(bytes, 18, &key);
}

/* The paper's pseudo code, with whole permutations; every server has the same weight. */
static void naive_populate(const struct pool *p, unsigned *entry, unsigned size)
{
    unsigned count = p->backend.server_count, *order = calloc(count, sizeof *order);
    unsigned *next = calloc(count, sizeof *next), filled = 0;

    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = i + 1; k < count; k++) {
            if (hash(&p->servers[order[k]], 1) < hash(&p->servers[order[i]], 1)) {
                unsigned swap = order[i];

                order[i] = order[k];
                order[k] = swap;
            }
        }
    }
    for (unsigned i = 0; i < size; i++)
        entry[i] = UINT32_MAX;
    while (filled < size) {
        for (unsigned n = 0; n < count && filled < size; n++) {
            const struct policy_server *s = &p->servers[order[n]];
            uint64_t offset = hash(s, 2) % size, skip = hash(s, 3) % (size - 1) + 1, c;

            do
                c = (offset + next[n]++ * skip) % size;
            while (entry[c] != UINT32_MAX);
            entry[c] = order[n];
            filled++;
        }
    }
    free(order);
    free(next);
}

static void table_is_that_of_the_paper(void **state)
{
    unsigned *entry = calloc(PROXY_MAGLEV_SLOTS, sizeof *entry);

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        struct pool p;
        struct proxy_maglev *m;

        pool_init(&p, 1 + pick(20), 1);
        m = make(&p);
        assert_int_equal(proxy_maglev_size(m), PROXY_MAGLEV_SLOTS);
        naive_populate(&p, entry, PROXY_MAGLEV_SLOTS);
        for (unsigned i = 0; i < PROXY_MAGLEV_SLOTS; i++)
            assert_int_equal(proxy_maglev_server(m, i), entry[i]);
        proxy_maglev_free(m);
    }
    free(entry);
}

static void slots_are_in_proportion_to_the_weights(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        unsigned counts[SERVERS_MAX] = {0}, total = 0, size;
        struct pool p;
        struct proxy_maglev *m;

        pool_init(&p, 1 + pick(SERVERS_MAX), 1 + pick(256));
        m = make(&p);
        size = proxy_maglev_size(m);
        for (unsigned i = 0; i < size; i++)
            counts[proxy_maglev_server(m, i)]++;
        for (unsigned i = 0; i < p.backend.server_count; i++)
            total += p.servers[i].weight;
        assert_int_equal(size, total <= 655 ? PROXY_MAGLEV_SLOTS : PROXY_MAGLEV_SLOTS_LARGE);
        for (unsigned i = 0; i < p.backend.server_count; i++) {
            double fair = (double)size * p.servers[i].weight / total;

            if (counts[i] < fair - 2 || counts[i] > fair + 2)
                fail_msg("%u of %u servers: %u slots instead of %.1f", i, p.backend.server_count,
                         counts[i], fair);
        }
        proxy_maglev_free(m);
    }
}

static void order_of_the_servers_does_not_matter(void **state)
{
    struct pool p, reversed;
    struct proxy_maglev *a, *b;

    (void)state;
    pool_init(&p, 17, 5);
    reversed = p;
    reversed.backend.servers = reversed.servers;
    for (unsigned i = 0; i < 17; i++)
        reversed.servers[i] = p.servers[16 - i];
    a = make(&p);
    b = make(&reversed);
    for (unsigned i = 0; i < proxy_maglev_size(a); i++)
        assert_int_equal(proxy_maglev_server(a, i), 16 - proxy_maglev_server(b, i));
    proxy_maglev_free(a);
    proxy_maglev_free(b);
}

/* Slots that changed hands though their server stayed, in thousandths of all. */
static unsigned moved_needlessly(const struct pool *p, unsigned gone)
{
    struct pool less = *p;
    struct proxy_maglev *a = make(p), *b;
    unsigned size = proxy_maglev_size(a), moved = 0;

    less.backend.servers = less.servers;
    less.backend.server_count--;
    for (unsigned i = gone; i < less.backend.server_count; i++)
        less.servers[i] = p->servers[i + 1];
    b = make(&less);
    assert_int_equal(proxy_maglev_size(b), size);
    for (unsigned i = 0; i < size; i++) {
        unsigned before = proxy_maglev_server(a, i), after = proxy_maglev_server(b, i);

        after += after >= gone; /* as it was numbered before */
        moved += before != gone && after != before;
    }
    proxy_maglev_free(a);
    proxy_maglev_free(b);
    assert(size > 0);
    return moved * 1000 / size;
}

static void removal_moves_little_but_the_share_of_the_server(void **state)
{
    unsigned sum = 0;

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct pool p;
        unsigned moved;

        pool_init(&p, 3 + pick(20), 1 + pick(3));
        moved = moved_needlessly(&p, pick(p.backend.server_count));
        assert_in_range(moved, 0, 100);
        sum += moved;
    }
    assert_in_range(sum / 20, 0, 40);
}

static void probes_visit_every_slot_once(void **state)
{
    struct pool p;
    struct proxy_maglev *m;
    struct proxy_maglev_probe probe;
    struct ip_addr client = ip_from_v4(0x07643364);
    uint8_t *seen = calloc(1, PROXY_MAGLEV_SLOTS);

    (void)state;
    pool_init(&p, 3, 1);
    m = make(&p);
    proxy_maglev_probe_first(m, &client, &probe);
    for (unsigned i = 0; i < PROXY_MAGLEV_SLOTS; i++) {
        assert_true(probe.slot < PROXY_MAGLEV_SLOTS && seen[probe.slot] == 0);
        seen[probe.slot] = 1;
        proxy_maglev_probe_next(m, &probe);
    }
    free(seen);
    proxy_maglev_free(m);
}

static void clients_spread_evenly(void **state)
{
    unsigned counts[5] = {0};
    struct pool p;
    struct proxy_maglev *m;

    (void)state;
    pool_init(&p, 5, 1);
    m = make(&p);
    for (uint32_t i = 0; i < 50000; i++) { /* neighbours, as they come out of one network */
        struct ip_addr client = ip_from_v4(0xc6336400u + i);
        struct proxy_maglev_probe probe;

        proxy_maglev_probe_first(m, &client, &probe);
        counts[proxy_maglev_server(m, probe.slot)]++;
    }
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(counts[i], 9500, 10500);
    proxy_maglev_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_that_of_the_paper),
        cmocka_unit_test(slots_are_in_proportion_to_the_weights),
        cmocka_unit_test(order_of_the_servers_does_not_matter),
        cmocka_unit_test(removal_moves_little_but_the_share_of_the_server),
        cmocka_unit_test(probes_visit_every_slot_once),
        cmocka_unit_test(clients_spread_evenly),
    };

    return cmocka_run_group_tests_name("proxy_maglev", tests, NULL, NULL);
}
