"""The messages of the ingress replicas to the admission deployment: what they ask for and hold.

And what it grants.

A replica numbers its messages. A lease or a claim has the number of the message that asked for it.
So messages may arrive twice or in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

HEARTBEAT_S = 2.0
"""Seconds between two reports of an ingress replica that holds something."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Places for the images of one request.

    Attributes:
        id: Unique.
        sequence: Number of the message that asked for it.
        model: Catalog id.
        api_key_name: Empty for callers without an API key, who count as one key.
        images: Places still held, at least 1.
        steps: Denoising steps of each image.
        asked: Images that the request asked for, at least `images`.
        searches: Whether the product is looked for before they are made.
        mark: Digest of what the request asks for: the same when a caller asks again.
    """

    id: str
    sequence: int
    model: str
    api_key_name: str
    images: int
    steps: int
    asked: int
    searches: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class RateLeft:
    """What is left of one of an API key's rates.

    Attributes:
        name: `requests` or `images`.
        limit: How many of these any 60 seconds may have.
        left: How many may be asked for now.
        more_s: Seconds until it may be more; 0 where all are left.
    """

    name: str
    limit: int
    left: int
    more_s: float


@dataclass(frozen=True, slots=True)
class Granted:
    """What is told with the places of a request.

    Attributes:
        place: The request's place among those whose images are made by the model, from 1 on.
        expected_s: Seconds after which it is probably done; None as long as nothing was measured.
        rates: The key's rates, this request counted.
    """

    place: int
    expected_s: float | None
    rates: tuple[RateLeft, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make the answer of an idempotency key; one request has it at a time.

    Attributes:
        id: Unique.
        sequence: Number of the message that asked for it.
        name: Digest of the API key's name and the idempotency key.
        fingerprint: Digest of the request's content.
    """

    id: str
    sequence: int
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class MadeImage:
    """A measurement of an image that was made.

    Attributes:
        model: Catalog id.
        steps: Its denoising steps, at least 1.
        search_share: Its part of the search for its request's product, 0 to 1; 0 without one.
    """

    model: str
    steps: int
    search_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All that an ingress replica holds. It is its heartbeat, and frees what it does not name.

    Attributes:
        replica: The ingress replica.
        sequence: Number of this message.
        leases: All leases it holds.
        claims: All claims it holds.
        asked: Ids of the leases and claims for which it waits.
        made: Images made since its last report.
    """

    replica: str
    sequence: int
    leases: tuple[Lease, ...]
    claims: tuple[Claim, ...]
    asked: frozenset[str]
    made: tuple[MadeImage, ...]
