"""Which deployments have a replica that runs: asked of Serve, and remembered for a moment."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anyio import to_thread
from ray.exceptions import RayError
from ray.serve.context import _get_global_client

logger = logging.getLogger(__name__)

FRESH_S = 2.0
"""Seconds for which what was seen is taken for true."""

LONGEST_WAIT_S = 0.25
"""Seconds that an answer waits for a new look; then it tells what was seen before."""

Look = Callable[[], frozenset[str]]


class RunningReplicas:
    """`ports.Replicas` by Serve's own account of an application.

    Serve is asked when somebody wants to know, once for all who do, and not more often than every
    `FRESH_S`. While Serve's controller is away, what was seen last stands.

    Args:
        frame: Names of the deployments that requests need whatever their model is.
        look: Asks Serve; it may block, and raises RayError where nobody answers.
    """

    def __init__(self, frame: Sequence[str], look: Look) -> None:
        self.frame = tuple(frame)
        self._look = look
        self._looking: asyncio.Task[None] | None = None
        self._looked = -math.inf
        self._running: frozenset[str] = frozenset()

    async def running(self) -> frozenset[str]:
        """Names of the deployments that have a replica; none before the first look has ended."""
        looking = self._looking
        if looking is None or looking.done():
            if time.monotonic() - self._looked < FRESH_S:
                return self._running
            looking = self._looking = asyncio.create_task(self._see())
        await asyncio.wait([looking], timeout=LONGEST_WAIT_S)
        return self._running

    async def _see(self) -> None:
        try:
            self._running = await to_thread.run_sync(self._look)
        except RayError as error:
            logger.warning("Serve does not tell which replicas run: %s", type(error).__name__)
        self._looked = time.monotonic()


def looking_at_serve(application: str) -> Look:
    """A look at the Serve instance of this process.

    Args:
        application: Its name.
    """

    def look() -> frozenset[str]:
        # Not public; `serve.status()`, which is, cannot run in several threads at once.
        client = _get_global_client(raise_if_no_controller_running=False)
        return (
            frozenset()
            if client is None
            else with_replicas(client.get_serve_details(), application)
        )

    return look


def with_replicas(details: Mapping[str, Any], application: str) -> frozenset[str]:
    """Names of the deployments that have a running replica.

    Args:
        details: As Serve's controller gives them.
        application: The application's name; one that is not there has none.
    """
    deployments = details["applications"].get(application, {}).get("deployments", {})
    return frozenset(
        name
        for name, deployment in deployments.items()
        if any(replica["state"] == "RUNNING" for replica in deployment["replicas"])
    )
