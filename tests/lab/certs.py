"""A throw-away certification authority, by way of the openssl command."""

import os

from lab.process import run

_EXTENSIONS = """
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = {use}
subjectAltName = {names}
"""


class Authority:
    """Signs server certificates into a directory: NAME.crt (leaf, then the CA) and NAME.key."""

    def __init__(self, directory, subject="Sluice test authority"):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.certificate = self._path("ca.crt")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", f"/CN={subject}",
            "-keyout", self._path("ca.key"), "-out", self.certificate)

    def _path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name, *dns_names, days=30, key="P-256", use="serverAuth"):
        """Makes a certificate for the DNS names; days < 0 makes one that has expired already; `use` is
        the extended key usage.

        Returns the paths of its chain and key.
        """
        chain, key_path = self._path(f"{name}.crt"), self._path(f"{name}.key")
        request, extensions = self._path(f"{name}.csr"), self._path(f"{name}.ext")
        algorithm = ["rsa:2048"] if key == "RSA" else ["ec", "-pkeyopt", f"ec_paramgen_curve:{key}"]
        run("openssl", "req", "-new", "-newkey", *algorithm, "-nodes", "-subj",
            f"/CN={dns_names[0]}", "-keyout", key_path, "-out", request)
        with open(extensions, "w", encoding="ascii") as out:
            out.write(_EXTENSIONS.format(use=use,
                                         names=", ".join(f"DNS:{n}" for n in dns_names)))
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate,
            "-CAkey", self._path("ca.key"), "-CAcreateserial", "-days", str(days),
            "-extfile", extensions, "-out", chain)
        with open(self.certificate, encoding="ascii") as ca, \
                open(chain, "a", encoding="ascii") as out:
            out.write(ca.read())
        return chain, key_path

    def ocsp(self, name, days=7):
        """Makes the response NAME.der, that the certificate NAME is good; returns its path."""
        chain, response = self._path(f"{name}.crt"), self._path(f"{name}.der")
        index = self._path(f"{name}.index")
        serial = run("openssl", "x509", "-in", chain, "-noout", "-serial").stdout
        serial = serial.strip().partition("=")[2]
        with open(index, "w", encoding="ascii") as out:
            out.write(f"V\t490101000000Z\t\t{serial}\tunknown\t/CN=x\n")
        run("openssl", "ocsp", "-index", index, "-CA", self.certificate,
            "-issuer", self.certificate, "-rsigner", self.certificate,
            "-rkey", self._path("ca.key"), "-cert", chain, "-ndays", str(days),
            "-respout", response)
        return response


def fingerprint(path):
    """SHA-256 of the first certificate in a PEM file, as openssl prints it."""
    text = run("openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256").stdout
    return text.strip().partition("=")[2]
