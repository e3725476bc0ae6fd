"""Certificates for the scenarios over TLS, and the load of handshakes."""

import json
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


def handshakes(program, address, scenario, seconds):
    """Makes one connection after the other, each with one request, with examples/tls_load.rs;
    returns (connections, seconds). rustls is the client, with TLS 1.3."""
    command = [program, "--connect", "%s:%d" % address, "--path", scenario.path,
               "--seconds", str(seconds)]
    command += ["--resume"] if scenario.resumes else []
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds + GRACE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadError("tls_load did not exit in time") from error
    if done.returncode != 0:
        raise LoadError(f"tls_load failed: {done.stdout.strip()[-300:]!r}")
    result = json.loads(done.stdout)
    connections, resumed = result["connections"], result["resumed"]
    # Only the first one has no session to resume.
    expected = connections - 1 if scenario.resumes else 0
    if connections == 0 or resumed != expected:
        raise LoadError(f"{connections} connections, {resumed} of them resumed")
    return connections, result["seconds"]
