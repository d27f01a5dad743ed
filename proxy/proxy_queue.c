#include "proxy/proxy_internal.h"

void proxy_queue_init(struct proxy *p)
{
    for (unsigned i = 0; i < QUEUE_COUNT; i++)
        TAILQ_INIT(&p->queue[i]);
}

void proxy_queue_add(struct session *s, enum session_queue queue)
{
    struct proxy *p = s->proxy;

    s->queue = (uint8_t)queue;
    TAILQ_INSERT_TAIL(&p->queue[queue], s, link);
    p->queued[queue]++;
}

void proxy_queue_remove(struct session *s)
{
    struct proxy *p = s->proxy;

    TAILQ_REMOVE(&p->queue[s->queue], s, link);
    p->queued[s->queue]--;
}

void proxy_queue_move(struct session *s, enum session_queue queue)
{
    if (s->queue == queue)
        return;
    proxy_queue_remove(s);
    proxy_queue_add(s, queue);
}
