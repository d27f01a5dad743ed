/*
 * Theory of operation: the main thread builds what all workers use (configuration, secrets, EAL,
 * ports), starts the workers, and then only waits: for signals, for who asks on the control socket,
 * and once a second to look at links and to free snapshots that no session uses any more. It never
 * touches a packet.
 *
 * It says that it is ready when clients are served: the workers turn, and no IPv6 address is
 * tentative any more. Nothing else waits for that, so that it can be told to stop meanwhile.
 */
#include "appliance/appliance.h"

#include <numa.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/cpus.h"
#include "appliance/drain.h"
#include "appliance/expiry.h"
#include "appliance/findings.h"
#include "appliance/firewall_rules.h"
#include "appliance/load.h"
#include "appliance/loop.h"
#include "appliance/memory.h"
#include "appliance/notify.h"
#include "appliance/operations.h"
#include "appliance/ports.h"
#include "appliance/privileges.h"
#include "appliance/reload.h"
#include "appliance/report.h"
#include "appliance/secrets.h"
#include "appliance/signals.h"
#include "appliance/snapshot.h"
#include "appliance/workers.h"
#include "base/log.h"

#define TICK_SHORT   (20 * CLOCK_MS) /* while the addresses or the end of a drain are awaited */
#define CHORES_EVERY (1 * CLOCK_SEC)

struct appliance {
    const char *path;
    int signals;
    struct loop loop;
    struct cpus available, cpus;
    struct snapshots snapshots;
    struct secrets secrets;
    struct memory_plan memory;
    struct firewall_rules firewall;
    bool env;
    struct ports ports;
    struct workers workers;
    bool ready; /* it has been said */
    struct drain drain;
    struct load load;
    struct command_reload reloaded;
    struct command_context commands;
    struct operations operations;
    struct session_log *session_log;
    struct expiry expiry;
    clock_ns chores_at; /* when the links are looked at next */
};

static int load_configuration(struct appliance *a, struct error *e)
{
    struct policy_report report = {0};
    struct snapshot *s = snapshot_load(a->path, &a->available, time(NULL), &report);

    findings_log(&report);
    if (s == NULL)
        error_set(e, "%s: %u error%s", a->path, report.errors, report.errors == 1 ? "" : "s");
    policy_report_free(&report);
    if (s == NULL)
        return -1;
    snapshots_add(&a->snapshots, s);
    snapshots_replace(&a->snapshots, s);
    return 0;
}

static void choose_cpus(struct appliance *a)
{
    const struct policy *policy = a->snapshots.current->policy;

    if (policy->worker_count == 0) {
        cpus_default_workers(&a->available, &a->cpus);
        return;
    }
    a->cpus.count = policy->worker_count;
    memcpy(a->cpus.id, policy->workers, policy->worker_count * sizeof *policy->workers);
}

static int start_env(struct appliance *a, struct error *e)
{
    static const enum io_hugepages hugepages[] = {
        [POLICY_HUGEPAGES_AUTO] = IO_HUGEPAGES_AUTO,
        [POLICY_HUGEPAGES_REQUIRE] = IO_HUGEPAGES_REQUIRE,
        [POLICY_HUGEPAGES_OFF] = IO_HUGEPAGES_OFF,
    };
    const struct policy *policy = a->snapshots.current->policy;
    const char *pci[STACK_MAX_IFACES];
    struct io_env_config config = {
        .hugepages = hugepages[policy->hugepages],
        .memory = a->memory.data_bytes + ports_memory(policy, a->cpus.count, &a->memory) +
                  2 * firewall_ruleset_memory(policy->firewall.rule_count),
        .reserve = FIREWALL_RULES_RESERVE,
        .pci = pci,
        .pci_count = ports_pci(policy, pci),
        .main_cpu = cpus_main(&a->available, &a->cpus),
    };

    if (io_env_init(&config, e) < 0)
        return -1;
    a->env = true;
    return 0;
}

/* What workers are built with, and share. */
static int prepare_workers(struct appliance *a, struct error *e)
{
    struct snapshot *first = a->snapshots.current;

    a->snapshots.servers.workers = a->cpus.count;
    if (snapshot_classes(first, NULL, clock_now(), e) < 0 ||
        servers_attach(&a->snapshots.servers, first, e) < 0)
        return -1;
    return firewall_rules_open(&a->firewall, first, ports_numa_node(&a->ports), a->secrets.limits,
                               e);
}

static int start_workers(struct appliance *a, struct error *e)
{
    const struct worker_config config = {
        .numa_node = ports_numa_node(&a->ports),
        .ports = &a->ports,
        .snapshot = a->snapshots.current,
        .memory = &a->memory,
        .secrets = &a->secrets,
        .session_log = a->session_log,
        .ruleset = a->firewall.current,
        .limits = a->firewall.limits,
    };

    return workers_start(&a->workers, &a->cpus, &config, e);
}

