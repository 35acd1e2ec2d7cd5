"""Room for requests that only the studio works on: cut-outs, and images that no model paints."""

from __future__ import annotations

from deployments.admission_messages import RateLeft
from deployments.errors import Overloaded
from deployments.ingress.core.events import Waiting
from deployments.ingress.core.ports import Admission
from deployments.rate_settings import RatesOf

MOST_AT_ONCE = 16
"""Pictures that one ingress replica makes at once: some seconds of work for a studio."""

RETRY_AFTER_S = 3.0


class StudioPlaces:
    """Counts what is running, and the requests of each API key.

    Args:
        admission: Counts requests for the keys' rates.
        rates_of: Tells the rates of API keys.
    """

    def __init__(self, admission: Admission, rates_of: RatesOf) -> None:
        self._admission = admission
        self._rates_of = rates_of
        self._running = 0

    async def take(self, api_key_name: str) -> StudioPlace:
        """Take a place.

        Args:
            api_key_name: Empty without a key.

        Raises:
            Overloaded: There is none now.
            RateLimited: The key would pass its rate.
        """
        if self._running >= MOST_AT_ONCE:
            raise Overloaded(
                "there is no room for another cut-out or plain picture now", RETRY_AFTER_S
            )
        self._running += 1
        left: tuple[RateLeft, ...] = ()
        try:
            rates = self._rates_of(api_key_name)
            if rates.requests_per_minute is not None:
                left = await self._admission.count(api_key_name, rates)
        except BaseException:
            self.give_back()
            raise
        return StudioPlace(self, left)

    def give_back(self) -> None:
        """Give a place back."""
        self._running -= 1


class StudioPlace:
    """One place; `Places` of a generation.

    Args:
        places: Where it is given back.
        rates: What is left of the key's rates.

    Attributes:
        waiting: None: there is no line.
        rates: As given.
    """

    waiting: Waiting | None = None

    def __init__(self, places: StudioPlaces, rates: tuple[RateLeft, ...]) -> None:
        self._places: StudioPlaces | None = places
        self.rates = rates

    def release(self, *, made: bool = False) -> None:
        """Give the place back; what it took is nothing to the models' lines."""
        self.close()

    def close(self) -> None:
        """Give the place back, once."""
        if self._places is not None:
            self._places.give_back()
            self._places = None
