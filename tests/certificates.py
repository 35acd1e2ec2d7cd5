"""Certificates made for a test, as C2PA wants them: an authority, and one that it vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "short RSA": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - to be refused
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}
"""By name, what makes a key of the kind."""


@dataclass(frozen=True)
class Certified:
    """PEM texts.

    Attributes:
        chain: The certificate, and the authority's.
        key: Its private key.
        locked: The same with a password.
        authority: The authority's certificate.
    """

    chain: str
    key: str
    locked: str
    authority: str


def certified(
    kind: str = "P-256",
    *,
    begins_days: float = -1,
    ends_days: float = 30,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> Certified:
    """A certificate for signing, from so many days from now to so many."""
    root, own = KEYS["P-256"](), KEYS[kind]()
    now = datetime.now(UTC)

    def made(name: str, key, *, authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begins_days))
            .not_valid_after(now + timedelta(days=ends_days))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(_usage(authority), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()),
                critical=False,
            )
        )
        if not authority and purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return builder.sign(root, hashes.SHA256())

    authority = made("Test authority", root, authority=True).public_bytes(Encoding.PEM).decode()
    leaf = made("Test shop", own, authority=False).public_bytes(Encoding.PEM).decode()

    def key(lock) -> str:
        return own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()

    return Certified(
        chain=leaf + authority,
        key=key(NoEncryption()),
        locked=key(BestAvailableEncryption(b"secret")),
        authority=authority,
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
