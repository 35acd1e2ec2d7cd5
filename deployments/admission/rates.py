"""How much each API key may ask for in a minute, counted in this process's memory."""

from __future__ import annotations

import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from deployments.admission_messages import RateLeft
from deployments.errors import RateLimited
from deployments.settings import RateSettings


class Rates:
    """The rates of all API keys.

    Every window moves: at no moment do the last 60 seconds hold more than the limit. One thread may
    use it.

    Args:
        settings: The limits, the same for every key; None is no limit.
    """

    def __init__(self, settings: RateSettings) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())
        self._requests = _per_minute(settings.requests_per_minute, "requests")
        self._images = _per_minute(settings.images_per_minute, "images")

    def take(self, key: str, images: int) -> tuple[RateLeft, ...]:
        """Count a request and its images, or neither; tells what is left.

        Args:
            key: The key's name; callers without one share the empty name.
            images: How many the request asks for; 0 counts the request alone.

        Raises:
            RateLimited: A limit would be exceeded. The message names it and its value. The wait is
                the time until the oldest entry leaves the window.
        """
        asked = [
            (limit, name, cost)
            for limit, name, cost in (
                (self._requests, "requests_per_minute", 1),
                (self._images, "images_per_minute", images),
            )
            if limit is not None and cost > 0
        ]
        for limit, name, cost in asked:
            if not self._windows.test(limit, key, cost=cost):
                raise self._refusal(limit, name, key, cost)
        for limit, _, cost in asked:
            self._windows.hit(limit, key, cost=cost)
        return self.left(key)

    def left(self, key: str) -> tuple[RateLeft, ...]:
        """What is left of a key's rates.

        Args:
            key: The key's name; callers without one share the empty name.
        """
        now, left = time.time(), []
        for name, limit in (("requests", self._requests), ("images", self._images)):
            if limit is not None:
                window = self._windows.get_window_stats(limit, key)
                all_left = window.remaining >= limit.amount
                more_s = 0.0 if all_left else max(0.0, window.reset_time - now)
                left.append(RateLeft(name, limit.amount, window.remaining, more_s))
        return tuple(left)

    def _refusal(self, limit: RateLimitItem, name: str, key: str, cost: int) -> RateLimited:
        window = self._windows.get_window_stats(limit, key)
        whose = f"key {key!r}" if key else "all callers together"
        return RateLimited(
            f"{name}: the limit of {whose} is {limit.amount}; {window.remaining} are left now and "
            f"this request needs {cost}",
            retry_after_s=max(0.0, window.reset_time - time.time()),
            rates=self.left(key),
        )


def _per_minute(amount: int | None, name: str) -> RateLimitItem | None:
    return None if amount is None else RateLimitItemPerMinute(amount, namespace=name)
