"""Programs of one module, which print figures of their own and have no peers."""

from bench.rows import Row
from lab.process import run


def _program(name, title, folder, target, arguments=(), fewer=()):
    def measure(session):
        session.progress.step("measures")
        program = session.program(folder, target)
        session.progress.say(run(program, *session.scale(arguments, fewer), timeout=1200).stdout)
        return ()

    return Row(name, title, "micro", measure, (target,))


ROWS = (
    _program("firewall", "what the firewall costs a packet", "tests/bench", "bench_firewall"),
    _program("tls", "what the server side of TLS costs, beside OpenSSL by itself", "tests/bench",
             "bench_tls", (), ("--quick",)),
    _program("stack", "what the packet path costs", "tests/bench", "bench_stack",
             (), ("--batches", "200")),
    _program("idle", "memory of idle connections in the stack alone", "tests/sim", "sim_idle",
             ("--connections", "10000000"), ("--connections", "1000000")),
)
