/*
 * A list of chunks, each filled from its start. An object that does not fit into the newest chunk
 * opens another one, of the object's size where that is larger.
 *
 * Under AddressSanitizer every object is a chunk of its own, so that an access past its end is
 * seen.
 */
#include "policy/policy_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define CHUNK_SIZE ((size_t)0)
#else
#define CHUNK_SIZE ((size_t)16 << 10)
#endif

struct policy_arena_chunk {
    struct policy_arena_chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

static struct policy_arena_chunk *chunk_add(struct policy_arena *a, size_t need)
{
    size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;
    struct policy_arena_chunk *chunk;

    if (size > SIZE_MAX - sizeof *chunk)
        return NULL;
    chunk = calloc(1, sizeof *chunk + size);
    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk;
}

static void *take(struct policy_arena *a, size_t bytes)
{
    struct policy_arena_chunk *chunk = a->chunks;
    size_t start = 0;

    if (chunk != NULL)
        start = (chunk->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (chunk == NULL || start > chunk->size || bytes > chunk->size - start) {
        chunk = chunk_add(a, bytes);
        start = 0;
    }
    if (chunk == NULL)
        return NULL;
    chunk->used = start + bytes;
    return chunk->data + start;
}

void *policy_arena_alloc(struct policy_arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return take(a, bytes > 0 ? bytes : 1);
}

char *policy_arena_copy(struct policy_arena *a, const char *text, size_t len)
{
    char *copy = take(a, len + 1);

    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

void policy_arena_free(struct policy_arena *a)
{
    while (a->chunks != NULL) {
        struct policy_arena_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        free(chunk);
    }
}
