"""A job inside the engine: who hears of it, and how it is cancelled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from deployments.diffusion.engine.denoising import Denoising
from deployments.diffusion.engine.fair_queue import QueuedJob
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress

Event = Progress | GeneratedImage | Exception
"""What is told of a job: each step, and at last its image or the reason why there is none."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Submission(QueuedJob):
    """A submitted job.

    Attributes:
        job: What to make.
        photo: What to make it from.
        on_event: Hears the events of the job.
        steps: Steps that it takes.
        submitted: When it was submitted, in seconds of the monotonic clock, like all times here.
        state: Its state between steps; set when it is prepared.
        started: When it began to run.
        cancelled: When it was cancelled; 0 if it was not.
        stepped: A mark on the device where its last step ends.
        ended: The last event was told, or the job was cancelled. Nobody waits for it any more.
    """

    job: ImageJob
    photo: PreparedPhoto
    on_event: Callable[[Event], None]
    steps: int
    submitted: float = field(default_factory=time.monotonic)
    state: Denoising = field(init=False)
    started: float = 0.0
    cancelled: float = 0.0
    stepped: torch.cuda.Event | None = None
    ended: bool = False
    # Held while an event is told, so that no thread tells another one after the last. It can be
    # taken twice, because a listener may cancel its own job.
    _telling: threading.RLock = field(default_factory=threading.RLock, init=False)

    def tell(self, event: Event) -> None:
        """Tell the listener an event; when the listener fails, that is only logged."""
        with self._telling:
            if not self.ended:
                try:
                    self.on_event(event)
                except Exception:
                    logger.exception("the listener of job %s failed", self.job.key)

    def end(self, event: GeneratedImage | Exception) -> None:
        """Tell the listener the last event, unless the job has ended already."""
        with self._telling:
            self.tell(event)
            self.ended = True


class Ticket:
    """What the caller of `Engine.submit` holds: the way to cancel the job.

    Args:
        cancel: Takes the job out of the engine.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Cancel the job, from any thread; harmless when it has ended.

        It leaves at once, or at the end of the step it is in. No event follows, except one that
        another thread is telling already.
        """
        self._cancel()
