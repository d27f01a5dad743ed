"""TLS termination as clients see it: versions, names, ALPN, tickets."""

import re
import ssl

from lab.peers import s_client
from lab.scenario import (BOTH_FAMILIES, ONE_AND_TWO_WORKERS, expect, expect_equal, expect_in,
                          expect_within, scenario)
from lab.topology import OUTSIDE, at, http_get

ADDRESS = at(OUTSIDE, 443)


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def page_over_https(lab):
    """curl, verifying the certificate, gets the page that nginx serves."""
    lab.page("index.html", "hello from behind\n")
    lab.nginx()
    lab.start()
    answer = lab.curl("/index.html", "-i").stdout
    expect_in("200 OK", answer, "answer")
    expect_in("hello from behind", answer, "answer")
    counters = lab.settled()
    expect_equal(counters["sessions_terminated"], 1, "sessions_terminated")
    expect_equal(counters["tls_handshakes_completed"], 1, "tls_handshakes_completed")


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def keep_alive(lab):
    """Many requests on one connection, then an orderly end."""
    lab.page("index.html", "again\n")
    lab.nginx()
    lab.start()
    with lab.tls() as connection:
        for _ in range(100):
            expect_equal(http_get(connection, "/index.html", close=False), b"again\n", "body")
    counters = lab.settled()
    expect_equal(counters["sessions_opened"], 1, "sessions_opened")
    expect_equal(counters["sessions_closed"], 1, "sessions_closed")


@scenario(families=BOTH_FAMILIES)
def versions(lab):
    """TLS 1.2 and 1.3 are both spoken, with forward secrecy and AEAD, and counted apart."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    for version, protocol in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                              (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        context = lab.tls_context(minimum=version, maximum=version)
        with lab.tls(context=context) as connection:
            expect_equal(connection.version(), protocol, "negotiated version")
            cipher = connection.cipher()[0]
            expect(re.search(r"GCM|CHACHA20", cipher), f"cipher {cipher} is no AEAD")
            expect(protocol == "TLSv1.3" or "ECDHE" in cipher,
                   f"cipher {cipher} has no forward secrecy")
            http_get(connection)
    counters = lab.settled()
    expect_equal(counters["tls_tls12"], 1, "tls_tls12")
    expect_equal(counters["tls_tls13"], 1, "tls_tls13")


@scenario(families=BOTH_FAMILIES)
def close_notify_both_ways(lab):
    """The end of the backend's stream reaches the client as close_notify, not as a bare FIN."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    connection = lab.tls()
    connection.suppress_ragged_eofs = False
    expect_in(b"200 OK", http_get(connection), "answer")
    connection.unwrap().close()
    lab.settled()


def several_names(lab, default=None):
    lab.authority.issue("shop", "shop.example", "www.shop.example")
    lab.authority.issue("wild", "*.wild.example")
    lab.authority.issue("other", "other.example", key="RSA")
    config = lab.config()
    for name in ("wild", "other"):
        config["certificates"][name] = {"chain": f"certs/{name}.crt", "key": f"certs/{name}.key"}
    tls = config["listeners"]["https"]["tls"]
    tls["certificates"] = ["shop", "wild", "other"]
    if default:
        tls["default-certificate"] = default
    return config


def subject_of(lab, sni):
    """The subject of the certificate that a client who sends this name is shown."""
    result = s_client(lab.client, ADDRESS, "-CAfile", lab.authority.certificate, sni=sni)
    match = re.search(r"^subject=CN = (\S+)$", result.stdout, re.MULTILINE)
    return match.group(1) if match else result.stdout + result.stderr


@scenario(families=BOTH_FAMILIES)
def certificate_by_name(lab):
    """Exact names and wildcards choose; a wildcard covers exactly one label."""
    lab.nginx()
    lab.start(several_names(lab))
    for sni, subject in (("shop.example", "shop.example"), ("www.shop.example", "shop.example"),
                         ("SHOP.example", "shop.example"), ("a.wild.example", "*.wild.example"),
                         ("other.example", "other.example")):
        expect_equal(subject_of(lab, sni), subject, f"certificate for {sni}")
    for sni in ("a.b.wild.example", "wild.example", "unknown.example"):
        expect_in("unrecognized name", subject_of(lab, sni), f"answer to {sni}")
    expect_in("unrecognized name", subject_of(lab, None), "answer without a name")
    lab.sluice.process.wait_for(r"unknown\.example")
    expect_equal(lab.settled()["hello_unknown_name"], 4, "hello_unknown_name")


@scenario(families=BOTH_FAMILIES)
def default_certificate(lab):
    """The file may name a certificate for unknown and missing names."""
    lab.nginx()
    lab.start(several_names(lab, default="other"))
    for sni in ("unknown.example", None):
        expect_equal(subject_of(lab, sni), "other.example", f"certificate for {sni}")
    expect_equal(subject_of(lab, "shop.example"), "shop.example", "certificate for shop.example")


@scenario(families=BOTH_FAMILIES)
def alpn(lab):
    """The listener's preference decides; without a common protocol the client gets an alert."""
    lab.nginx()
    config = lab.config()
    config["listeners"]["https"]["tls"]["alpn"] = ["http/1.1", "http/1.0"]
    lab.start(config)
    for offered, chosen in ((["http/1.0", "http/1.1"], "http/1.1"), (["http/1.0"], "http/1.0"),
                            (["h2", "http/1.1"], "http/1.1"), (None, None)):
        with lab.tls(context=lab.tls_context(alpn=offered)) as connection:
            expect_equal(connection.selected_alpn_protocol(), chosen, f"ALPN of {offered}")
    refused = s_client(lab.client, ADDRESS, "-alpn", "h2", sni="shop.example")
    expect_in("alert no application protocol", refused.stdout + refused.stderr, "answer to h2")


def resume_often(lab, version):
    """Reconnects with the last ticket; returns how many handshakes were resumed."""
    context = lab.tls_context(minimum=version, maximum=version)
    session, resumed = None, 0
    for _ in range(21):
        with lab.tls(context=context, session=session) as connection:
            resumed += connection.session_reused
            expect_in(b"200 OK", http_get(connection), "answer")
            session = connection.session
    return resumed


@scenario(workers=ONE_AND_TWO_WORKERS, families=BOTH_FAMILIES)
def tickets(lab):
    """A ticket is good on every worker, whichever gave it out."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        expect_equal(resume_often(lab, version), 20, f"resumed of 20 with {version.name}")
    counters = lab.settled()
    expect_equal(counters["tls_handshakes_resumed"], 40, "tls_handshakes_resumed")
    for worker, values in counters.workers.items():
        expect_within(values["tls_handshakes_completed"], 1, 42, f"handshakes on worker {worker}")


@scenario(families=BOTH_FAMILIES)
def rsa_certificate(lab):
    """An RSA key serves both versions."""
    lab.authority.issue("shop", "shop.example", key="RSA")
    lab.page("index.html", "x")
    lab.nginx()
    lab.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with lab.tls(context=lab.tls_context(minimum=version, maximum=version)) as connection:
            expect_in(b"200 OK", http_get(connection), "answer")
