"""How the labs get ahead of whatever else the machine has to do.

A nice value counts only among the processes of a session where the kernel groups them by it
(sched_autogroup_enabled, sched(7)): beside the work of other sessions the highest priority is worth
nothing unless the session's group has it, too.
"""

import atexit
import os
import re

PRIORITY = -20
GROUP = "/proc/self/autogroup"


def _group_set(nice):
    with open(GROUP, "w", encoding="ascii") as group:
        group.write(str(nice))


def _group_first():
    """Until this process ends: the session may be that of somebody's shell."""
    try:
        with open(GROUP, encoding="ascii") as group:
            former = re.search(r"nice (-?\d+)$", group.read().strip())
    except FileNotFoundError:       # a kernel without such groups
        return
    if former is not None and int(former.group(1)) != PRIORITY:
        _group_set(PRIORITY)
        atexit.register(_group_set, int(former.group(1)))


def first():
    """This process, and what it starts from now on, runs ahead of all that is not in real time."""
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    _group_first()
