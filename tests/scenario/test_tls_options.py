"""TLS as a listener's options change it: client certificates, tickets of several machines, OCSP
staples, profiles, and what the log says of handshakes that fail."""

import os
import ssl

from lab.certs import Authority
from lab.peers import s_client
from lab.scenario import BOTH_FAMILIES, expect, expect_equal, expect_in, scenario
from lab.topology import OUTSIDE, at, http_get

ADDRESS = at(OUTSIDE, 443)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def with_tls(lab, **options):
    """The base configuration with these options of the listener's tls."""
    config = lab.config()
    config["listeners"]["https"]["tls"].update(options)
    return config


# ---- client certificates ----

def client_context(lab, version, certificate=None):
    context = lab.tls_context(minimum=version, maximum=version)
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def answer_to(lab, version, certificate=None):
    """The page, or what the client learns of its refusal."""
    try:
        with lab.tls(context=client_context(lab, version, certificate)) as connection:
            return http_get(connection).decode()
    except ssl.SSLError as error:
        return error.reason


def people(lab):
    """Certificates of clients: a good one, one that has expired, one of another authority."""
    staff = Authority(lab.path("staff"), "Staff")
    strangers = Authority(lab.path("strangers"), "Strangers")
    return (staff.issue("alice", "alice.example", use="clientAuth"),
            staff.issue("bob", "bob.example", use="clientAuth", days=-1),
            strangers.issue("mallory", "mallory.example", use="clientAuth"))


@scenario(families=BOTH_FAMILIES)
def client_certificates_required(lab):
    """Only a certificate of the listener's authority gets in; others get the alert of their cause,
    and the log says who was refused, why and what to change."""
    alice, bob, mallory = people(lab)
    lab.page("index.html", "for staff\n")
    lab.nginx()
    lab.start(with_tls(lab, **{"client-auth": {"mode": "required", "ca": "staff/ca.crt"}}))
    for version in VERSIONS:
        expect_in("for staff", answer_to(lab, version, alice), "answer to alice")
        mark = lab.sluice.process.log_mark()
        lacking = ("TLSV13_ALERT_CERTIFICATE_REQUIRED" if version == ssl.TLSVersion.TLSv1_3
                   else "SSLV3_ALERT_HANDSHAKE_FAILURE")
        for certificate, alert, line in (
                (None, lacking, "the client showed no certificate, and the listener requires one"),
                (bob, "SSLV3_ALERT_CERTIFICATE_EXPIRED",
                 r"\(CN=bob\.example\) is refused: it expired on "),
                (mallory, "TLSV1_ALERT_UNKNOWN_CA",
                 r"\(CN=mallory\.example\) is refused: .*Strangers .*staff/ca\.crt.*"
                 r"tls\.client-auth\.ca")):
            expect_equal(answer_to(lab, version, certificate), alert, "answer")
            lab.sluice.process.wait_for(line, since=mark)
    counters = lab.settled()
    expect_equal(counters["tls_client_certificates"], 2, "tls_client_certificates")
    expect_equal(counters["tls_client_certificates_refused"], 6, "tls_client_certificates_refused")


@scenario(families=BOTH_FAMILIES)
def client_certificates_optional(lab):
    """A client may do without a certificate, but not show a wrong one."""
    alice, _, mallory = people(lab)
    lab.page("index.html", "for all\n")
    lab.nginx()
    lab.start(with_tls(lab, **{"client-auth": {"mode": "optional", "ca": "staff/ca.crt"}}))
    for version in VERSIONS:
        expect_in("for all", answer_to(lab, version), "answer without a certificate")
        expect_in("for all", answer_to(lab, version, alice), "answer to alice")
        expect_equal(answer_to(lab, version, mallory), "TLSV1_ALERT_UNKNOWN_CA",
                     "answer to mallory")
    expect_in("for all", lab.curl("/index.html", "--cert", alice[0], "--key", alice[1]).stdout,
              "curl's page")
    result = s_client(lab.client, ADDRESS, sni="shop.example")
    expect_in("CN = Staff", result.stdout, "authorities that the client is told")


@scenario(families=BOTH_FAMILIES)
def client_certificates_and_reload(lab):
    """A session that was begun without a certificate is not resumed once one is required."""
    alice, _, _ = people(lab)
    lab.page("index.html", "x")
    lab.nginx()
    lab.start(with_tls(lab))
    context = client_context(lab, ssl.TLSVersion.TLSv1_3)
    session = session_of(lab, context)
    lab.rewrite(with_tls(lab, **{"client-auth": {"mode": "required", "ca": "staff/ca.crt"}}))
    lab.sluice.reload("is in force")
    try:
        resumed(lab, context, session)
        expect(False, "a client without a certificate was let in")
    except ssl.SSLError as error:
        expect_equal(error.reason, "TLSV13_ALERT_CERTIFICATE_REQUIRED", "answer")
    context = client_context(lab, ssl.TLSVersion.TLSv1_3, alice)
    session = session_of(lab, context)
    lab.sluice.reload("is in force")
    expect(resumed(lab, context, session), "alice's session is resumed after a reload")


# ---- tickets ----

def session_of(lab, context):
    with lab.tls(context=context) as connection:
        http_get(connection)
        return connection.session


