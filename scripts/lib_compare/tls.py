"""Certificates for the scenarios over TLS, and the load of resumed handshakes."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib_compare import machine
from lib_compare.wrk import LoadError

# The features of the scenarios over TLS, and the key that each of them has.
KEYS = {
    "tls": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "tls-rsa": ["rsa:2048"],
}

SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]

# "123 connections in 1.00s; ..." and "123 connections in 2 real seconds, ..."
REAL = re.compile(r"(\d+) connections in (\d+) real seconds")

# A load that exceeds its duration by this is killed.
GRACE_SECONDS = 30


class Files(NamedTuple):
    """The paths of a certificate and its key."""

    cert: str
    key: str


def is_secure(feature):
    """Whether the connections of a scenario with this feature have TLS."""
    return feature in KEYS


def files(place):
    """The certificate of a scenario, made by openssl at its first use."""
    folder = Path(place.home).parent
    found = Files(str(folder / f"{place.feature}.pem"), str(folder / f"{place.feature}.key"))
    if not Path(found.cert).exists():
        program = machine.find("openssl") or "openssl"
        command = [program, "req", "-x509", "-nodes", "-days", "30", *SUBJECT, "-newkey",
                   *KEYS[place.feature], "-keyout", found.key, "-out", found.cert]
        subprocess.run(command, check=True, capture_output=True)
    return found


def resume(address, path, seconds):
    """Resumes a TLS 1.2 session on one connection after the other, each with one request; returns
    (connections, seconds). The client is that of OpenSSL."""
    command = ["openssl", "s_time", "-connect", "%s:%d" % address, "-www", path, "-reuse",
               "-time", str(seconds), "-tls1_2"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds + GRACE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadError("openssl s_time did not exit in time") from error
    match = REAL.search(done.stdout)
    if done.returncode != 0 or match is None:
        raise LoadError(f"openssl s_time failed: {done.stdout.strip()[-300:]!r}")
    if "r" not in done.stdout.split("starting")[-1]:
        raise LoadError("no session was resumed")
    return int(match[1]), int(match[2])
