"""One replica of one model: the engine behind asynchronous calls, its metrics, health and end.

A plain class that `app.py` wires into Ray Serve. torch and Ray's metrics are imported in the
constructors, so that processes which only wire or call a model do not load them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from deployments.errors import InternalError, ServiceError
from deployments.jobs import (
    ControlSettings,
    GeneratedImage,
    ImageJob,
    OpenedPhoto,
    Progress,
)
from deployments.logs import join_replica_log
from deployments.settings import ModelSettings

if TYPE_CHECKING:
    from deployments.diffusion.engine.submission import Event

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

logger = logging.getLogger(__name__)


class ModelReplica:
    """Owns the weights and the engine of one model.

    Args:
        settings: The model's entry in the catalog.

    Raises:
        WeightsError: The model cannot load; one sentence says why.
    """

    def __init__(self, settings: ModelSettings) -> None:
        from deployments.diffusion.weights.sources import WeightsError, hub_names

        join_replica_log()
        try:
            # A wrong name is told at once, and not after the seconds that torch's import takes.
            hub_names(settings)
        except WeightsError as error:
            logger.error("Model %s cannot start: %s", settings.id, error)
            raise

        import torch
        import transformers

        from deployments.diffusion.compute.backend_choice import create_autoencoder, create_networks
        from deployments.diffusion.compute.capacity import rows_capacity
        from deployments.diffusion.engine.step_engine import Engine
        from deployments.diffusion.families.control_maps import canny
        from deployments.diffusion.families.stable_diffusion import StableDiffusion
        from deployments.diffusion.weights.loading import load_components

        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # Ray tells torch to use as many threads as the actor reserves, which is one by default.
        torch.set_num_threads(settings.threads or _cores())
        try:
            components = load_components(settings)
            networks = create_networks(components, settings, release=True)
            autoencoder = create_autoencoder(components, settings, release=True)
            capacity = rows_capacity(components, settings)
        except WeightsError as error:
            logger.error("Model %s cannot start: %s", settings.id, error)
            raise WeightsError(str(error)) from None
        model = StableDiffusion(
            components,
            networks,
            settings.scheduler,
            canny,
            autoencoder=autoencoder,
            control=ControlSettings(
                settings.control_scale, settings.control_start, settings.control_end
            ),
        )
        metrics = EngineMetrics(settings.id)
        self._engine = Engine(model, capacity, settings.max_waiting, metrics, components.device)
        logger.info(
            "Model %s runs %s on %s in %s with %d threads.",
            settings.id,
            components.origin,
            components.device,
            components.dtype,
            torch.get_num_threads(),
        )

    async def generate(
        self, job: ImageJob, opened: OpenedPhoto, progress: bool
    ) -> AsyncGenerator[Progress | GeneratedImage]:
        """Make one image; closing the iterator or cancelling the caller gives the job up.

        Args:
            job: What to make.
            opened: What to make it from, at the model's working size.
            progress: Whether the caller wants progress.

        Yields:
            Progress after each step if wanted, then the image.

        Raises:
            Overloaded: The replica has no room; carries the measured wait.
            InvalidRequest: A setting that the model cannot run.
            Unavailable: The picture does not fit into the model's memory.
            ReplicaLost: The replica is ending.
            InternalError: The model failed; the replica's log says how.
        """
        loop = asyncio.get_running_loop()
        # Holds at most a job's steps and its image, so it needs no bound.
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
        """Fail when a thread of the engine died, so that Serve replaces this replica."""
        self._engine.check()

    def __del__(self) -> None:
        """End the engine; Serve calls this after the replica's last request has gone."""
        # Nothing is left to drain then, and the constructor may have failed before the engine.
        if hasattr(self, "_engine"):
            self._engine.close(drain_s=0)


class EngineMetrics:
    """An engine's `Observer` that exports what it hears as Ray metrics, labelled by model.

    Args:
        model: Catalog id.
    """

    def __init__(self, model: str) -> None:
        from ray.util.metrics import Counter, Gauge, Histogram

        labels = ("model",)
        self._ticks = Counter("backdrop_engine_ticks", "Steps computed.", labels)
        self._tick_rows = Histogram(
            "backdrop_engine_tick_rows", "Rows of a step.", list(_ROWS), labels
        )
        self._tick_s = Histogram(
            "backdrop_engine_tick_seconds", "Duration of a step.", list(_SECONDS), labels
        )
        self._wait_s = Histogram(
            "backdrop_engine_admission_wait_seconds",
            "Time between an image's submission and its first step.",
            list(_SECONDS),
            labels,
        )
        self._cancel_s = Histogram(
            "backdrop_engine_cancel_latency_seconds",
            "Time between an image's cancel and its place being free.",
            list(_SECONDS),
            labels,
        )
        self._queued = Gauge(
            "backdrop_engine_queue_images",
            "Images that wait for their preparation, ready for room in the steps, and in decoding.",
            (*labels, "stage"),
        )
        self._out_of_memory = Counter(
            "backdrop_engine_out_of_memory", "Computations that did not fit into memory.", labels
        )
        for metric in (
            self._ticks,
            self._tick_rows,
            self._tick_s,
            self._wait_s,
            self._cancel_s,
            self._queued,
            self._out_of_memory,
        ):
            metric.set_default_tags({"model": model})

    def ticked(self, rows: int, seconds: float) -> None:
        """Count a step, its rows and its duration."""
        self._ticks.inc()
        self._tick_rows.observe(rows)
        self._tick_s.observe(seconds)

    def admitted(self, waited_s: float) -> None:
        """Observe an image's wait for its first step."""
        self._wait_s.observe(waited_s)

    def cancelled(self, latency_s: float) -> None:
        """Observe how long a cancelled image kept its place."""
        self._cancel_s.observe(latency_s)

    def queued(self, preparing: int, ready: int, decoding: int) -> None:
        """Set the lengths of the queues."""
        self._queued.set(preparing, {"stage": "preparing"})
        self._queued.set(ready, {"stage": "ready"})
        self._queued.set(decoding, {"stage": "decoding"})

    def ran_out_of_memory(self) -> None:
        """Count it."""
        self._out_of_memory.inc()


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
