"""Makes the key of a host. This needs `cryptography`, whose 12 MB of memory no session needs: see app/host_key.py."""

from __future__ import annotations

import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "PhaseLock")])
# No peer compares these: the clocks of machines without a network are years off.
_FROM, _UNTIL = datetime.datetime(2020, 1, 1), datetime.datetime(9999, 12, 31)


def new_key_and_certificate() -> bytes:
    """A new private key (P-256, PKCS 8) and a certificate that it signed, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(_NAME, _NAME, key.public_key(), x509.random_serial_number(), _FROM, _UNTIL)
    certificate = builder.sign(key, hashes.SHA256())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def main() -> None:
    """Write a new one to standard output."""
    sys.stdout.buffer.write(new_key_and_certificate())
