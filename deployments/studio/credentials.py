"""Content Credentials: results' files signed with the operator's certificate (C2PA).

A signed manifest in the file says what its marking says, and that the result was made from an
upload, which it names by a hash and does not hold. Nothing is asked for over the network: neither
the time nor whether the certificate was taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from deployments.composition import MEDIA_TYPES
from deployments.errors import InternalError
from deployments.missing import MissingHere
from deployments.recipes import Recipe
from deployments.studio.encoding import encode_png
from deployments.studio.marking import SOFTWARE, VOCABULARY, source_type

CERTIFICATE_VARIABLE = "BACKDROP_C2PA_CERTIFICATE"
"""The certificate and those that vouch for it, in PEM, its own first."""
# The name of a variable, not what it holds.
KEY_VARIABLE = "BACKDROP_C2PA_KEY"
FILE_SUFFIX = "_FILE"
"""With it, the variables name files that hold the same."""

_PHOTO = "photo"
# No thumbnail of what was made from; and the check of what was signed is done once, at the start.
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}

_logger = logging.getLogger(__name__)


class CredentialsRefused(Exception):
    """Files cannot be signed with what the environment holds; the message names the variable."""


class CredentialsMissing(CredentialsRefused, MissingHere):
    """A variable, a file or the package to sign with is missing on this machine."""


def load_signer(environment: Mapping[str, str]) -> ManifestSigner | None:
    """Make a signer of the certificate and the key that an environment holds or names.

    Args:
        environment: Normally `os.environ`.

    Returns:
        The signer; None where neither is there.

    Raises:
        CredentialsRefused: One of the two is missing, they cannot be read, or they cannot sign.
    """
    certificate, key = (
        _read(environment, variable) for variable in (CERTIFICATE_VARIABLE, KEY_VARIABLE)
    )
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing, there = CERTIFICATE_VARIABLE, KEY_VARIABLE
        if certificate is not None:
            missing, there = there, missing
        raise CredentialsMissing(f"{missing}: it is not set, and {there} needs it")
    return ManifestSigner(certificate, key)


def _read(environment: Mapping[str, str], variable: str) -> tuple[str, bytes] | None:
    """The variable that was given, itself or with its suffix, and the PEM text."""
    text, file = environment.get(variable, ""), environment.get(variable + FILE_SUFFIX, "")
    if text and file:
        raise CredentialsRefused(f"{variable}: {variable}{FILE_SUFFIX} is set too; set one of them")
    if text:
        return variable, text.encode()
    if not file:
        return None
    try:
        return variable + FILE_SUFFIX, Path(file).read_bytes()
    except OSError as error:
        raise CredentialsMissing(
            f"{variable}{FILE_SUFFIX}: the file cannot be read: {error.strerror}"
        ) from None


class ManifestSigner:
    """Signs files; may be called from several threads.

    Args:
        certificate: The name of the variable it came from, and the PEM text.
        key: The same of the private key.

    Raises:
        CredentialsRefused: They are not what they should be, do not belong together, or what they
            sign is not valid.
    """

    def __init__(self, certificate: tuple[str, bytes], key: tuple[str, bytes]) -> None:
        if find_spec("c2pa") is None:
            raise CredentialsMissing(
                f"{certificate[0]}: signing needs the extra credentials, which is not installed: "
                "pip install 'backdrop[credentials]'"
            )
        self._chain, self._key = certificate[1], key[1]
        self._algorithm = _algorithm(certificate, key)
        self._try(certificate[0])

    def signed(self, file: bytes, recipe: Recipe) -> bytes:
        """Sign a result's file.

        Args:
            file: As `encoding.encode` made it.
            recipe: The result's, with its fidelity.

        Returns:
            The same file with a manifest in it.

        Raises:
            InternalError: It cannot be signed, as when the certificate has expired meanwhile.
        """
        import c2pa

        media_type = MEDIA_TYPES[recipe.look.output.file_format]
        try:
            return self._sign(file, media_type, manifest(recipe, media_type))
        except c2pa.C2paError as error:
            _logger.error("a result could not be signed: %s", error)
            raise InternalError("the image could not be signed") from None

    def _sign(self, file: bytes, media_type: str, told: Mapping[str, Any]) -> bytes:
        import c2pa

        signed = BytesIO()
        info = c2pa.C2paSignerInfo(self._algorithm, self._chain, self._key, None)
        with (
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(dict(told), context=context) as builder,
        ):
            builder.sign(signer, media_type, BytesIO(file), signed)
        return signed.getvalue()

    def _try(self, variable: str) -> None:
        """Sign a small picture and read it back, so that wrong credentials are told at the start.

        Raises:
            CredentialsRefused: It cannot be signed, or is not valid then.
        """
        import c2pa

        picture = encode_png(np.zeros((8, 8, 3), np.uint8), {})
        told = _manifest("image/png", "0", "algorithmicMedia", None)
        try:
            signed = self._sign(picture, "image/png", told)
            with c2pa.Reader("image/png", BytesIO(signed)) as reader:
                results = reader.get_validation_results() or {}
        except c2pa.C2paError as error:
            raise CredentialsRefused(
                f"{variable}: a file cannot be signed with it: {_line(str(error))}"
            ) from None
        failures = {
            failure["code"]
            for failure in results.get("activeManifest", {}).get("failure", [])
            # Which authorities to trust is for those to say who read the file.
            if failure["code"] != "signingCredential.untrusted"
        }
        if failures:
            raise CredentialsRefused(
                f"{variable}: what is signed with it is not valid ({', '.join(sorted(failures))})"
            )


def manifest(recipe: Recipe, media_type: str) -> dict[str, Any]:
    """Say what a result's manifest tells.

    Args:
        recipe: The result's, with its fidelity.
        media_type: Of its file.
    """
    return _manifest(media_type, recipe.version, source_type(recipe), recipe.photo_sha256)


def _manifest(media_type: str, version: str, term: str, photo_sha256: str | None) -> dict[str, Any]:
    software = {"name": SOFTWARE, "version": version}
    made = {"digitalSourceType": VOCABULARY + term, "softwareAgent": software}
    if photo_sha256 is None:
        ingredients, actions = [], [{"action": "c2pa.created", **made}]
    else:
        ingredients = [
            {
                "label": _PHOTO,
                "title": _PHOTO,
                "relationship": "parentOf",
                "instance_id": f"urn:sha256:{photo_sha256}",
            }
        ]
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": [_PHOTO]}},
            {"action": "c2pa.edited", **made},
        ]
    return {
        "claim_generator_info": [software],
        "format": media_type,
        "ingredients": ingredients,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }


def _algorithm(certificate: tuple[str, bytes], key: tuple[str, bytes]) -> bytes:
    """The signature algorithm of a key, as C2PA names it, once the two belong together."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        own = x509.load_pem_x509_certificates(certificate[1])[0]
    except (ValueError, IndexError):
        raise CredentialsRefused(f"{certificate[0]}: it is no certificate in PEM") from None
    try:
        private = load_pem_private_key(key[1], None)
    except (ValueError, TypeError):  # a TypeError where it needs a password
        raise CredentialsRefused(
            f"{key[0]}: it is no private key in PEM without a password"
        ) from None
    if private.public_key() != own.public_key():
        raise CredentialsRefused(f"{key[0]}: it does not belong to the certificate")
    now = datetime.now(UTC)
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        raise CredentialsRefused(
            f"{certificate[0]}: the certificate is valid from {own.not_valid_before_utc:%Y-%m-%d} "
            f"to {own.not_valid_after_utc:%Y-%m-%d}, and not now"
        )
    if isinstance(private, ec.EllipticCurvePrivateKey):
        curves = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512"}
        if private.curve.name in curves:
            return curves[private.curve.name]
    elif isinstance(private, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    elif isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 2048:
        return b"ps256"
    raise CredentialsRefused(
        f"{key[0]}: C2PA signs with keys of P-256, P-384, P-521, Ed25519, or RSA of 2048 bits"
    )


def _line(text: str) -> str:
    return " ".join(text.split())
