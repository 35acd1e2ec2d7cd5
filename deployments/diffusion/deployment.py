"""One replica of one model: the engine behind asynchronous calls, its health and its end.

A plain class that `app.py` wires into Ray Serve. torch is imported in the constructor, so that
processes which only wire or call a model do not load it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from deployments.errors import InternalError, ServiceError
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress
from deployments.logs import join_replica_log
from deployments.settings import ModelSettings

if TYPE_CHECKING:
    from deployments.diffusion.engine import Event

logger = logging.getLogger(__name__)


class ModelReplica:
    """Owns the weights and the engine of one model.

    Args:
        settings: The model's entry in the catalog.

    Raises:
        WeightsError: The model cannot load; one sentence says why.
    """

    def __init__(self, settings: ModelSettings) -> None:
        import torch
        import transformers

        from deployments.diffusion.control import canny
        from deployments.diffusion.engine import Engine
        from deployments.diffusion.loading import load_components
        from deployments.diffusion.model import StableDiffusion
        from deployments.diffusion.sources import WeightsError

        join_replica_log()
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Ray tells torch to use as many threads as the actor reserves, which is one by default.
        torch.set_num_threads(settings.threads or _cores())
        try:
            components = load_components(settings)
        except WeightsError as error:
            logger.error("Model %s cannot start: %s", settings.id, error)
            raise WeightsError(str(error)) from None
        model = StableDiffusion(components, settings.scheduler, canny, settings.control_scale)
        self._engine = Engine(model, settings.max_rows, settings.max_waiting)
        logger.info(
            "Model %s runs %s on %s in %s with %d threads.",
            settings.id,
            components.origin,
            components.device,
            components.dtype,
            torch.get_num_threads(),
        )

    async def generate(
        self, job: ImageJob, photo: PreparedPhoto, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """Make one image; closing the iterator or cancelling the caller gives the job up.

        Args:
            job: What to make.
            photo: What to make it from, at the model's working size.
            progress: Whether the caller wants progress.

        Yields:
            Progress after each step if wanted, then the image.

        Raises:
            Overloaded: The replica has no room; carries the measured wait.
            InvalidRequest: Steps or strength that the model cannot run.
            ReplicaLost: The replica is ending.
            InternalError: The model failed; the replica's log says how.
        """
        loop = asyncio.get_running_loop()
        # Holds at most a job's steps and its image, so it needs no bound.
        events: asyncio.Queue[Event] = asyncio.Queue()

        def pass_on(event: Event) -> None:
            if progress or not isinstance(event, Progress):
                loop.call_soon_threadsafe(events.put_nowait, event)

        ticket = self._engine.submit(job, photo, pass_on)
        try:
            while True:
                event = await events.get()
                if isinstance(event, ServiceError):
                    raise event
                if isinstance(event, Exception):
                    raise InternalError("the model failed to make this image")
                yield event
                if isinstance(event, GeneratedImage):
                    return
        finally:
            ticket.cancel()

    def check_health(self) -> None:
        """Fail when the engine died, so that Serve replaces this replica."""
        self._engine.check()

    def __del__(self) -> None:
        """End the engine; Serve calls this after the replica's last request has gone."""
        # Nothing is left to drain then, and the constructor may have failed before the engine.
        if hasattr(self, "_engine"):
            self._engine.close(drain_s=0)


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
