"""The rows of the wire lab whose figure is the CPU time of an operation.

kload does the operations through each contender in turn and checks every one of them: status, length
and each byte of the body, the version of TLS, and whether the session was resumed. Warming up, which
opens the connections that are kept, is not measured.
"""

import dataclasses

from bench.results import Goal, Result
from bench.rows import Row
from bench.wirelab import WireLab, contenders
from lab.peers import digest, write_random

UPLOAD = 10 << 20


@dataclasses.dataclass(frozen=True)
class Work:
    """One operation, and how often a round does it."""
    name: str
    title: str
    operations: int
    quick: int                        # operations of a short pass
    page: str = "1k"
    tls: str | None = "1.3"           # None: plain, which is spliced
    options: tuple[str, ...] = ()
    parallel: int = 64
    certificate: str = "P-256"
    upload: bool = False
    goal: Goal | None = None
    note: str = ""

    def row(self):
        """As the run wants it."""
        return Row(self.name, self.title, "wire", self.measure, ("sluice", "kload"))

    def client(self, lab, operations):
        """The client of a round, warm."""
        files = {}
        options = ["--parallel", self.parallel, "--requests", operations, *self.options]
        if self.upload:
            options += ["--put", lab.path("upload")]
            files["expect"] = lab.path("upload.sha256")
        return lab.load(self.page, *options, tls=self.tls, **files)

    def start_server(self, lab):
        """What is behind the proxy."""
        if not self.upload:
            lab.start_server()
            return
        write_random(lab.path("upload"), UPLOAD)
        with open(lab.path("upload.sha256"), "w", encoding="ascii") as out:
            out.write(digest(lab.path("upload")))
        lab.start_sink()

    def measure(self, session):
        """All rounds."""
        able = contenders(splices=self.tls is None)
        result = Result(self.name, self.title, "wire", "us of CPU", goal=self.goal, note=self.note)
        operations = session.scale(self.operations, self.quick)
        with WireLab(session, self.certificate) as lab:
            self.start_server(lab)
            for _, name in session.turns(able):
                with lab.contender(able[name]) as process, self.client(lab, operations) as client:
                    cost = lab.measure(process, operations, client.work)
                result.add(name, cost.microseconds, able[name].role, **cost.details())
        yield result


FULL = ("--close", "--warm", "4")
RESUMED = (*FULL, "--resume")
NO_HITCH = "hitch passes on nothing but TLS that it has terminated."

ROWS = tuple(work.row() for work in (
    Work("full-p256", "new TLS 1.3 connection, full handshake, P-256, one GET of 1 KB", 6000, 800,
         options=FULL, goal=Goal(times=2.0)),
    Work("full-rsa", "new TLS 1.3 connection, full handshake, RSA-2048, one GET of 1 KB", 4000, 500,
         options=FULL, certificate="RSA"),
    Work("full-tls12", "new TLS 1.2 connection, full handshake, P-256, one GET of 1 KB", 6000, 800,
         options=FULL, tls="1.2"),
    Work("resumed-tls13", "new TLS 1.3 connection, resumed by ticket, one GET of 1 KB", 8000, 1000,
         options=RESUMED, goal=Goal(times=2.0)),
    Work("resumed-tls12", "new TLS 1.2 connection, resumed by ticket, one GET of 1 KB", 12000, 1500,
         options=RESUMED, tls="1.2", goal=Goal(times=2.0)),
    Work("kept-1k", "GET of 1 KB on a kept-alive TLS connection", 100000, 10000,
         goal=Goal(times=2.5)),
    Work("kept-16k", "GET of 16 KB on a kept-alive TLS connection", 40000, 4000, page="16k"),
    Work("download-10m", "GET of 10 MB over TLS", 200, 20, page="10m", parallel=4,
         goal=Goal(times=1.7)),
    Work("upload-10m", "PUT of 10 MB over TLS", 120, 12, page="upload", parallel=4, upload=True),
    Work("spliced-new", "new plain connection, spliced, one GET of 64 B", 40000, 4000, page="64",
         tls=None, options=("--close", "--warm", "4"), goal=Goal(times=2.5), note=NO_HITCH),
    Work("spliced-10m", "GET of 10 MB on a plain connection, spliced", 300, 30, page="10m",
         tls=None, parallel=4, note=NO_HITCH),
))
