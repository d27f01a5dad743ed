#include "programs/latency.h"

#define STEPS (1u << LATENCY_BITS)

static unsigned bucket_of(clock_ns value)
{
    unsigned shift;

    if (value < STEPS)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - LATENCY_BITS;
    return ((shift + 1) << LATENCY_BITS) + (unsigned)((value >> shift) - STEPS);
}

/* The largest value of a bucket. */
static clock_ns bucket_end(unsigned bucket)
{
    unsigned shift = bucket >> LATENCY_BITS;

    if (shift == 0)
        return bucket;
    shift--;
    return (((clock_ns)(bucket & (STEPS - 1)) + STEPS + 1) << shift) - 1;
}

void latency_add(struct latency *l, clock_ns value)
{
    l->bucket[bucket_of(value)]++;
    l->count++;
    l->max = value > l->max ? value : l->max;
}

void latency_merge(struct latency *to, const struct latency *from)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->bucket[i] += from->bucket[i];
    to->count += from->count;
    to->max = from->max > to->max ? from->max : to->max;
}

clock_ns latency_percentile(const struct latency *l, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)l->count), seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += l->bucket[i];
        if (seen > 0 && seen >= wanted)
            return bucket_end(i) < l->max ? bucket_end(i) : l->max;
    }
    return l->max;
}