static void log_workers(const struct appliance *a)
{
    char cpus[256];

    for (unsigned i = 0; i < a->cpus.count; i++) {
        int node = numa_available() < 0 ? -1 : numa_node_of_cpu((int)a->cpus.id[i]);
        int ports = ports_numa_node(&a->ports);

        if (node >= 0 && ports >= 0 && node != ports)
            log_warn("sluice", "worker %u on CPU %u is on NUMA node %d, the ports are on node %d",
                     i, a->cpus.id[i], node, ports);
    }
    log_info("sluice", "%u worker%s on CPU %s; each: %u connections, %u sessions, %u buffers",
             a->cpus.count, a->cpus.count == 1 ? "" : "s", cpus_format(&a->cpus, cpus, sizeof cpus),
             a->memory.connections, a->memory.sessions, a->memory.buffers);
}

static void log_listeners(const struct policy *policy)
{
    char text[IP_TEXT_MAX];

    for (unsigned i = 0; i < policy->listener_count; i++) {
        const struct policy_listener *l = &policy->listeners[i];

        log_info("sluice", "listener %s: %s, %s", l->name, ip_endpoint_format(&l->bind, text),
                 l->tls != NULL ? "TLS" : "TCP");
    }
}

/* Where to ask and to look, when something is wrong. */
static void log_operations(const struct policy *policy)
{
    char text[IP_TEXT_MAX];

    if (policy->control.socket != NULL)
        log_info("sluice", "control socket: %s", policy->control.socket);
    if (policy->metrics.listen.port != 0)
        log_info("sluice", "metrics: http://%s/metrics",
                 ip_endpoint_format(&policy->metrics.listen, text));
    if (policy->session_log.file != NULL)
        log_info("sluice", "session log: %s", policy->session_log.file);
}

/* Reloads the file unless the process is about to end; the outcome is kept for who asks. */
static int appliance_reload(void *owner, struct policy_report *report, struct error *e)
{
    struct appliance *a = owner;
    const struct reload_parts parts = {
        .workers = &a->workers,
        .snapshots = &a->snapshots,
        .firewall = &a->firewall,
        .log = a->session_log,
        .available = &a->available,
    };
    int result;

    if (a->drain.active) {
        log_warn("reload", "not while draining");
        return error_set(e, "not while draining");
    }
    if (a->ready)
        notify_reloading();
    result = reload(a->path, &parts, report, e);
    a->reloaded = (struct command_reload){.when = time(NULL), .ok = result == 0, .error = *e};
    if (result == 0) {
        a->commands.loaded = a->reloaded.when;
        log_listeners(a->snapshots.current->policy);
    }
    if (a->ready)
        notify_ready(result == 0 ? "serving" : "serving; the last reload was refused");
    return result;
}

static int start_operations(struct appliance *a, struct error *e)
{
    a->commands = (struct command_context){
        .captures = &a->operations.captures,
        .path = a->path,
        .workers = &a->workers,
        .ports = &a->ports,
        .snapshots = &a->snapshots,
        .firewall = &a->firewall,
        .load = &a->load,
        .draining = &a->drain.active,
        .reloaded = &a->reloaded,
        .started = clock_now(),
        .loaded = time(NULL),
        .reload = appliance_reload,
        .owner = a,
    };
    return operations_open(&a->operations, a->snapshots.current->policy, &a->commands, &a->loop, e);
}

/* Its file is opened before anything of the machine is touched, its writer is started when the main
 * thread has its CPU, which is the writer's, too. */
static int start_session_log(struct appliance *a, struct error *e)
{
    const struct policy *policy = a->snapshots.current->policy;
    const struct policy_mark *mark = &policy->session_log.mark;

    a->session_log = session_log_create(a->cpus.count, e);
    if (a->session_log == NULL)
        return -1;
    a->commands.session_log = a->session_log;
    if (session_log_prepare(a->session_log, &policy->session_log, e) < 0)
        return error_prefix(e, "%s:%u:%u: session-log.file", policy->path, mark->line,
                            mark->column);
    session_log_commit(a->session_log);
    return 0;
}

/* Often enough for the service manager's watchdog, which wants two signs of life in its time. */
static clock_ns chores_interval(void)
{
    clock_ns half = notify_watchdog_time() / 2;

    return half < CHORES_EVERY ? half : CHORES_EVERY;
}

static int start_loop(struct appliance *a, struct error *e)
{
    a->signals = signals_open(e);
    if (a->signals < 0 || loop_open(&a->loop, e) < 0)
        return -1;
    loop_tick_every(&a->loop, TICK_SHORT);
    return loop_watch(&a->loop, a->signals, LOOP_SIGNAL, e);
}

