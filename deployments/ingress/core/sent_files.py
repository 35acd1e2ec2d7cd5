"""The files that come with a request: known by their digests, and read only where they are used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from anyio import to_thread


class SentFile(Protocol):
    """A file as it was sent.

    A request that waits for another's answer, or is refused, holds this and not the file's bytes.
    """

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of its content, 32 bytes."""
        ...

    async def read(self) -> bytes:
        """Its content; may be called more than once while the request is worked on."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldFile:
    """A file whose content is in memory.

    Attributes:
        content: Its bytes.
        sha256: See `SentFile`.
    """

    content: bytes
    sha256: bytes

    @classmethod
    async def of(cls, content: bytes) -> HeldFile:
        """Digest a content, off the event loop: 32 MiB take some 20 ms."""
        digest = await to_thread.run_sync(hashlib.sha256, content)
        return cls(content, digest.digest())

    async def read(self) -> bytes:
        """See `SentFile`."""
        return self.content
