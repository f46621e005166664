"""Certificates made on the spot by openssl, for servers on the loopback address."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rig.ports import LOCALHOST

_ELLIPTIC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """An authority of a test's own, which nobody else trusts."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_ELLIPTIC, "-days", "2", "-subj", f"/CN={name}",
            "-keyout", str(self._key), "-out", str(self.certificate),
        )  # fmt: skip

    def issue(self, name: str, host: str = f"IP:{LOCALHOST}") -> Certificate:
        """A certificate for a host, as openssl writes it in subjectAltName. The same name gives the same."""
        issued = Certificate(
            self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key"
        )
        if not issued.certificate.exists():
            _openssl(
                "req", "-x509", *_ELLIPTIC, "-days", "2", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={host}", "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", str(self.certificate), "-CAkey", str(self._key),
                "-keyout", str(issued.key), "-out", str(issued.certificate),
            )  # fmt: skip
        return issued


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)
