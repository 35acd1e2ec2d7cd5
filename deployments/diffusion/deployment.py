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
from deployments.jobs import GeneratedImage, ImageJob, OpenedPhoto, Progress
from deployments.logs import join_replica_log
from deployments.settings import ModelSettings

if TYPE_CHECKING:
    from deployments.diffusion.engine.submission import Event

logger = logging.getLogger(__name__)


class ModelReplica:
    """Owns the weights and the engine of one model.

    Args:
        settings: The model's entry in the catalog.

    Raises:
        WeightsError: The model cannot load; the message says why.
    """

    def __init__(self, settings: ModelSettings) -> None:
        from deployments.diffusion.weights.sources import WeightsError, hub_names

        join_replica_log()
        try:
            # A wrong name is told at once, and not after the seconds that torch's import takes.
            hub_names(settings)
        except WeightsError as error:
            logger.error("model %s cannot start: %s", settings.id, error)
            raise

        import torch
        import transformers

        from deployments.diffusion.engine.self_check import self_check
        from deployments.diffusion.engine.step_engine import Engine
        from deployments.diffusion.families.registry import family_of, load_components
        from deployments.diffusion.metrics import EngineMetrics

        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Ray sets torch's threads to the CPUs that the actor reserves, which is one by default.
        torch.set_num_threads(settings.threads or _cores())
        try:
            components = load_components(settings)
            runnable = family_of(settings).create_model(components, settings)
            device, dtype = components.device, components.dtype
            self_check(runnable.model, runnable.plain, settings, device, dtype)
        except WeightsError as error:
            logger.error("model %s cannot start: %s", settings.id, error)
            raise WeightsError(str(error)) from None
        self._engine = Engine(
            runnable.model,
            runnable.capacity,
            settings.max_waiting,
            EngineMetrics(settings.id),
            components.device,
        )
        logger.info(
            "model %s runs %s on %s in %s with %d threads",
            settings.id,
            components.origin,
            components.device,
            components.dtype,
            torch.get_num_threads(),
        )

    async def generate(
        self, job: ImageJob, opened: OpenedPhoto, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """Make one image. Closing the iterator or cancelling the caller cancels the job.

        Args:
            job: What to make.
            opened: What to make it from, at the model's working size.
            progress: Whether the caller wants progress.

        Yields:
            Progress after each step if it is wanted, then the image.

        Raises:
            Overloaded: The replica has no room. The error holds the wait by measured step times.
            InvalidRequest: The model cannot run a setting.
            Unavailable: The picture does not fit into the model's memory.
            ReplicaLost: The replica is ending.
            InternalError: The model failed; the replica's log tells how.
        """
        if opened.prepared is None:
            raise InternalError("the photo was not made ready for a model")
        loop = asyncio.get_running_loop()
        # It holds at most a job's steps and its image, so it needs no bound.
        events: asyncio.Queue[Event] = asyncio.Queue()

        def pass_on(event: Event) -> None:
            if progress or not isinstance(event, Progress):
                loop.call_soon_threadsafe(events.put_nowait, event)

        ticket = self._engine.submit(job, opened.prepared, pass_on)
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
        """Raise when a thread of the engine has died, so that Serve replaces this replica."""
        self._engine.check()

    def __del__(self) -> None:
        """End the engine; Serve calls this after the replica's last request has gone."""
        # Then no job is left. The constructor may have failed before there was an engine.
        if hasattr(self, "_engine"):
            self._engine.close(drain_s=0)


def _cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
