"""Which failed calls are made again, how often and how soon."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import Literal, Protocol

from deployments.errors import ReplicaLost, ServiceError, StorageDown
from deployments.ingress.core import deadline

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 3.0

Reason = Literal["replica_lost", "storage_down"]


class RetryObserver(Protocol):
    """Hears of every call that is made again."""

    def retried(self, deployment: str, reason: Reason) -> None:
        """A call to a deployment failed and is made again."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a call is repeated. Only calls that are safe to repeat have any.

    Attributes:
        lost: Times a call is made again because a replica died with it. This is small: a picture
            that kills the replica that works on it must not kill all of them.
        down_s: Seconds after the first failure in which it is made again, with growing waits,
            because the store cannot serve for the moment. Where the request's deadline leaves no
            time for another attempt as long as the last, the caller hears of the store instead.
    """

    lost: int = 0
    down_s: float = 0.0


class Attempts:
    """The attempts of one call.

    The waits grow exponentially, and each is drawn at random from its upper half, so that callers
    who failed together do not come back together (M. Brooker, "Exponential backoff and jitter").

    Args:
        patience: How much the call is worth.
        deployment: Whom it is made to.
        observer: Hears of every further attempt.
    """

    def __init__(self, patience: Patience, deployment: str, observer: RetryObserver) -> None:
        self._patience = patience
        self._deployment = deployment
        self._observer = observer
        self._lost = 0
        self._down = 0
        self._first_down: float | None = None
        self._resumed: float | None = None

    async def wait(self, failure: ServiceError) -> None:
        """Return when the call may be made again.

        Args:
            failure: What the last attempt ended with.

        Raises:
            ServiceError: The failure itself: there is no further attempt.
        """
        reason: Reason
        if isinstance(failure, ReplicaLost) and self._lost < self._patience.lost:
            self._lost += 1
            reason, wait_s = "replica_lost", 0.0
        elif isinstance(failure, StorageDown):
            now = time.monotonic()
            if self._first_down is None:
                self._first_down = now
            longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**self._down)
            reason, wait_s = "storage_down", longest * random.uniform(0.5, 1)  # noqa: S311
            # The first attempt's length says nothing: it waited for what it was given.
            lasts_s = 0.0 if self._resumed is None else now - self._resumed
            if (
                now + wait_s > self._first_down + self._patience.down_s
                or now + wait_s + lasts_s >= deadline.end()
            ):
                raise failure
            self._down += 1
        else:
            raise failure
        logger.warning(
            "A call to %s failed (%s) and is made again in %.1f s: %s",
            self._deployment,
            reason,
            wait_s,
            failure,
        )
        self._observer.retried(self._deployment, reason)
        await asyncio.sleep(wait_s)
        self._resumed = time.monotonic()
