"""The admission replica: it counts for all ingress replicas.

`Admission` is a plain class. Ray Serve runs `OnlyAdmission`, as exactly one replica.

Nothing is stored. Every ingress replica reports all it holds every `HEARTBEAT_S` seconds. So after
a restart this replica has learned everything again within `LEARNING_S`; it grants nothing before.
When an ingress replica has not reported for `PATIENCE_S`, what it held is free again. Refusals are
answers and not exceptions, because Serve logs each exception with its traceback.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from deployments.admission.ledger import Ledger
from deployments.admission.places import Places
from deployments.admission.rates import Rates
from deployments.admission_messages import HEARTBEAT_S, Claim, Granted, Lease, RateLeft, Report
from deployments.errors import IdempotencyConflict, Overloaded, RateLimited
from deployments.rate_settings import RateSettings

LEARNING_S = 1.5 * HEARTBEAT_S
"""Seconds after the start in which nothing is granted: every ingress replica reports in them."""

PATIENCE_S = 5 * HEARTBEAT_S
"""Seconds without a report after which an ingress replica has lost what it held."""


class Admission:
    """Room for images, rates of keys, and claims of idempotency keys, for all ingress replicas.

    Args:
        limits: Images in flight by catalog id.
        max_wait_s: See `Places`.
        learning_s: See `LEARNING_S`.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        *,
        max_wait_s: float = math.inf,
        learning_s: float = LEARNING_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = {model: Places(model, limit, max_wait_s) for model, limit in limits.items()}
        self._rates = Rates()
        self._ledger = Ledger(PATIENCE_S)
        self._clock = clock
        self._knows_all = clock() + learning_s

    async def take(
        self, replica: str, lease: Lease, rates: RateSettings
    ) -> Granted | Overloaded | RateLimited:
        """Take places for all images of a request, or none; repeating it is harmless.

        Args:
            replica: The ingress replica.
            lease: What it asks for; its model is in the catalog.
            rates: Those of its API key.

        Returns:
            What is granted, or the refusal, which does not count against a rate.
        """
        await self._learned()
        now, key = self._clock(), lease.api_key_name
        held = self._ledger.leases(lease.model, now)
        if self._ledger.holds(replica, lease):
            return Granted(len(held), None, self._rates.left(key, rates))
        try:
            expected_s = self._places[lease.model].take(lease, held, now)
            left = self._rates.take(key, lease.images, rates)
        except (Overloaded, RateLimited) as refusal:
            return refusal.with_traceback(None)
        self._ledger.add(replica, lease, now)
        self._places[lease.model].saw(self._ledger.leases(lease.model, now), now)
        return Granted(len(held) + 1, expected_s, left)

    async def count(
        self, api_key_name: str, rates: RateSettings
    ) -> tuple[RateLeft, ...] | RateLimited:
        """Count a request that makes no images.

        Args:
            api_key_name: Empty without a key.
            rates: Those of the key.

        Returns:
            What is left of the key's rates, or the refusal, which does not count against them.
        """
        try:
            return self._rates.take(api_key_name, 0, rates)
        except RateLimited as refusal:
            return refusal.with_traceback(None)

    async def claim(self, replica: str, claim: Claim) -> bool | IdempotencyConflict:
        """Claim an idempotency key; repeating it is harmless.

        Args:
            replica: The ingress replica.
            claim: What it asks for.

        Returns:
            Whether it is granted; false while another request with the same content has it. A
            conflict when a request with another content has it.
        """
        await self._learned()
        try:
            return self._ledger.claim(replica, claim, self._clock())
        except IdempotencyConflict as conflict:
            return conflict.with_traceback(None)

    async def report(self, report: Report) -> None:
        """Learn all that an ingress replica holds. What the report does not name is free again."""
        now = self._clock()
        for made in report.made:
            self._places[made.model].made(made)
        self._ledger.report(report, now)
        for model, places in self._places.items():
            places.saw(self._ledger.leases(model, now), now)

    async def check_health(self) -> None:
        """Answer Serve, and callers who wait for the first replica."""

    async def _learned(self) -> None:
        while (rest_s := self._knows_all - self._clock()) > 0:
            await asyncio.sleep(rest_s)


class OnlyAdmission(Admission):
    """Admission that refuses to start as one of several replicas.

    Several replicas would each count for themselves.

    Args:
        limits: See `Admission`.
        max_wait_s: See `Admission`.

    Raises:
        ValueError: The configuration gives the deployment several replicas.
    """

    def __init__(self, limits: Mapping[str, int], *, max_wait_s: float = math.inf) -> None:
        # Imported here, because `Admission` runs without Ray.
        from ray import serve

        replicas = serve.get_replica_context().world_size
        if replicas > 1:
            raise ValueError(
                f"num_replicas: the deployment admission has {replicas} replicas, and each would "
                "count for itself; leave it at 1"
            )
        super().__init__(limits, max_wait_s=max_wait_s)
