/* A real second thread plays the worker. */
#include "tests/unit/support/test_unit.h"

#include <pthread.h>
#include <sched.h>

#include "appliance/mailbox.h"

#define MESSAGES 1000

struct peer {
    struct mailbox box;
    atomic_bool quit, deaf;
    uint64_t drained, started;
};

static void *peer_main(void *arg)
{
    struct peer *p = arg;

    while (!atomic_load(&p->quit)) {
        struct error e = {0};

        if (atomic_load(&p->deaf) || !mailbox_pending(&p->box)) {
            sched_yield();
            continue;
        }
        if (p->box.message.kind == MAILBOX_START)
            p->started++;
        if (p->box.message.kind == MAILBOX_DRAIN)
            p->drained += p->box.message.deadline;
        if (p->box.message.kind == MAILBOX_APPLY)
            error_set(&e, "address in use");
        mailbox_acknowledge(&p->box, e.set ? -1 : 0, &e);
    }
    return NULL;
}

static void run_with_peer(void (*body)(struct peer *))
{
    struct peer p = {0};
    pthread_t thread;

    mailbox_init(&p.box);
    assert_int_equal(pthread_create(&thread, NULL, peer_main, &p), 0);
    body(&p);
    atomic_store(&p.quit, true);
    pthread_join(thread, NULL);
    mailbox_fini(&p.box);
}

static void body_begins_with_start(struct peer *p)
{
    assert_int_equal(mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL), 0);
    assert_int_equal(p->started, 1);
    assert_false(p->box.awaited);
    assert_int_equal(mailbox_wait(&p->box, 0, NULL), 0); /* nothing to wait for */
}

static void body_messages_arrive_once(struct peer *p)
{
    uint64_t sum = 0;

    mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        mailbox_post(&p->box, &(struct mailbox_message){.kind = MAILBOX_DRAIN, .deadline = i});
        assert_int_equal(mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL), 0);
        sum += i;
        assert_int_equal(p->drained, sum);
    }
}

static void body_errors_come_back(struct peer *p)
{
    struct error e = {0};

    mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL);
    mailbox_post(&p->box, &(struct mailbox_message){.kind = MAILBOX_APPLY});
    assert_int_equal(mailbox_wait(&p->box, 10 * CLOCK_SEC, &e), -1);
    assert_string_equal(e.text, "address in use");
    mailbox_post(&p->box, &(struct mailbox_message){.kind = MAILBOX_DRAIN});
    assert_int_equal(mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL), 0);
}

static void body_late_answers_are_awaited(struct peer *p)
{
    struct error e = {0};

    mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL);
    atomic_store(&p->deaf, true);
    mailbox_post(&p->box, &(struct mailbox_message){.kind = MAILBOX_DRAIN});
    assert_int_equal(mailbox_wait(&p->box, 20 * CLOCK_MS, &e), -1);
    assert_string_equal(e.text, "no answer within 20 ms");
    assert_true(p->box.awaited);
    atomic_store(&p->deaf, false);
    assert_int_equal(mailbox_wait(&p->box, 10 * CLOCK_SEC, NULL), 0);
    assert_false(p->box.awaited);
}

static void test_begins_with_start(void **state)
{
    (void)state;
    run_with_peer(body_begins_with_start);
}

static void test_messages_arrive_once(void **state)
{
    (void)state;
    run_with_peer(body_messages_arrive_once);
}

static void test_errors_come_back(void **state)
{
    (void)state;
    run_with_peer(body_errors_come_back);
}

static void test_late_answers_are_awaited(void **state)
{
    (void)state;
    run_with_peer(body_late_answers_are_awaited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_with_start),
        cmocka_unit_test(test_messages_arrive_once),
        cmocka_unit_test(test_errors_come_back),
        cmocka_unit_test(test_late_answers_are_awaited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
