"""API keys: who may ask for work.

Keys come from the environment and from a file, are kept as SHA-256 digests only, and are compared
in constant time. A plain digest guards a secret that is random; it would not guard a password.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployments.ingress.http.key_options import KeyOptions, read_options
from deployments.missing import MissingHere
from deployments.rate_settings import RateSettings

logger = logging.getLogger(__name__)

KEYS_VARIABLE = "BACKDROP_API_KEYS"
FILE_VARIABLE = "BACKDROP_API_KEYS_FILE"

_DIGEST = "sha256:"
_HEX = re.compile("[0-9a-f]{64}")


class KeysFileMissing(ValueError, MissingHere):
    """The file of API keys is not on this machine, or cannot be read here."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key.

    Attributes:
        name: What logs call it.
        digest: SHA-256 of its secret.
        options: What it may do, and until when.
    """

    name: str
    digest: bytes = field(repr=False)
    options: KeyOptions = field(default_factory=KeyOptions)


class KeyRing:
    """The active keys, several of which may be valid at once.

    Args:
        keys: By name the secret, or `sha256:` and the secret's digest in lower-case hexadecimal.
        file: A file of further keys, as `BACKDROP_API_KEYS_FILE` names it. It is read again when it
            has changed, so that a key can be added or taken back while the service runs.
        max_images: The most images of one request, which a key's own rate must allow.

    Raises:
        ValueError: The file cannot be read, holds no key, or one that is wrong, as in
            `from_environment`.
    """

    def __init__(
        self, keys: Mapping[str, str], file: Path | None = None, *, max_images: int = 1
    ) -> None:
        self._max_images = max_images
        self._own = {name: ApiKey(name, _digest(secret)) for name, secret in keys.items()}
        self._file = file
        self._version: tuple[int, ...] = ()
        self._keys = self._own
        if file is not None:
            self._version = _version(file)
            self._keys = self._own | self._read(file)

    @classmethod
    def from_environment(
        cls, max_images: int = 1, environment: Mapping[str, str] = os.environ
    ) -> KeyRing | None:
        """Read the keys; None when neither variable is set.

        `BACKDROP_API_KEYS` holds `name:secret` pairs separated by commas; the file that
        `BACKDROP_API_KEYS_FILE` names holds one a line, blank lines and lines that begin with `#`
        aside; there `KeyOptions` may follow a key. In place of a secret both take `sha256:` and its
        digest.

        Args:
            max_images: As above.
            environment: Holds the variables.

        Raises:
            KeysFileMissing: The file cannot be read.
            ValueError: A pair has no name or no secret, repeats a name, or has a secret that no
                header can carry, or a digest that is none; or the file holds no pair. The sentence
                shows no secret.
        """
        text = environment.get(KEYS_VARIABLE, "").strip()
        file = environment.get(FILE_VARIABLE, "").strip()
        if not text and not file:
            return None
        keys = dict(_pairs(KEYS_VARIABLE, "pair", _split(text))) if text else {}
        return cls(keys, Path(file) if file else None, max_images=max_images)

    def find(self, secret: str) -> ApiKey | None:
        """A key, expired or not, or None if it is not one of ours."""
        self._refresh()
        given = hashlib.sha256(secret.encode()).digest()
        found = None
        for key in self._keys.values():
            if hmac.compare_digest(given, key.digest):
                found = key
        return found

    def rates_of(self, name: str, service: RateSettings) -> RateSettings:
        """The rates of a key, expired or not, by its name.

        Args:
            name: The key's; of one that is not there any more the service's hold.
            service: What holds where it has none of its own.
        """
        self._refresh()
        key = self._keys.get(name)
        return service if key is None else key.options.rates_over(service)

    @property
    def names(self) -> Sequence[str]:
        """The names of the keys, in the order of their places."""
        self._refresh()
        return tuple(self._keys)

    def _refresh(self) -> None:
        if self._file is None or (version := _version(self._file)) == self._version:
            return
        self._version = version
        try:
            self._keys = self._own | self._read(self._file)
        except ValueError as error:
            logger.error("the API keys stay as they were: %s", error)
        else:
            logger.info("the API keys were read again: %s", ", ".join(self._keys))

    def _read(self, file: Path) -> dict[str, ApiKey]:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise KeysFileMissing(f"{FILE_VARIABLE}: {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{FILE_VARIABLE}: {file}: it is not UTF-8 text") from None
        numbered = (
            (number, line)
            for number, line in enumerate(map(str.strip, lines), start=1)
            if line and not line.startswith("#")
        )
        words: dict[str, tuple[int, list[str]]] = {}
        keys = dict(_pairs(FILE_VARIABLE, "line", _without_options(numbered, words)))
        options = {
            name: read_options(given, f"{FILE_VARIABLE}: line {number}", self._max_images)
            for name, (number, given) in words.items()
        }
        if not keys:
            raise ValueError(f"{FILE_VARIABLE}: {file} names no key")
        if both := sorted(self._own.keys() & keys.keys()):
            raise ValueError(
                f"{KEYS_VARIABLE} and {FILE_VARIABLE} name the same keys: {', '.join(both)}"
            )
        return {name: ApiKey(name, _digest(secret), options[name]) for name, secret in keys.items()}


def a_secret(environment: Mapping[str, str] = os.environ) -> str | None:
    """The first secret the environment tells, for calls of the operator's own.

    None where no key is set, or only digests are.

    Args:
        environment: Holds the variables.

    Raises:
        ValueError: As in `KeyRing.from_environment`.
    """
    KeyRing.from_environment(environment=environment)
    told = list(_split(environment.get(KEYS_VARIABLE, "").strip()))
    if file := environment.get(FILE_VARIABLE, "").strip():
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        told += _without_options(
            (number, line) for number, line in enumerate(lines) if not line.strip().startswith("#")
        )
    secrets = (pair.partition(":")[2].strip() for _, pair in told)
    return next((secret for secret in secrets if secret and not secret.startswith(_DIGEST)), None)


def _split(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split(","), start=1)


def _without_options(
    numbered: Iterable[tuple[int, str]], words: dict[str, tuple[int, list[str]]] | None = None
) -> Iterator[tuple[int, str]]:
    """The lines of a file without what stands after their keys.

    Args:
        numbered: The lines.
        words: Is given what stands there, with the numbers of the lines, by the names of the keys.
    """
    for number, line in numbered:
        name, sign, rest = line.partition(":")
        secret, *after = rest.split() or [""]
        if words is not None:
            words[name.strip()] = number, after
        yield number, f"{name}{sign}{secret}"


def _pairs(
    variable: str, kind: str, numbered: Iterable[tuple[int, str]]
) -> Iterator[tuple[str, str]]:
    """Name and secret, or digest, of each pair; wrong ones are told by their place alone."""
    seen = set()
    for position, pair in numbered:
        name, _, secret = (part.strip() for part in pair.partition(":"))
        if not name or not secret:
            raise ValueError(
                f"{variable} must be name:secret pairs"
                f"{' separated by commas' if kind == 'pair' else ', one a line'}; "
                f"{kind} {position} is not one"
            )
        if name in seen:
            raise ValueError(f"{variable} names two keys alike; {kind} {position} is one")
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError(
                f"{variable} must have secrets of printable ASCII characters; "
                f"that of {kind} {position} has others"
            )
        if secret.startswith(_DIGEST) and not _HEX.fullmatch(secret.removeprefix(_DIGEST)):
            raise ValueError(
                f"{variable} must have 64 lower-case hexadecimal digits after {_DIGEST}; "
                f"{kind} {position} has not"
            )
        seen.add(name)
        yield name, secret


def _digest(secret: str) -> bytes:
    if secret.startswith(_DIGEST):
        return bytes.fromhex(secret.removeprefix(_DIGEST))
    return hashlib.sha256(secret.encode()).digest()


def _version(file: Path) -> tuple[int, ...]:
    """What changes when a file does; of one that cannot be seen, nothing."""
    try:
        told = file.stat()
    except OSError:
        return ()
    return told.st_ino, told.st_size, told.st_mtime_ns
