"""How background requests are named, and in which order they are worked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.ingress.core.keys import made_ms


@dataclass(frozen=True, slots=True)
class Name:
    """What a background request is stored under.

    Attributes:
        owner: A digest of the API key's name; 32 lower-case hexadecimal digits.
        request: Its own key, of as many digits.
    """

    owner: str
    request: str

    @property
    def submitted_ms(self) -> int:
        """When it was submitted, in milliseconds since 1970."""
        return made_ms(self.request)


def in_turn(names: Iterable[Name]) -> list[Name]:
    """The order in which requests are worked on.

    The oldest of each owner come first, then the second of each, and so on; among these the oldest
    first. So who submits many waits longer, and keeps nobody else waiting.
    """
    oldest_first = sorted(names, key=lambda name: (name.submitted_ms, name.request))
    before = Counter[str]()
    ranked = []
    for name in oldest_first:
        ranked.append((before[name.owner], name))
        before[name.owner] += 1
    return [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
