"""Signatures of callbacks, as the Standard Webhooks specification has them.

The secrets come from the environment, are read again when their file changes, and are shown to
nobody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from deployments.missing import MissingHere

logger = logging.getLogger(__name__)

SECRETS_VARIABLE = "BACKDROP_WEBHOOK_SECRETS"
FILE_VARIABLE = "BACKDROP_WEBHOOK_SECRETS_FILE"

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, by the specification."""

MOST = 8
"""Secrets: each is one signature more in a header."""


class SecretsMissing(ValueError, MissingHere):
    """No secret is set, or the file of them is not on this machine."""


class Signer:
    """Signs what is sent, once with each secret.

    Args:
        environment: `BACKDROP_WEBHOOK_SECRETS` holds secrets separated by commas. The file that
            `BACKDROP_WEBHOOK_SECRETS_FILE` names holds one a line, blank lines and lines that begin
            with `#` aside. A secret is `whsec_` and Base64 of 24 to 64 bytes.

    Raises:
        ValueError: There is none, or too many, or one is wrong, or the file cannot be read. The
            sentence shows no secret.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        text = environment.get(SECRETS_VARIABLE, "").strip()
        file = environment.get(FILE_VARIABLE, "").strip()
        if not text and not file:
            raise SecretsMissing(
                f"webhooks.hosts needs a secret to sign with: set {SECRETS_VARIABLE} or "
                f"{FILE_VARIABLE}"
            )
        own = text.split(",") if text else []
        self._own = [_secret(part, SECRETS_VARIABLE, n) for n, part in enumerate(own, start=1)]
        self._file = Path(file) if file else None
        self._version = _version(self._file)
        self._secrets = self._all()

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The headers that tell who has sent a message, and what.

        Args:
            message_id: The same at each try.
            timestamp: When this try is made, in seconds since 1970.
            body: As it is sent.
        """
        self._refresh()
        signed = f"{message_id}.{timestamp}.".encode() + body
        signatures = (
            base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
            for secret in self._secrets
        )
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }

    def _refresh(self) -> None:
        if (version := _version(self._file)) == self._version:
            return
        self._version = version
        try:
            self._secrets = self._all()
        except ValueError as error:
            logger.error("the webhook secrets stay as they were: %s", error)
        else:
            logger.info("the webhook secrets were read again: there are %d", len(self._secrets))

    def _all(self) -> list[bytes]:
        secrets = [*self._own, *(_read(self._file) if self._file is not None else [])]
        if len(secrets) > MOST:
            raise ValueError(
                f"{SECRETS_VARIABLE} and {FILE_VARIABLE} name {len(secrets)} secrets: {MOST} may be"
            )
        return secrets


def _read(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SecretsMissing(f"{FILE_VARIABLE}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{FILE_VARIABLE}: {file}: it is not UTF-8 text") from None
    secrets = [
        _secret(line, FILE_VARIABLE, number)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.strip().startswith("#")
    ]
    if not secrets:
        raise ValueError(f"{FILE_VARIABLE}: {file} names no secret")
    return secrets


def _secret(text: str, variable: str, number: int) -> bytes:
    text = text.strip()
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_PREFIX) or not _SHORTEST <= len(secret) <= _LONGEST:
        raise ValueError(
            f"{variable}: secret {number} must be {_PREFIX} and Base64 of {_SHORTEST} to "
            f"{_LONGEST} bytes"
        )
    return secret


def _version(file: Path | None) -> tuple[int, ...]:
    """What changes when a file does; of one that cannot be seen, nothing."""
    try:
        told = None if file is None else file.stat()
    except OSError:
        told = None
    return () if told is None else (told.st_ino, told.st_size, told.st_mtime_ns)
