#!/usr/bin/env python3
"""Fails when an #include, or a library that a folder links with, breaks the table of layers.

    tests/layering.py              checks the tree, then itself

The table below is the one in docs/architecture.md, in a form a program can read.
"""

import os
import re
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# What the headers in stack/ itself are: words that all its layers share, or the face it shows.
STACK_WORDS = ["stack/packet.h", "stack/drop.h", "stack/counters.h", "stack/hooks.h",
               "stack/chain.h"]
STACK_FACE = ["stack/stack.h", "stack/socket.h", "stack/event.h"]

# Folder -> what its files may include besides their own folder and the C library: folders (with a
# slash at the end), single headers, and outside libraries by name. Inside stack/ the order is
# wire <- net <- tcp <- socket; of the face, io and net take the types of the configuration
# (stack.h), and tcp the types of a connection too.
ALLOWED = {
    "base": [],
    "stack/io": ["base/", "dpdk", "numa", "stack/stack.h"],
    "stack/wire": ["base/", "dpdk", *STACK_WORDS],
    "stack/net": ["base/", "dpdk", *STACK_WORDS, "stack/stack.h", "stack/wire/"],
    "stack/tcp": ["base/", "dpdk", *STACK_WORDS, *STACK_FACE, "stack/wire/", "stack/net/"],
    "stack": ["base/", "dpdk", "stack/wire/", "stack/net/", "stack/tcp/"],
    "firewall": ["base/", "dpdk", *STACK_WORDS],
    "scheduler": ["base/", "dpdk", *STACK_WORDS],
    "app": ["base/", "dpdk", *STACK_WORDS, *STACK_FACE, "stack/io/", "scheduler/"],
    "tls": ["base/", "openssl"],
    "policy": ["base/", "yaml"],
    "proxy": ["base/", *STACK_WORDS, *STACK_FACE, "tls/", "policy/"],
    "appliance/control": ["base/", "jansson"],
    "appliance/metrics": ["base/", "microhttpd"],
    "appliance": ["base/", "dpdk", "numa", "openssl", "jansson", "systemd", "mimalloc", *STACK_WORDS,
                  *STACK_FACE, "stack/io/", "firewall/", "scheduler/", "tls/", "policy/", "proxy/",
                  "appliance/control/", "appliance/metrics/"],
    "ctl": ["jansson"],
    "programs": ["base/", *STACK_WORDS, *STACK_FACE, "stack/io/", "app/"],
}

# How an outside library is recognised: by its headers and by its CMake target.
LIBRARIES = {
    "dpdk": (r"rte_\w+\.h|ethdev_\w+\.h", "PkgConfig::DPDK"),
    "numa": (r"numa\w*\.h", "PkgConfig::NUMA"),
    "openssl": (r"openssl/.*", "PkgConfig::OPENSSL"),
    "yaml": (r"yaml\.h", "PkgConfig::YAML"),
    "jansson": (r"jansson\.h", "PkgConfig::JANSSON"),
    "microhttpd": (r"microhttpd\.h", "PkgConfig::MICROHTTPD"),
    "systemd": (r"systemd/.*", "PkgConfig::SYSTEMD"),
    "mimalloc": (r"mimalloc.*\.h", "mimalloc"),
    "bpf": (r"(bpf|xdp)/.*", None),
    "pcap": (r"pcap.*\.h|pcap/.*", None),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)
LIBRARY_CALL = re.compile(r"(?:sluice_library|target_link_libraries)\s*\(([^)]*)\)")


def folder_of(path):
    """The row of the table that a path of the tree belongs to."""
    folder = os.path.dirname(path)
    while folder and folder not in ALLOWED:
        folder = os.path.dirname(folder)
    return folder or None


def library_of(header):
    return next((name for name, (pattern, _) in LIBRARIES.items()
                 if re.fullmatch(pattern, header)), None)


def may_include(folder, header):
    """Is "folder/file.h" open to the folder's files?"""
    if folder_of(header) == folder:
        return True
    if header.endswith("_internal.h"):
        return False
    return any(header == entry or (entry.endswith("/") and folder_of(header) == entry[:-1])
               for entry in ALLOWED[folder])


def include_fault(top, path, quote, header):
    """What is wrong with one #include, or None."""
    folder = folder_of(path)
    if quote == "<":
        library = library_of(header)
        if library and library not in ALLOWED[folder]:
            return f"<{header}> belongs to {library}, which {folder}/ does not use"
        return None
    if not os.path.exists(os.path.join(top, header)):
        return f'"{header}" is not a path from the top of the tree'
    if not may_include(folder, header):
        return f'"{header}" is not open to {folder}/'
    return None


