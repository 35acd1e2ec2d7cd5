"""What callbacks need of what is outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.ingress.core.background.names import Name
from deployments.ingress.core.callbacks.targets import Target

Outcome = Literal["delivered", "retried", "given_up"]
"""What has become of a try: it succeeded, it will be made again, or its event is given up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver has answered.

    Attributes:
        status: The HTTP status.
        retry_after_s: Seconds after which it wants to be asked again; None where it says nothing.
    """

    status: int
    retry_after_s: float | None = None


class NotReached(Exception):
    """A receiver has not answered.

    Args:
        told: Why, in words that its caller may see: they tell nothing of the network behind.
    """

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


class Receivers(Protocol):
    """Those who are called back."""

    async def post(self, target: Target, message_id: str, body: bytes) -> Reply:
        """Send a signed message.

        Raises NotReached.
        """
        ...

    def count(self, outcome: Outcome) -> None:
        """Count what has become of a try."""
        ...


class StoredCallbacks(Protocol):
    """How far the callbacks of background requests are, as long as they are not done."""

    async def save(self, name: Name, callback: Mapping[str, object], version: str) -> str | None:
        """Replace one version, or the lack of one where it is empty.

        Returns the new version; None where somebody else was faster.
        """
        ...

    async def load(self, name: Name) -> tuple[Mapping[str, object], str] | None:
        """Read one and its version; None where there is none."""
        ...

    async def all(self) -> Sequence[Name]:
        """List the requests that have one, in no order."""
        ...

    async def remove(self, name: Name) -> None:
        """Remove one that is done."""
        ...
