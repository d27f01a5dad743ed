"""The daemon without root: what it needs, what it gives up, what it leaves behind."""

from lab import unprivileged
from lab.scenario import expect, expect_equal, expect_in, scenario

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13


def start_as_user(lab, capabilities):
    lab.page("index.html", "served without root\n")
    lab.nginx()
    config = lab.config()
    run_directory = unprivileged.make_readable(lab.directory)
    return lab.start(config, unprivileged.wrapper(capabilities, run_directory))


def driver(lab, interface):
    return lab.sluice.process.wait_for(rf"{interface}: {interface} through (\w+)").group(1)


@scenario()
def service_user(lab):
    """With the unit's capabilities AF_XDP works; whatever touches packets has fewer; nothing of it is
    left on the interface afterwards."""
    start_as_user(lab, unprivileged.unit_capabilities())
    expect_equal(driver(lab, "outside"), "net_af_xdp", "the driver")
    expect_equal(lab.curl("/").stdout, "served without root\n", "the page")
    expect_in("xdp", lab.proxy.run("ip", "link", "show", "outside").stdout, "while it runs")

    kept = 1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW
    threads = unprivileged.thread_capabilities(lab.sluice.process.pid)
    expect_equal({name: bits for name, bits in threads.items() if name.startswith("worker")},
                 {"worker 0": kept}, "capabilities of the workers")
    expect_equal(threads["sluice"], kept, "capabilities of the main thread")

    lab.sluice.stop()
    expect("xdp" not in lab.proxy.run("ip", "link", "show", "outside").stdout,
           "an XDP program is left on the interface")


@scenario()
def without_sys_admin(lab):
    """Without CAP_SYS_ADMIN it says so and serves through AF_PACKET."""
    start_as_user(lab, ["net_admin", "net_raw"])
    expect_equal(driver(lab, "outside"), "net_af_packet", "the driver")
    expect_in("no AF_XDP on outside", lab.sluice.process.log(), "the log")
    expect_equal(lab.curl("/").stdout, "served without root\n", "the page")
