/* Captures: the ring against a plain queue, the filter, and a file from end to end. */
#include "tests/unit/support/test_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "appliance/capture/capture_internal.h"
#include "tests/unit/support/test_frame.h"
#include "tests/unit/support/test_mbuf.h"

static const uint8_t us[6] = {2, 0, 0, 0, 0, 1}, peer[6] = {2, 0, 0, 0, 0, 2};

/* ---- the ring ---- */

/* Records of random sizes, some taken back; what comes out is what was committed, in its order. */
static void test_ring(void **state)
{
    static uint32_t expected[1 << 16];
    struct capture_ring r;
    uint32_t written = 0, seen = 0, serial = 0;

    (void)state;
    srandom(11);
    assert_int_equal(capture_ring_init(&r), 0);
    for (unsigned turn = 0; turn < 60000; turn++) {
        uint64_t before = r.next;
        uint32_t len = 4 + (uint32_t)random() % (random() % 16 == 0 ? 65000 : 1500);
        struct capture_record *in = capture_ring_reserve(&r, len);

        if (in != NULL) {
            memcpy(in + 1, &serial, sizeof serial);
            if (random() % 4 != 0)
                expected[written++ % (1 << 16)] = serial;
            else
                r.next = before;
            capture_ring_commit(&r, r.next);
            serial++;
        }
        while (random() % 3 == 0 || in == NULL) {
            const struct capture_record *out = capture_ring_peek(&r);

            if (out == NULL)
                break;
            in = (struct capture_record *)(uintptr_t)out; /* there was something to take */
            assert_memory_equal(out + 1, &expected[seen++ % (1 << 16)], 4);
            capture_ring_release(&r, out);
        }
    }
    while (capture_ring_peek(&r) != NULL) {
        capture_ring_release(&r, capture_ring_peek(&r));
        seen++;
    }
    assert_int_equal(seen, written);
    assert_true(written > 30000);
    capture_ring_fini(&r);
}

static void test_ring_full(void **state)
{
    struct capture_ring r;
    unsigned count = 0;

    (void)state;
    assert_int_equal(capture_ring_init(&r), 0);
    while (capture_ring_reserve(&r, 1000) != NULL)
        count++;
    assert_true(count > CAPTURE_RING_SIZE / 1100 && count <= CAPTURE_RING_SIZE / 1000);
    assert_null(capture_ring_peek(&r)); /* nothing is committed */
    capture_ring_commit(&r, r.next);
    capture_ring_release(&r, capture_ring_peek(&r));
    assert_non_null(capture_ring_reserve(&r, 1000));
    assert_null(capture_ring_reserve(&r, 1000));
    capture_ring_fini(&r);
}

/* ---- the filter ---- */

static struct rte_mbuf *segment(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
    struct test_frame f;

    test_frame_ether(&f, us, peer, 0x0800);
    test_frame_ipv4(&f, 6, src, dst);
    test_frame_tcp(&f, sport, dport, 1, 1, TCP_ACK);
    test_frame_append(&f, "payload", 7);
    test_frame_finish(&f);
    return test_mbuf_exact(f.b, f.len);
}

static bool matches(const struct capture_filter *f, const char *src, uint16_t sport,
                    const char *dst, uint16_t dport)
{
    struct rte_mbuf *m = segment(src, sport, dst, dport);
    bool result = capture_filter_match(f, m);

    rte_pktmbuf_free(m);
    return result;
}

static struct ip_addr addr(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static void test_filter(void **state)
{
    struct capture_filter any = {.port = 0};
    struct capture_filter port = {.port = 443};
    struct capture_filter host = {.has_host = true, .host = addr("192.0.2.7")};
    struct capture_filter flow = {.flow_count = 1};

    (void)state;
    flow.flow[0].end[0] = (struct ip_endpoint){addr("192.0.2.7"), 1000};
    flow.flow[0].end[1] = (struct ip_endpoint){addr("192.0.2.1"), 443};
    assert_true(matches(&any, "192.0.2.9", 1, "192.0.2.1", 2));
    assert_true(matches(&port, "192.0.2.9", 1, "192.0.2.1", 443));
    assert_true(matches(&port, "192.0.2.9", 443, "192.0.2.1", 1));
    assert_false(matches(&port, "192.0.2.9", 1, "192.0.2.1", 2));
    assert_true(matches(&host, "192.0.2.7", 1, "192.0.2.1", 2));
    assert_true(matches(&host, "192.0.2.1", 1, "192.0.2.7", 2));
    assert_false(matches(&host, "192.0.2.1", 1, "192.0.2.8", 2));
    assert_true(matches(&flow, "192.0.2.7", 1000, "192.0.2.1", 443));
    assert_true(matches(&flow, "192.0.2.1", 443, "192.0.2.7", 1000));
    assert_false(matches(&flow, "192.0.2.7", 1001, "192.0.2.1", 443));
    assert_false(matches(&flow, "192.0.2.7", 443, "192.0.2.1", 1000));
    host.port = 2;
    assert_false(matches(&host, "192.0.2.7", 1, "192.0.2.1", 3));
}

/* Frames cut at every place are read only as far as they go. */
static void test_filter_truncated(void **state)
{
    const struct capture_filter flow = {.flow_count = 1};
    struct test_frame f;

    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        static const uint16_t types[] = {0x0800, 0x86dd, 0x0806};

        test_frame_ether(&f, us, peer, 0x8100);
        test_frame_append(&f, "\0\7", 2);
        test_frame_append(&f, (uint8_t[]){(uint8_t)(types[kind] >> 8), (uint8_t)types[kind]}, 2);
        test_frame_append(&f, "\x4f\0\0\0\0\0\0\0\0\6", 10);
        test_frame_append(&f, (uint8_t[60]){0}, 60);
        for (size_t len = 1; len <= f.len; len++) {
            struct rte_mbuf *m = test_mbuf_exact(f.b, len);

            capture_filter_match(&flow, m);
            rte_pktmbuf_free(m);
        }
    }
}

