"""On which terms a caller is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from deployments.admission_messages import RateLeft
from deployments.errors import RateLimited
from deployments.ingress.core.deadline import Deadline
from deployments.ingress.core.events import Made
from deployments.ingress.core.orders import Fixed
from deployments.ingress.core.places_client import Places

Taken = TypeVar("Taken", bound=Places)


@dataclass(frozen=True, slots=True)
class Again:
    """What is known of a request that is worked on again, or may be.

    A generation with it leaves what it has begun: whoever takes the request up next goes on there.

    Attributes:
        fixed: What its plan left to chance.
        made: Its images that are made already, which are not made again.
    """

    fixed: Fixed
    made: tuple[Made, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a caller is served.

    Attributes:
        api_key_name: Name of the API key, empty without one.
        deadline: When the request is given up.
        progress: Whether the generation reports denoising steps.
        idempotency_key: As the caller sent it; None without one.
        again: What is known of it already; None where it is answered now or never.
        tell_rates: Hears what is left of the key's rates, as soon as the request is counted.
    """

    api_key_name: str
    deadline: Deadline
    progress: bool
    idempotency_key: str | None = None
    again: Again | None = None
    tell_rates: Callable[[Sequence[RateLeft]], None] = lambda _: None

    async def counted(self, taking: Awaitable[Taken]) -> Taken:
        """Wait for places, and tell what they have left of the key's rates.

        Raises:
            ServiceError: There are none.
        """
        try:
            places = await taking
        except RateLimited as refusal:
            self.tell_rates(refusal.rates)
            raise
        self.tell_rates(places.rates)
        return places
