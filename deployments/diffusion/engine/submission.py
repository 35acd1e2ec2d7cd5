"""A job inside the engine, who listens to it, and how it is given up.

Knows no queues, and of threads only that several may tell it something.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from deployments.diffusion.engine.denoising import Denoising
from deployments.diffusion.engine.fair_queue import Seat
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress

Event = Progress | GeneratedImage | Exception
"""What a job tells: its steps, and at last either its image or why there is none."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Submission(Seat):
    """A submitted job.

    Attributes:
        on_event: Hears of it.
        submitted: Monotonic seconds, like all times here.
        state: Set when it is prepared.
        started: When it joined the steps.
        cancelled: When it was given up.
        stepped: Where on the device its last step ends.
        ended: It has had its last event, or was cancelled: nobody waits for it.
    """

    job: ImageJob
    photo: PreparedPhoto
    on_event: Callable[[Event], None]
    submitted: float = field(default_factory=time.monotonic)
    state: Denoising = field(init=False)
    started: float = 0.0
    cancelled: float = 0.0
    stepped: torch.cuda.Event | None = None
    ended: bool = False
    # Held while telling, so that nothing follows the end whatever thread it comes from. A listener
    # may cancel its own job.
    _telling: threading.RLock = field(default_factory=threading.RLock, init=False)

    def tell(self, event: Event) -> None:
        """Let the listener hear an event; one that fails hurts nobody."""
        with self._telling:
            if not self.ended:
                try:
                    self.on_event(event)
                except Exception:
                    logger.exception("The listener of job %s failed.", self.job.key)

    def end(self, event: GeneratedImage | Exception) -> None:
        """Let the listener hear the last event, unless it was told one or the job cancelled."""
        with self._telling:
            self.tell(event)
            self.ended = True


class Ticket:
    """A submitted job's handle.

    Args:
        cancel: Takes the job out of the engine.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Give the job up, from any thread; harmless when it is over.

        It leaves at once, or at the end of the step it is in. No event follows, save one that was
        already on its way.
        """
        self._cancel()