/* ---- the whole ---- */

static uint32_t read32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Walks over the blocks; returns how many there are of a type. */
static unsigned blocks(const uint8_t *data, size_t len, uint32_t type)
{
    unsigned count = 0;

    for (size_t at = 0; at < len; at += read32(data + at + 4)) {
        assert_true(at + 12 <= len && at + read32(data + at + 4) <= len);
        assert_int_equal(read32(data + at + 4), read32(data + at + read32(data + at + 4) - 4));
        count += read32(data + at) == type;
    }
    return count;
}

static void offer(struct capture_lane *lane, unsigned count, unsigned sent)
{
    struct rte_mbuf *m[CAPTURE_OFFER] = {0};

    for (unsigned i = 0; i < count; i++)
        m[i] = segment("192.0.2.1", 443, "192.0.2.7", (uint16_t)(1000 + i));
    capture_offered(lane, 1, m, count);
    capture_sent(lane, sent);
    for (unsigned i = 0; i < count; i++)
        rte_pktmbuf_free(m[i]);
}

/* A capture of one worker into a directory of its own. */
struct captured {
    char directory[32], path[64];
    struct capture_config config;
    struct capture *c;
    struct capture_state told; /* after captured_stop() */
};

static void captured_start(struct captured *x, uint64_t count)
{
    *x = (struct captured){
        .directory = "/tmp/capture-XXXXXX",
        .config = {.file = "file",
                   .comment = "a test",
                   .workers = 1,
                   .interface = {"outside", "inside"},
                   .interface_count = 2,
                   .snaplen = 60,
                   .count = count,
                   .bytes = 1 << 20,
                   .duration = 60 * CLOCK_SEC},
    };
    x->config.directory = mkdtemp(x->directory);
    assert_non_null(x->config.directory);
    snprintf(x->path, sizeof x->path, "%s/file", x->directory);
    x->c = capture_start(&x->config, NULL);
    assert_non_null(x->c);
}

static void captured_stop(struct captured *x)
{
    capture_stop(x->c);
    capture_state(x->c, &x->told);
    capture_free(x->c);
}

static void captured_remove(struct captured *x)
{
    unlink(x->path);
    rmdir(x->directory);
}

/* Frames received, with a tag that the driver took out, and sent, of which some are refused. */
static void test_file(void **state)
{
    static uint8_t data[65536];
    struct rte_mbuf *m = segment("192.0.2.7", 1000, "192.0.2.1", 443);
    struct captured x;
    struct stat st;
    size_t len;
    FILE *in;

    (void)state;
    captured_start(&x, 0);
    assert_null(capture_start(&x.config, NULL)); /* there is a file */
    m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    m->vlan_tci = 7;
    capture_received(capture_lane(x.c, 0), 0, &m, 1);
    rte_pktmbuf_free(m);
    offer(capture_lane(x.c, 0), 10, 4);
    offer(capture_lane(x.c, 0), 6, 0);
    offer(capture_lane(x.c, 0), 6, 6);
    captured_stop(&x);
    assert_int_equal(x.told.end, CAPTURE_STOPPED);
    assert_int_equal(x.told.frames, 11);
    assert_int_equal(x.told.dropped, 0);

    assert_int_equal(stat(x.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    in = fopen(x.path, "re");
    assert_non_null(in);
    len = fread(data, 1, sizeof data, in);
    fclose(in);
    assert_int_equal(len, x.told.bytes);
    assert_int_equal(blocks(data, len, 0x0a0d0d0a), 1);
    assert_int_equal(blocks(data, len, 1), 2);
    assert_int_equal(blocks(data, len, 6), 11);
    assert_int_equal(blocks(data, len, 5), 2);
    assert_non_null(memmem(data, len, "\x81\x00\x00\x07\x08\x00\x45", 7)); /* the tag is back */
    captured_remove(&x);
}

static void test_count(void **state)
{
    struct captured x;

    (void)state;
    captured_start(&x, 3);
    offer(capture_lane(x.c, 0), 10, 10);
    captured_stop(&x);
    assert_int_equal(x.told.end, CAPTURE_COUNT);
    assert_int_equal(x.told.frames, 3);
    captured_remove(&x);
}

/* A frame that came after the time is not the capture's, however far behind its writer is. */
static void test_time(void **state)
{
    struct capture_record *late;
    struct capture_lane *lane;
    struct captured x;

    (void)state;
    captured_start(&x, 0);
    lane = capture_lane(x.c, 0);
    offer(lane, 10, 10);
    late = capture_ring_reserve(&lane->ring, 64);
    memset(late + 1, 0, 64);
    late->length = 64;
    late->interface = 0;
    late->at = ((clock_ns)time(NULL) + 120) * CLOCK_SEC;
    capture_ring_commit(&lane->ring, lane->ring.next);
    captured_stop(&x);
    assert_int_equal(x.told.end, CAPTURE_TIME);
    assert_int_equal(x.told.frames, 10);
    captured_remove(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),   cmocka_unit_test(test_ring_full),
        cmocka_unit_test(test_filter), cmocka_unit_test(test_filter_truncated),
        cmocka_unit_test(test_file),   cmocka_unit_test(test_count),
        cmocka_unit_test(test_time),
    };

    test_eal_init();
    return cmocka_run_group_tests_name("appliance/capture", tests, NULL, NULL);
}