def link_fault(folder, target):
    """What is wrong with a library that the folder's CMakeLists.txt links with, or None."""
    for library, (_, cmake_target) in LIBRARIES.items():
        if target == cmake_target:
            return None if library in ALLOWED[folder] else f"links with {target}"
    needed = target.replace("stack_", "stack/")
    if needed not in ALLOWED or needed == folder:
        return None
    prefix = needed + "/"
    opened = any(entry.startswith(prefix) for entry in ALLOWED[folder])
    return None if opened else f"links with {target}"


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def source_faults(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as source:
        text = source.read()
    for match in INCLUDE.finditer(text):
        fault = include_fault(top, path, match.group(1), match.group(2))
        if fault:
            yield f"{path}:{line_of(text, match.start(2))}: {fault}"


def cmake_faults(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as source:
        text = source.read()
    for call in LIBRARY_CALL.finditer(text):
        for target in call.group(1).split()[1:]:
            fault = link_fault(folder_of(path), target)
            if fault:
                yield f"{path}:{line_of(text, call.start())}: {fault}"


def tree_faults(top):
    """All faults of the tree, each with file and line; and how many files were read."""
    faults, files = [], 0
    for row in sorted({row.partition("/")[0] for row in ALLOWED}):
        for folder, _, names in os.walk(os.path.join(top, row)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), top)
                if name.endswith((".c", ".h")):
                    faults += source_faults(top, path)
                    files += 1
                elif name == "CMakeLists.txt":
                    faults += cmake_faults(top, path)
    return faults, files


# Each breaks one rule: the file that breaks it, its text, and a part of the message wanted.
VIOLATIONS = [
    ("base/a.c", '#include "stack/socket.h"', "not open to base/"),
    ("tls/a.c", '#include "stack/socket.h"', "not open to tls/"),
    ("policy/a.c", "#include <openssl/ssl.h>", "belongs to openssl"),
    ("proxy/a.c", "#include <rte_mbuf.h>", "belongs to dpdk"),
    ("proxy/a.c", '#include "stack/tcp/tcp.h"', "not open to proxy/"),
    ("proxy/a.c", '#include "firewall/firewall.h"', "not open to proxy/"),
    ("stack/wire/a.c", '#include "stack/net/net.h"', "not open to stack/wire/"),
    ("stack/net/a.c", '#include "stack/tcp/tcp.h"', "not open to stack/net/"),
    ("stack/net/a.c", '#include "stack/socket.h"', "not open to stack/net/"),
    ("stack/io/a.c", '#include "stack/socket.h"', "not open to stack/io/"),
    ("stack/a.c", '#include "stack/tcp/tcp_internal.h"', "not open to stack/"),
    ("appliance/a.c", '#include "worker.h"', "not a path from the top"),
    ("appliance/control/a.c", '#include "appliance/worker.h"', "not open to appliance/control/"),
    ("ctl/a.c", '#include "appliance/worker.h"', "not open to ctl/"),
    ("policy/a.c", "#include <jansson.h>", "belongs to jansson"),
    ("tls/CMakeLists.txt", "sluice_library(tls SOURCES a.c DEPENDS stack)", "links with stack"),
    ("stack/net/CMakeLists.txt",
     "sluice_library(stack_net SOURCES a.c DEPENDS stack_wire stack_tcp)", "links with stack_tcp"),
    ("base/CMakeLists.txt", "target_link_libraries(base PUBLIC PkgConfig::YAML)", "links with"),
]

HEADERS = ["stack/socket.h", "stack/stack.h", "stack/tcp/tcp.h", "stack/tcp/tcp_internal.h",
           "stack/net/net.h", "firewall/firewall.h", "appliance/worker.h"]


def write(top, path, text):
    path = os.path.join(top, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text + "\n")


def unnoticed_violations():
    """The violations that the check does not report as it should."""
    missed = []
    for path, text, wanted in VIOLATIONS:
        with tempfile.TemporaryDirectory() as top:
            for header in HEADERS:
                write(top, header, "")
            before, _ = tree_faults(top)
            write(top, path, text)
            faults, _ = tree_faults(top)
            if before or len(faults) != 1 or wanted not in faults[0] or path not in faults[0]:
                missed.append(f"{path}: {text}: reported {faults or 'nothing'}")
    return missed


def main():
    faults, files = tree_faults(TOP)
    for fault in faults:
        print(fault)
    missed = unnoticed_violations()
    for violation in missed:
        print(f"the check itself missed: {violation}")
    print(f"{files} files, {len(faults)} broken layers; "
          f"{len(VIOLATIONS) - len(missed)} of {len(VIOLATIONS)} planted violations noticed")
    return 1 if faults or missed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
