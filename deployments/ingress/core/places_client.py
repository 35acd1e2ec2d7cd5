"""What this ingress replica holds of what all of them share: places for images, and claims.

The admission deployment decides. This remembers what it granted, repeats it as long as anything is
held, and gives back by leaving it out. Nobody waits for that: what a lost message should have given
back, the next one does.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import secrets
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from deployments.admission_messages import (
    HEARTBEAT_S,
    Claim,
    Granted,
    Lease,
    MadeImage,
    RateLeft,
    Report,
)
from deployments.errors import ServiceError
from deployments.ingress.core.events import Waiting
from deployments.ingress.core.ports import Admission
from deployments.ingress.core.sent_files import SentFile
from deployments.rate_settings import RatesOf

logger = logging.getLogger(__name__)

REFUSED = 429
"""Status of a refusal, after which there is nothing to give back."""


T = TypeVar("T")


def mark_of(asked: object, files: Mapping[str, SentFile | None]) -> str:
    """A short digest of a request, by which it is known again when it comes once more.

    Args:
        asked: Its fields, of plain values.
        files: Its files.
    """
    seen = hashlib.blake2b(repr(asked).encode(), digest_size=8)
    for name, file in files.items():
        if file is not None:
            seen.update(name.encode() + file.sha256)
    return seen.hexdigest()


class Places(Protocol):
    """Room for the images of one request.

    Attributes:
        waiting: The place and the end that the request was told; None where there is no line.
        rates: What is left of the key's rates.
    """

    waiting: Waiting | None
    rates: tuple[RateLeft, ...]

    def release(self, *, made: bool = False) -> None:
        """Give one image's room back; whether it was made."""
        ...

    def close(self) -> None:
        """Give back what is left; repeating it is harmless."""
        ...


class Holding:
    """Places of one request, or its claim; given back by `close`, at the latest.

    Args:
        client: Who took it.
        held: What.
    """

    def __init__(self, client: PlacesClient, held: Lease | Claim) -> None:
        self._client = client
        self._held = held

    def close(self) -> None:
        """Give back what is left; repeating it is harmless."""
        self._client.give_back(self._held.id)


class RequestPlaces(Holding):
    """Places for the images of one request.

    Args:
        client: Who took it.
        lease: As it was granted.
        granted: What was told with it.

    Attributes:
        waiting: The request's place and its probable end.
        rates: What is left of the key's rates.
    """

    def __init__(self, client: PlacesClient, lease: Lease, granted: Granted) -> None:
        super().__init__(client, lease)
        self._lease = lease
        self._left = lease.images
        self.waiting: Waiting | None = Waiting(granted.place, granted.expected_s)
        self.rates = granted.rates

    def release(self, *, made: bool = False) -> None:
        """Give one place back.

        Args:
            made: Whether its image was made.
        """
        lease = self._lease
        self._left -= 1
        if made:
            share = 1 / lease.asked if lease.searches else 0.0
            self._client.made(MadeImage(lease.model, lease.steps, share))
        self._client.keep(self._lease, self._left)


class PlacesClient:
    """Asks the admission deployment, and tells it what is held.

    Args:
        admission: The deployment.
        rates_of: Tells the rates of API keys.
        heartbeat_s: Seconds between two reports while anything is held.
    """

    def __init__(
        self, admission: Admission, rates_of: RatesOf, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._admission = admission
        self._rates_of = rates_of
        self._heartbeat_s = heartbeat_s
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._leases: dict[str, Lease] = {}
        self._claims: dict[str, Claim] = {}
        self._asked: set[str] = set()
        self._made: list[MadeImage] = []
        self._changed = asyncio.Event()
        self._told = True
        self._reporting: asyncio.Task[None] | None = None

    async def take(
        self,
        model: str,
        api_key_name: str,
        images: int,
        steps: int,
        *,
        searches: bool = False,
        mark: str = "",
    ) -> RequestPlaces:
        """Take places for all images of a request, or none.

        Args:
            model: Catalog id.
            api_key_name: Empty without a key.
            images: How many.
            steps: Denoising steps of each.
            searches: Whether the product is looked for before they are made.
            mark: See `mark_of`.

        Raises:
            Overloaded: There are not enough, or the key would pass its share.
            RateLimited: The key would pass its rate.
        """
        lease = Lease(
            id=self._new_id(),
            sequence=next(self._numbers),
            model=model,
            api_key_name=api_key_name,
            images=images,
            steps=steps,
            asked=images,
            searches=searches,
            mark=mark,
        )
        rates = self._rates_of(api_key_name)
        granted = await self._ask(lease.id, self._admission.take(self._name, lease, rates))
        self._leases[lease.id] = lease
        self._repeat()
        return RequestPlaces(self, lease, granted)

    async def claim(self, name: str, fingerprint: str) -> Holding | None:
        """Claim an idempotency key; None while another request for the same has it.

        Args:
            name: Digest of the key and of whose it is.
            fingerprint: Digest of what is asked for.

        Raises:
            IdempotencyConflict: Another request has it for something else.
        """
        claim = Claim(self._new_id(), next(self._numbers), name, fingerprint)
        if not await self._ask(claim.id, self._admission.claim(self._name, claim)):
            return None
        self._claims[claim.id] = claim
        self._repeat()
        return Holding(self, claim)

    def made(self, image: MadeImage) -> None:
        """Put a measurement into the next report."""
        self._made.append(image)

    def keep(self, lease: Lease, images: int) -> None:
        """Keep only so many of a lease's places."""
        if lease.id in self._leases:
            if images > 0:
                self._leases[lease.id] = replace(lease, images=images)
            else:
                del self._leases[lease.id]
            self._tell()

    def give_back(self, held: str) -> None:
        """Give back a lease or a claim by its id, if it is still held."""
        lease, claim = self._leases.pop(held, None), self._claims.pop(held, None)
        if lease is not None or claim is not None:
            self._tell()

    async def _ask(self, held: str, answer: Awaitable[T]) -> T:
        self._asked.add(held)
        try:
            return await answer
        except BaseException as error:
            # It may have been granted all the same. A report that leaves it out takes it back.
            if getattr(error, "status", None) != REFUSED:
                self._tell()
            raise
        finally:
            self._asked.discard(held)

    def _tell(self) -> None:
        """Report as soon as possible."""
        self._told = False
        self._repeat()
        self._changed.set()

    def _repeat(self) -> None:
        """Report from now on, first after a heartbeat: the admission knows what it has granted."""
        if self._reporting is None or self._reporting.done():
            # A new event, because it belongs to the event loop that first waits for it.
            self._changed = asyncio.Event()
            self._reporting = asyncio.create_task(self._report())

    async def _report(self) -> None:
        """Report until nothing is held and the admission knows that."""
        while self._leases or self._claims or not self._told:
            if self._told:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_s):
                        await self._changed.wait()
            self._told = True
            self._changed.clear()
            made, self._made = tuple(self._made), []
            report = Report(
                replica=self._name,
                sequence=next(self._numbers),
                leases=tuple(self._leases.values()),
                claims=tuple(self._claims.values()),
                asked=frozenset(self._asked),
                made=made,
            )
            try:
                await self._admission.report(report)
            except ServiceError as error:
                logger.warning("the admission could not be told what is held: %s", error)
                self._told = False
                await asyncio.sleep(self._heartbeat_s)

    @staticmethod
    def _new_id() -> str:
        return secrets.token_hex(8)
