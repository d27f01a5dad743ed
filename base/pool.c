#include "base/pool.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define pool_poison(p, n)   __asan_poison_memory_region(p, n)
#define pool_unpoison(p, n) __asan_unpoison_memory_region(p, n)
#else
#define pool_poison(p, n)   ((void)(p), (void)(n))
#define pool_unpoison(p, n) ((void)(p), (void)(n))
#endif

#define POOL_ALIGN 64 /* a cache line: two objects never share one */

int pool_init(struct pool *p, size_t object_size, uint32_t capacity)
{
    memset(p, 0, sizeof *p);
    p->object_size = (object_size + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
    p->capacity = capacity;
    p->mapped = p->object_size * capacity;
    if (p->mapped == 0)
        return 0;
    p->base = mmap(NULL, p->mapped, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->base == MAP_FAILED) {
        p->base = NULL;
        return -1;
    }
    pool_poison(p->base, p->mapped);
    return 0;
}

void pool_fini(struct pool *p)
{
    if (p->base != NULL) {
        pool_unpoison(p->base, p->mapped);
        munmap(p->base, p->mapped);
    }
    memset(p, 0, sizeof *p);
}

void *pool_get(struct pool *p)
{
    void *object = p->free_list;

    if (object != NULL) {
        pool_unpoison(object, p->object_size);
        memcpy(&p->free_list, object, sizeof(void *));
    } else if (p->fresh < p->capacity) {
        object = p->base + (size_t)p->fresh++ * p->object_size;
        pool_unpoison(object, p->object_size);
    } else {
        return NULL;
    }
    memset(object, 0, p->object_size);
    __atomic_store_n(&p->used, p->used + 1, __ATOMIC_RELAXED);
    return object;
}

void pool_put(struct pool *p, void *object)
{
    assert((uint8_t *)object >= p->base && (uint8_t *)object < p->base + p->mapped);
    assert(p->used > 0);
    memcpy(object, &p->free_list, sizeof(void *));
    p->free_list = object;
    __atomic_store_n(&p->used, p->used - 1, __ATOMIC_RELAXED);
    pool_poison(object, p->object_size);
}
