"""What the ingress replicas hold of what they share, as it crosses to the admission deployment.

Every message of a replica has a number of its own, counted up, and every thing it holds has the
number of the message that asked for it. So messages may arrive twice or in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

HEARTBEAT_S = 2.0
"""Seconds between two reports of an ingress replica that holds anything."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Places for the images of one request.

    Attributes:
        id: Unique.
        sequence: Number of the message that asked for it.
        model: Catalog id.
        key: Name of the API key; empty for callers without one, who count as one key.
        images: Places still held, at least 1.
        steps: Denoising steps of each image.
    """

    id: str
    sequence: int
    model: str
    key: str
    images: int
    steps: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make the answer of an idempotency key, which one request has at a time.

    Attributes:
        id: Unique.
        sequence: Number of the message that asked for it.
        name: Digest of the API key's name and the idempotency key.
        fingerprint: Digest of what the request asks for.
    """

    id: str
    sequence: int
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A measurement: an image was made.

    Attributes:
        model: Catalog id.
        steps: Its denoising steps, at least 1.
        held_s: Seconds for which it held its place, above 0.
    """

    model: str
    steps: int
    held_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """All that an ingress replica holds: its heartbeat, and how it gives back.

    Attributes:
        replica: The ingress replica.
        sequence: Number of this message.
        leases: Everything it holds.
        claims: See above.
        asked: Ids of leases and claims it has asked for and not heard of yet.
        made: Images made since its last report.
    """

    replica: str
    sequence: int
    leases: tuple[Lease, ...]
    claims: tuple[Claim, ...]
    asked: frozenset[str]
    made: tuple[MadeImage, ...]
