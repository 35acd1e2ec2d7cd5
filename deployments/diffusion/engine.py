"""Step-level continuous batching: many jobs, one forward pass for each step.

One thread owns the model. A job joins at the next step, leaves when it is done, and is cancelled
within one step. Jobs whose pictures have the same size share forward passes; sizes take turns.
Knows no Ray, HTTP or asyncio. The idea is that of iteration-level scheduling in G.-I. Yu et al.,
"Orca" (OSDI 2022), applied to denoising steps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from deployments.diffusion.model import Denoising, DiffusionModel, rows_of
from deployments.errors import InvalidRequest, Overloaded, ReplicaLost, Unavailable
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress

Event = Progress | GeneratedImage | Exception
"""What a job tells: its steps, and at last either its image or why there is none."""

_RESTART_S = 10.0
"""Retry-After of a replica that is gone: about what starting another one takes."""

_LAST_STEP_S = 30.0
"""How long `close` waits for the step that runs when the drain time is over."""

_NEWEST_SHARE = 0.2
"""Weight of the newest measurement in the moving average of step times."""

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Entry:
    """A submitted job.

    Attributes:
        submitted: Monotonic seconds.
        state: None until its first step.
        started: Monotonic seconds of its first step.
        ended: It has had its last event, or was cancelled: nobody waits for it.
    """

    job: ImageJob
    photo: PreparedPhoto
    on_event: Callable[[Event], None]
    submitted: float = field(default_factory=time.monotonic)
    state: Denoising | None = None
    started: float = 0.0
    ended: bool = False

    @property
    def rows(self) -> int:
        return rows_of(self.job)


class Ticket:
    """A submitted job's handle.

    Args:
        cancel: Takes the job out of the engine.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Give the job up, from any thread; harmless when it is over.

        A waiting job leaves at once, a running one before the engine's next step. No event
        follows, save one that was already on its way.
        """
        self._cancel()


class Engine:
    """Runs jobs on a model in a thread of its own until it is closed.

    Args:
        model: Used by the engine's thread only, from now on.
        max_rows: Rows of all jobs that run at once, at least 2; so also of one forward pass.
        max_waiting: Jobs that may wait for those; more are refused.
    """

    def __init__(self, model: DiffusionModel, max_rows: int, max_waiting: int) -> None:
        if max_rows < 2:
            raise ValueError("max_rows must be at least 2: a guided job takes two rows")
        self._model = model
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        # Guards everything below. The thread alone changes _groups, so it reads them without.
        self._changed = threading.Condition()
        self._waiting: deque[_Entry] = deque()
        self._groups: dict[tuple[int, ...], list[_Entry]] = {}
        self._served: tuple[int, ...] | None = None
        self._row_step_s: float | None = None
        self._closing = False
        self._aborting = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self, job: ImageJob, photo: PreparedPhoto, on_event: Callable[[Event], None]
    ) -> Ticket:
        """Queue a job; it joins in order of submission when there are rows for it.

        Args:
            job: What to make.
            photo: What to make it from; the job's size.
            on_event: Called on the engine's thread, so it must not block: with Progress after
                each step, then once with the image or with the exception that ended the job.

        Raises:
            Overloaded: No place to wait.
            ReplicaLost: The engine is closed or its thread died.
        """
        entry = _Entry(job, photo, on_event)
        with self._changed:
            if self._closing or self._stopped:
                raise ReplicaLost("the model is shutting down", _RESTART_S)
            if self._queued() >= self._max_waiting:
                raise Overloaded("the model has no room for another image", self._estimate(1))
            self._waiting.append(entry)
            self._changed.notify_all()
        return Ticket(lambda: self._cancel(entry))

    def estimate_wait_s(self, images: int) -> float:
        """Seconds until this many more images have room, from measured step times.

        Returns:
            0 when there is room now, or when nothing was measured yet.
        """
        with self._changed:
            return self._estimate(images)

    def check(self) -> None:
        """Pass if the engine runs.

        Raises:
            Unavailable: It was closed, or its thread died.
        """
        if self._stopped or not self._thread.is_alive():
            raise Unavailable("the model's engine does not run", _RESTART_S)

    def close(self, drain_s: float) -> None:
        """Take no more jobs, finish those submitted, and end the thread; again does no harm.

        Args:
            drain_s: Seconds the submitted jobs have, waiting ones too. What is not done by then
                fails with ReplicaLost at the end of the step that runs.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(drain_s)
        with self._changed:
            self._aborting = True
        self._thread.join(_LAST_STEP_S)
        if self._thread.is_alive():
            logger.error("The engine's step did not end within %g s of its close.", _LAST_STEP_S)

    def _cancel(self, entry: _Entry) -> None:
        with self._changed:
            entry.ended = True
            if entry in self._waiting:
                self._waiting.remove(entry)

    def _queued(self) -> int:
        """Waiting jobs that do not fit beside the running ones."""
        free = self._max_rows - sum(entry.rows for entry in self._running())
        for place, entry in enumerate(self._waiting):
            free -= entry.rows
            if free < 0:
                return len(self._waiting) - place
        return 0

    def _running(self) -> list[_Entry]:
        return [entry for group in self._groups.values() for entry in group if not entry.ended]

    def _estimate(self, images: int) -> float:
        too_many = self._queued() + images - self._max_waiting
        jobs = [entry.job for entry in (*self._running(), *self._waiting)]
        if too_many <= 0 or self._row_step_s is None or not jobs:
            return 0.0
        # Images leave at the rate at which their row-steps are done, so that many must leave.
        row_steps = sum(rows_of(job) * job.denoising_steps for job in jobs) / len(jobs)
        return too_many * row_steps * self._row_step_s

    def _run(self) -> None:
        reason = "the model is shutting down"
        try:
            while self._admit():
                self._tick()
        except BaseException:
            # The thread ends here whatever it was; check() tells, and the replica is replaced.
            logger.exception("The engine's thread died.")
            reason = "the model stopped working and is being restarted"
        with self._changed:
            self._stopped = True
            left = [*self._running(), *self._waiting]
            self._groups.clear()
            self._waiting.clear()
        for entry in left:
            self._end(entry, ReplicaLost(reason, _RESTART_S))

    def _admit(self) -> bool:
        """Let jobs that ended leave and waiting ones join; sleep while there are none at all.

        Returns:
            Whether there is a step to run.
        """
        with self._changed:
            for size, group in list(self._groups.items()):
                group[:] = [entry for entry in group if not entry.ended]
                if not group:
                    del self._groups[size]
            while not self._waiting and not self._groups and not self._closing:
                self._changed.wait()
            if self._aborting:
                return False
            free = self._max_rows - sum(entry.rows for entry in self._running())
            while self._waiting and self._waiting[0].rows <= free:
                entry = self._waiting.popleft()
                free -= entry.rows
                self._groups.setdefault(entry.photo.pixels.shape, []).append(entry)
            # After those that just joined, so that a new size need not wait for a second turn.
            if self._served in self._groups:
                self._groups[self._served] = self._groups.pop(self._served)
            return bool(self._groups)

    def _tick(self) -> None:
        """Run one step of the group whose last turn is longest ago."""
        begun = time.monotonic()
        self._served, group = next(iter(self._groups.items()))
        batch = [(entry, state) for entry in group if (state := self._state(entry)) is not None]
        if batch:
            self._step(batch)
            taken = (time.monotonic() - begun) / sum(entry.rows for entry, _ in batch)
            with self._changed:
                known = taken if self._row_step_s is None else self._row_step_s
                self._row_step_s = known + _NEWEST_SHARE * (taken - known)

    def _state(self, entry: _Entry) -> Denoising | None:
        """The job's state, made before its first step; None when it is over."""
        if entry.ended:
            return None
        if entry.state is None:
            try:
                entry.state = self._model.prepare(entry.job, entry.photo)
            except Exception as error:
                self._fail(entry, error)
                return None
            entry.started = time.monotonic()
        return entry.state

    def _step(self, batch: list[tuple[_Entry, Denoising]]) -> None:
        try:
            predictions = self._model.predict([state for _, state in batch])
        except Exception as error:
            for entry, _ in batch:
                self._fail(entry, error)
            return
        for (entry, state), prediction in zip(batch, predictions, strict=True):
            if entry.ended:
                continue
            try:
                self._advance(entry, state, prediction)
            except Exception as error:
                self._fail(entry, error)

    def _advance(self, entry: _Entry, state: Denoising, prediction: torch.Tensor) -> None:
        self._model.advance(state, prediction)
        self._tell(entry, Progress(state.step, state.steps))
        if state.step == state.steps and not entry.ended:
            pixels = self._model.decode(state)
            queued_s, engine_s = entry.started - entry.submitted, time.monotonic() - entry.submitted
            made = GeneratedImage(
                pixels, queued_s, engine_s, weights=self._model.origin, warnings=state.warnings
            )
            self._end(entry, made)

    def _fail(self, entry: _Entry, error: Exception) -> None:
        if not isinstance(error, InvalidRequest):
            logger.error("Job %s failed.", entry.job.key, exc_info=error)
        self._end(entry, error)

    def _end(self, entry: _Entry, event: GeneratedImage | Exception) -> None:
        self._tell(entry, event)
        entry.ended = True

    def _tell(self, entry: _Entry, event: Event) -> None:
        if entry.ended:
            return
        try:
            entry.on_event(event)
        except Exception:
            logger.exception("The listener of job %s failed.", entry.job.key)
