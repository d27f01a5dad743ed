"""The daemon as a user of its own, with the capabilities that its systemd unit grants."""

import os
import re

_UNIT = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "debian",
                     "sluice.service")
NOBODY = 65534


def unit_capabilities():
    """["net_admin", ...] as setpriv(1) names them."""
    with open(_UNIT, encoding="utf-8") as unit:
        granted = re.search(r"^AmbientCapabilities=(.*)$", unit.read(), re.MULTILINE).group(1)
    return [name.removeprefix("CAP_").lower() for name in granted.split()]


def wrapper(capabilities, runtime_directory, user=NOBODY, group=NOBODY):
    """A command that runs another one as that user with no more than these capabilities, as
    systemd would."""
    wanted = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
            f"--bounding-set={wanted}", f"--inh-caps={wanted}", f"--ambient-caps={wanted}",
            "env", f"RUNTIME_DIRECTORY={runtime_directory}"]


def make_readable(directory):
    """Lets every user read what is below a directory, and write into nothing but `run`."""
    for folder, _, files in os.walk(directory):
        os.chmod(folder, 0o755)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
    run_directory = os.path.join(directory, "run")
    os.makedirs(run_directory, exist_ok=True)
    os.chmod(run_directory, 0o777)
    return run_directory


def thread_capabilities(pid):
    """Effective capabilities by thread: {name: bits}."""
    result = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
            text = status.read()
        name = re.search(r"^Name:\t(.*)$", text, re.MULTILINE).group(1)
        sets = [int(value, 16) for value in re.findall(r"^Cap(?:Prm|Eff|Amb):\t(\w+)$", text,
                                                       re.MULTILINE)]
        result[name] = sets[0] | sets[1] | sets[2]
    return result