static int appliance_start(struct appliance *a, struct error *e)
{
    const struct policy *policy;

    if (start_loop(a, e) < 0 || cpus_available(&a->available, e) < 0 ||
        load_configuration(a, e) < 0 || start_operations(a, e) < 0)
        return -1;
    policy = a->snapshots.current->policy;
    choose_cpus(a);
    memory_plan(&policy->limits, a->cpus.count, policy->interface_count, &a->memory);
    if (start_session_log(a, e) < 0 || secrets_draw(&a->secrets, e) < 0 || start_env(a, e) < 0 ||
        ports_open(&a->ports, policy, a->cpus.count, &a->memory, &a->secrets, e) < 0 ||
        privileges_drop(e) < 0)
        return -1;
    log_workers(a);
    if (prepare_workers(a, e) < 0 || session_log_start(a->session_log, e) < 0 ||
        start_workers(a, e) < 0)
        return -1;
    log_listeners(policy);
    log_operations(policy);
    return 0;
}

/* Takes down what is there. */
static void appliance_stop(struct appliance *a)
{
    operations_close(&a->operations);
    workers_stop(&a->workers);
    if (a->session_log != NULL)
        session_log_destroy(a->session_log);
    ports_close(&a->ports);
    workers_free(&a->workers);
    firewall_rules_close(&a->firewall);
    if (a->env)
        io_env_fini();
    secrets_wipe(&a->secrets);
    snapshots_replace(&a->snapshots, NULL);
    snapshots_collect(&a->snapshots);
    loop_close(&a->loop);
    signals_close(a->signals);
}

static void handle_reload(struct appliance *a)
{
    struct policy_report report = {0};
    struct error e = {0};

    appliance_reload(a, &report, &e); /* which logs what there is to say */
    policy_report_free(&report);
}

static void handle_drain(struct appliance *a)
{
    notify_stopping("draining");
    drain_begin(&a->drain, &a->workers, clock_now(), a->snapshots.current->policy->timeouts.drain);
    loop_tick_every(&a->loop, TICK_SHORT);
}

/* Returns false when the process is to end. */
static bool handle_signal(struct appliance *a, int number)
{
    switch (number) {
    case SIGHUP:
        handle_reload(a);
        return true;
    case SIGUSR1:
        report_print(&a->workers, &a->ports, a->snapshots.current);
        return true;
    case SIGTERM:
    case SIGINT:
        if (a->drain.active) {
            log_warn("sluice", "second %s: stopping at once", sigabbrev_np(number));
            return false;
        }
        handle_drain(a);
        return true;
    default:
        return true;
    }
}

/* What is due from time to time. */
static void do_chores(struct appliance *a, clock_ns now)
{
    if (now < a->chores_at)
        return;
    /* A little early, so that a tick of that interval is never just before its time. */
    a->chores_at = now + chores_interval() - TICK_SHORT;
    /* The watchdog speaks for the workers, too: one that does not turn any more is as bad as a main
     * thread that does not. */
    if (load_sample(&a->load, &a->workers, now))
        notify_alive();
    ports_links_poll(&a->ports);
    workers_collect(&a->workers, a->snapshots.current->policy);
    snapshots_collect(&a->snapshots);
    operations_tick(&a->operations, now);
    expiry_tick(&a->expiry, a->snapshots.current, time(NULL));
}

/* The time that this takes is bounded by duplicate address detection, which the workers' clocks end
 * whatever others send. */
static void check_ready(struct appliance *a)
{
    if (a->ready || a->drain.active || !workers_addresses_settled(&a->workers))
        return;
    a->ready = true;
    loop_tick_every(&a->loop, chores_interval());
    log_info("sluice", "ready");
    notify_ready("serving");
}

static void appliance_serve(struct appliance *a)
{
    bool running = true;

    while (running) {
        enum loop_event event;

        check_ready(a);
        event = loop_wait(&a->loop);
        if (event == LOOP_SIGNAL)
            running = handle_signal(a, signals_next(a->signals));
        else if (event != LOOP_TICK)
            operations_run(&a->operations, event, clock_now());
        do_chores(a, clock_now());
        if (running && a->drain.active)
            running = !drain_done(&a->drain, &a->workers, clock_now());
    }
}

int appliance_run(const char *path)
{
    struct appliance a = {.path = path, .signals = -1, .loop = {-1, -1}};
    struct error e = {0};
    int result = appliance_start(&a, &e);

    if (result == 0)
        appliance_serve(&a);
    else
        log_error("sluice", "cannot start: %s%s", e.text, privileges_hint());
    appliance_stop(&a);
    if (result == 0)
        log_info("sluice", "stopped");
    return result == 0 ? 0 : 1;
}
