"""What was measured on, and with which versions: figures are worth nothing without it."""

import os
import re
import subprocess

from bench.wirelab import LINKS
from lab.peers import nginx_path
from lab.process import run


def _first(command, pattern):
    """What a program says of its version, on either stream; "absent" without the program."""
    try:
        result = run(*command, check=False)
    except (FileNotFoundError, TypeError):
        return "absent"
    match = re.search(pattern, result.stdout + result.stderr)
    return match.group(1) if match else "unknown"


def _cpu():
    """The processor's name and number, as the kernel has them."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        names = re.findall(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)
    return f"{names[0] if names else 'unknown'}, {os.cpu_count()} CPUs"


def _memory():
    with open("/proc/meminfo", encoding="ascii") as info:
        return f"{int(info.readline().split()[1]) / 2**20:.1f} GiB"


def _commit(top):
    """Of the tree; with a mark when it is not what was committed."""
    try:
        return subprocess.run(["git", "-c", f"safe.directory={top}", "-C", top, "describe",
                               "--always", "--dirty"], capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def facts(top):
    """For the record."""
    return {
        "cpu": _cpu(),
        "memory": _memory(),
        "kernel": os.uname().release,
        "links": LINKS,
        "sluice": _commit(top),
        "dpdk": _first(["pkg-config", "--modversion", "libdpdk"], r"(\S+)"),
        "openssl": _first(["openssl", "version"], r"OpenSSL (\S+)"),
        "haproxy": _first(["haproxy", "-v"], r"version (\S+)"),
        "nginx": _first([nginx_path(), "-v"], r"nginx/(\S+)"),
        "hitch": _first(["hitch", "--version"], r"hitch (\S+)"),
    }


def same(one, other):
    """Whether figures of both may stand in one table: everything but our own version is the same."""
    return {**one, "sluice": None} == {**other, "sluice": None}
