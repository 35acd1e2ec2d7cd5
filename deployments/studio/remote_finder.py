"""A finder in replicas of its own, with resources of their own, and how the studio asks it."""

from __future__ import annotations

import logging
from typing import Any

from anyio import CapacityLimiter, to_thread
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.errors import InternalError, ReplicaLost, Unavailable
from deployments.finder_settings import FinderSettings
from deployments.jobs import Mask, Pixels
from deployments.logs import join_replica_log
from deployments.studio.finder_weights import FinderError
from deployments.studio.finders import load_finder

ANSWER_S = 120.0
"""Seconds after which a search is given up, its wait in the finder's line included."""

RETRY_AFTER_S = 5.0
"""Suggested wait while there is no replica: about what one takes to come back."""

_AWAY = "the product finder is not available now"

logger = logging.getLogger(__name__)


class FinderReplica:
    """One replica of the finder; one search at a time, so that its memory is known.

    Args:
        settings: Which finder, and where it runs.

    Raises:
        FinderError: It cannot be loaded; the message says why.
    """

    def __init__(self, settings: FinderSettings) -> None:
        join_replica_log()
        try:
            self._finder = load_finder(settings)
        except FinderError as error:
            logger.error("the finder cannot start: %s", error)
            raise
        self._limiter = CapacityLimiter(1)

    async def coarse(self, pixels: Pixels) -> Mask:
        """See `Finder.coarse`."""
        return await to_thread.run_sync(self._finder.coarse, pixels, limiter=self._limiter)

    async def check_health(self) -> None:
        """Pass: a finder that answers works, since it holds nothing that can fail by itself."""


class RemoteFinder:
    """Asks the finder's deployment, from a thread without an event loop.

    Args:
        handle: The deployment of `FinderReplica`.
        settings: Those of its replicas.
    """

    def __init__(self, handle: DeploymentHandle[Any], settings: FinderSettings) -> None:
        self._handle = handle
        self._settings = settings

    @property
    def grid(self) -> int:
        """See `Finder.grid`."""
        return max(self._settings.preparation.size)

    @property
    def matte(self) -> bool:
        """See `Finder.matte`."""
        return self._settings.matte

    def coarse(self, pixels: Pixels) -> Mask:
        """See `Finder.coarse`.

        Raises:
            ReplicaLost: The replica died during the search.
            Unavailable: There is no replica, or none has answered in time.
            InternalError: The search failed; the finder's log tells how.
        """
        try:
            mask: Mask = self._handle.coarse.remote(pixels).result(timeout_s=ANSWER_S)
            return mask
        except RayTaskError as error:
            logger.error("a search failed", exc_info=error.cause)
            raise InternalError("the product finder failed") from None
        except TimeoutError:
            raise Unavailable(_AWAY, RETRY_AFTER_S) from None
        except RayServeException as error:
            logger.warning("the finder could not be asked: %s", error)
            raise Unavailable(_AWAY, RETRY_AFTER_S) from None
        except RayError as error:
            logger.warning("the finder lost a replica: %s", type(error).__name__)
            raise ReplicaLost(_AWAY, RETRY_AFTER_S) from None