def resumed(lab, context, session):
    """Whether a handshake with this session was resumed."""
    with lab.tls(context=context, session=session) as connection:
        http_get(connection)
        return connection.session_reused


def write_secret(lab, name):
    with open(lab.path(name), "wb", opener=lambda p, f: os.open(p, f, 0o600)) as out:
        out.write(os.urandom(80))
    return name


@scenario(families=BOTH_FAMILIES)
def tickets_of_several_machines(lab):
    """A daemon opens the tickets of another one with the same secret, and of no other."""
    lab.page("index.html", "x")
    lab.nginx()
    contexts = [lab.tls_context(minimum=v, maximum=v) for v in VERSIONS]

    def daemon_with(secret):
        if lab.sluice:
            lab.sluice.stop()
        lab.start(lab.config(tickets={"secret-file": secret, "rotation": "1h"}))

    one, other = write_secret(lab, "one.secret"), write_secret(lab, "other.secret")
    for first, second, good in ((one, one, True), (one, other, False)):
        daemon_with(first)
        sessions = [session_of(lab, context) for context in contexts]
        daemon_with(second)
        for context, session in zip(contexts, sessions):
            expect_equal(resumed(lab, context, session), good,
                         f"resumed from {first} to {second}")


@scenario(families=BOTH_FAMILIES)
def ticket_secret_refused(lab):
    """A reload with a secret that others can read changes nothing and says why."""
    lab.page("index.html", "x")
    lab.nginx()
    secret = write_secret(lab, "ticket.secret")
    lab.start(lab.config(tickets={"secret-file": secret}))
    os.chmod(lab.path(secret), 0o644)
    lab.sluice.reload(r"sluice\.yaml:\d+:\d+: error: tickets\.secret-file: .*chmod 600")
    os.chmod(lab.path(secret), 0o600)
    context = lab.tls_context()
    session = session_of(lab, context)
    lab.sluice.reload("is in force")
    expect(resumed(lab, context, session), "the session is resumed after a reload")


# ---- OCSP ----

@scenario(families=BOTH_FAMILIES)
def ocsp_staple(lab):
    """A client that asks gets the response; after a reload, the new one."""
    lab.authority.ocsp("shop")
    config = lab.config()
    config["certificates"]["shop"]["ocsp"] = "certs/shop.der"
    lab.nginx()
    lab.start(config)
    for version in ("-tls1_2", "-tls1_3"):
        result = s_client(lab.client, ADDRESS, version, "-status", "-CAfile",
                          lab.authority.certificate, sni="shop.example")
        expect_in("OCSP Response Status: successful", result.stdout, "staple")
        expect_in("Cert Status: good", result.stdout, "staple")
        result = s_client(lab.client, ADDRESS, version, sni="shop.example")
        expect("OCSP Response Status" not in result.stdout, "a staple that nobody asked for")
    expect_equal(lab.settled()["tls_ocsp_stapled"], 2, "tls_ocsp_stapled")
    lab.authority.issue("other", "other.example")
    os.replace(lab.authority.ocsp("other"), lab.path("certs", "shop.der"))
    lab.sluice.reload(r"sluice\.yaml:\d+:\d+: error: certificates\.shop\.ocsp: .*"
                      r"is about another certificate than CN=shop\.example")
    lab.authority.ocsp("shop", days=2)
    lab.sluice.reload(r"warning: certificates\.shop\.ocsp: the OCSP response is over in [12] day")


# ---- profiles and failed handshakes ----

@scenario(families=BOTH_FAMILIES)
def profile_modern(lab):
    """TLS 1.3 only; a client without it is told from one that a setting would help."""
    lab.page("index.html", "x")
    lab.nginx()
    lab.start(with_tls(lab, profile="modern"))
    with lab.tls() as connection:
        expect_equal(connection.version(), "TLSv1.3", "version")
        http_get(connection)
    result = s_client(lab.client, ADDRESS, "-tls1_2", sni="shop.example")
    expect_in("alert protocol version", result.stdout + result.stderr, "answer to TLS 1.2")
    lab.sluice.process.wait_for("client offers at most TLS 1.2; this listener accepts only TLS 1.3: "
                                "update the client, or set tls.profile to intermediate")


@scenario(families=BOTH_FAMILIES)
def failed_handshakes(lab):
    """Each refusal says what was offered, what we have, and what to change."""
    lab.nginx()
    lab.start(with_tls(lab, alpn=["http/1.1"]))
    for options, line in (
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
             r"client offers the cipher suites 0xc02f.*: give the listener an RSA certificate"),
            (["-tls1_3", "-groups", "P-521"],
             r"groups P-521; this listener accepts X25519, P-256 and P-384"),
            (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"],
             r"signatures rsa_pss_rsae_sha256, none of which the certificate's ECDSA P-256 key can "
             r"make in TLS 1\.3: give the listener a certificate with an RSA key"),
            (["-alpn", "h2"],
             r"protocols h2; this listener accepts http/1\.1: extend tls\.alpn")):
        mark = lab.sluice.process.log_mark()
        expect(s_client(lab.client, ADDRESS, *options, sni="shop.example").returncode != 0,
               f"{options} is refused")
        lab.sluice.process.wait_for(line, since=mark)
    expect_equal(lab.settled()["hello_refused"], 4, "hello_refused")
