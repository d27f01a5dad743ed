#include "appliance/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

void mailbox_init(struct mailbox *b)
{
    *b = (struct mailbox){.message = {.kind = MAILBOX_START}, .awaited = true};
    sem_init(&b->acknowledged, 0, 0);
    atomic_init(&b->posted, true);
}

void mailbox_fini(struct mailbox *b)
{
    sem_destroy(&b->acknowledged);
}

void mailbox_post(struct mailbox *b, const struct mailbox_message *message)
{
    assert(!b->awaited);
    b->message = *message;
    b->awaited = true;
    atomic_store_explicit(&b->posted, true, memory_order_release);
}

int mailbox_wait(struct mailbox *b, clock_ns timeout, struct error *e)
{
    clock_ns end = clock_now() + timeout;
    struct timespec ts = {.tv_sec = (time_t)(end / CLOCK_SEC), .tv_nsec = (long)(end % CLOCK_SEC)};

    if (!b->awaited)
        return 0;
    while (sem_clockwait(&b->acknowledged, CLOCK_MONOTONIC, &ts) < 0) {
        if (errno != EINTR)
            return error_set(e, "no answer within %u ms", (unsigned)(timeout / CLOCK_MS));
    }
    assert(!mailbox_pending(b));
    b->awaited = false;
    if (b->result < 0)
        error_set(e, "%s", b->error.text);
    return b->result;
}

void mailbox_acknowledge(struct mailbox *b, int result, const struct error *error)
{
    b->result = result;
    b->error = result < 0 ? *error : (struct error){0};
    atomic_store_explicit(&b->posted, false, memory_order_release);
    sem_post(&b->acknowledged);
}
