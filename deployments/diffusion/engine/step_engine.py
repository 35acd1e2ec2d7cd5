"""Step-level continuous batching: many jobs share one forward pass for each step.

There are three stages, each with a thread of its own: preparing, stepping and decoding. So the
start and the end of a job do not delay the steps of others. A job joins at the next step and leaves
after its last one. A cancelled job leaves within one step. Jobs whose pictures have the same size
share forwards; `fair_queue` decides which size is next.

The idea is iteration-level scheduling (G.-I. Yu et al., "Orca", OSDI 2022), applied to denoising
steps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from deployments.diffusion.compute.capacity import pixels_in
from deployments.diffusion.compute.networks import OutOfMemory
from deployments.diffusion.engine.denoising import DiffusionModel
from deployments.diffusion.engine.fair_queue import MOST_DECODING, FairQueue
from deployments.diffusion.engine.observer import Observer
from deployments.diffusion.engine.step_times import StepTimes
from deployments.diffusion.engine.submission import Event, Submission, Ticket
from deployments.diffusion.engine.threads import Stage, Streams
from deployments.diffusion.weights.memory import is_memory_shortage
from deployments.errors import InvalidRequest, Overloaded, ReplicaLost, Unavailable
from deployments.jobs import GeneratedImage, ImageJob, PreparedPhoto, Progress

_RESTART_S = 10.0
"""Retry-After of a replica that is gone: about as long as another one takes to start."""

_LAST_STEP_S = 30.0
"""How long `close` waits after the drain time for what the threads are doing."""

logger = logging.getLogger(__name__)


class Engine:
    """Runs jobs on a model in threads of its own until it is closed.

    Args:
        model: From now on only the engine uses it, except for its `check`.
        capacity: The sides in pixels of a picture and of those beside it to the rows that all
            running jobs of that layout may have, at least 2. One forward has no more. Must be
            quick.
        max_waiting: Jobs that may wait for room; more are refused.
        observer: Hears of the engine's work.
        device: Where the model's tensors are.
        clock: Seconds from any start, for the duration of forwards.
    """

    def __init__(
        self,
        model: DiffusionModel[Any],
        capacity: Callable[..., int],
        max_waiting: int,
        observer: Observer,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - immutable
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._clock = clock
        self._max_waiting = max_waiting
        self._observer = observer
        self._streams = Streams(device)
        # Guards everything below, and everything of a submission but the telling of events.
        self._changed = threading.Condition()
        self._queue: FairQueue[Submission] = FairQueue(capacity)
        self._decoding: deque[Submission] = deque()
        self._step_times = StepTimes()
        self._closing = False
        self._stopped = False
        self._stages = (
            Stage("preparing", self._prepare_next, self._die, self._streams.own()),
            Stage("stepping", self._step_next, self._die, self._streams.default()),
            Stage("decoding", self._decode_next, self._die, self._streams.own()),
        )
        for stage in self._stages:
            stage.start()

    def submit(
        self, job: ImageJob, photo: PreparedPhoto, on_event: Callable[[Event], None]
    ) -> Ticket:
        """Queue a job; it runs as soon as there is room for its rows.

        Args:
            job: What to make.
            photo: What to make it from; its size is the picture's.
            on_event: Called on a thread of the engine, so it must not block: with Progress after
                each step, then once with the image or with the exception that ended the job.

        Raises:
            InvalidRequest: The model cannot run this job.
            Overloaded: Too many jobs wait.
            ReplicaLost: The engine is closed or one of its threads died.
        """
        demand = self._model.check(job, photo)
        entry = Submission(demand.layout, demand.rows, job, photo, on_event, demand.steps)
        with self._changed:
            if self._closing or self._stopped:
                raise ReplicaLost("the model is shutting down", _RESTART_S)
            self._queue.submit(entry)
            if self._queue.queued() > self._max_waiting:
                self._queue.leave(entry)
                raise Overloaded("the model has no room for another image", self._wait_s())
            self._moved()
        return Ticket(lambda: self._cancel(entry))

    def check(self) -> None:
        """Check that the engine runs.

        Raises:
            Unavailable: It was closed, or one of its threads died.
        """
        if self._stopped or not all(stage.alive for stage in self._stages):
            raise Unavailable("the model's engine does not run", _RESTART_S)

    def close(self, drain_s: float) -> None:
        """Take no more jobs, finish those submitted, and end the threads; repeating is harmless.

        Args:
            drain_s: Seconds for the submitted jobs, the waiting ones included. A job that is not
                done by then fails with ReplicaLost.
        """
        until = time.monotonic() + drain_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for stage in self._stages:
            stage.join(max(until - time.monotonic(), 0))
        self._stop("the model is shutting down")
        until = time.monotonic() + _LAST_STEP_S
        for stage in self._stages:
            stage.join(max(until - time.monotonic(), 0))
            if stage.alive:
                logger.error("the engine is closed, but its %s goes on", stage.name)

    def _wait_s(self) -> float:
        """Seconds until one more image has room, by measured step times; 0 while none is known."""
        too_many = self._queue.queued() + 1 - self._max_waiting
        jobs, row_pixel_s = list(self._queue), self._step_times.row_pixel_s
        if too_many <= 0 or row_pixel_s is None or not jobs:
            return 0.0
        # So many jobs must leave first. A mean job leaves when its steps are done.
        work = sum(one.rows * pixels_in(one.size) * one.steps for one in jobs) / len(jobs)
        return too_many * work * row_pixel_s

    def _cancel(self, entry: Submission) -> None:
        with self._changed:
            if entry.ended:
                return
            entry.ended = True
            entry.cancelled = time.monotonic()
            if self._leave(entry):
                self._observer.cancelled(time.monotonic() - entry.cancelled)

    def _leave(self, entry: Submission) -> bool:
        """Remove a job; false when that must wait for the end of the present forward."""
        if entry in self._decoding:
            self._decoding.remove(entry)
        left = self._queue.leave(entry)
        self._moved()
        return left

    def _moved(self) -> None:
        self._observer.queued(*self._queue.lengths(), len(self._decoding))
        self._changed.notify_all()

    def _fail(self, entry: Submission, error: Exception) -> None:
        # A device that is broken for good raises here. That ends the thread and so the replica.
        self._streams.wait(self._streams.mark())
        if not isinstance(error, InvalidRequest):
            logger.error("job %s failed", entry.job.key, exc_info=error)
        if is_memory_shortage(error):
            self._observer.ran_out_of_memory()
            height, width = entry.size[:2]
            reason = f"a picture of {width}x{height} pixels does not fit into the model's memory"
            error = Unavailable(reason, _RESTART_S)
        entry.end(error)
        with self._changed:
            self._leave(entry)

    def _die(self) -> None:
        self._stop("the model stopped working and is being restarted")

    def _stop(self, reason: str) -> None:
        with self._changed:
            self._stopped = True
            left = [*self._decoding, *self._queue]
            self._changed.notify_all()
        for entry in left:
            entry.end(ReplicaLost(reason, _RESTART_S))

    def _over(self) -> bool:
        """Whether the threads shall end."""
        return self._stopped or (self._closing and not self._decoding and not any(self._queue))

    def _prepare_next(self) -> bool:
        with self._changed:
            while (entry := self._queue.next_to_prepare()) is None:
                if self._over():
                    return False
                self._changed.wait()
        try:
            state = self._model.prepare(entry.job, entry.photo)
            self._streams.hand_to_stepping(state)
        except Exception as error:
            self._fail(entry, error)
            return True
        with self._changed:
            if not entry.ended:
                entry.state = state
                self._queue.prepared(entry)
                self._moved()
        return True

    def _step_next(self) -> bool:
        with self._changed:
            while not (batch := self._next_batch()):
                if self._over():
                    return False
                self._changed.wait()
        begun = self._clock()
        try:
            predictions = self._model.predict([entry.state for entry in batch])
        except OutOfMemory as error:
            self._did_not_fit(batch, error)
            self._end_forward(batch)
        except Exception as error:
            for entry in batch:
                self._fail(entry, error)
            self._end_forward(batch)
        else:
            predicted = self._streams.mark()
            for entry, prediction in zip(batch, predictions, strict=True):
                if not entry.ended:
                    self._advance(entry, prediction)
            # Not for the samplers' kernels: they run while the next step is being queued.
            self._streams.wait(predicted)
            self._end_forward(batch, self._clock() - begun)
        return True

    def _next_batch(self) -> tuple[Submission, ...]:
        if self._stopped:
            return ()
        if len(self._decoding) < MOST_DECODING:
            joined = self._queue.join()
            for entry in joined:
                entry.started = time.monotonic()
                self._observer.admitted(entry.started - entry.submitted)
            if joined:
                self._moved()
        return self._queue.begin_forward()

    def _did_not_fit(self, batch: tuple[Submission, ...], error: OutOfMemory) -> None:
        if len(batch) == 1:
            self._fail(batch[0], error)
            return
        self._observer.ran_out_of_memory()
        with self._changed:
            rows = self._queue.shrink()
        height, width = batch[0].size[:2]
        logger.warning(
            "%d rows of %dx%d pixels do not fit into memory; from now on a forward has at most %d",
            sum(entry.rows for entry in batch),
            width,
            height,
            rows,
        )

    def _advance(self, entry: Submission, prediction: torch.Tensor) -> None:
        try:
            self._model.advance(entry.state, prediction)
        except Exception as error:
            self._fail(entry, error)
        else:
            entry.tell(Progress(entry.state.step, entry.state.steps))

    def _end_forward(self, batch: tuple[Submission, ...], taken_s: float | None = None) -> None:
        """Let cancelled jobs leave, and pass finished ones to the decoder.

        Args:
            batch: The jobs of the forward.
            taken_s: Seconds the forward took; None if it was not computed.
        """
        rows = sum(entry.rows for entry in batch)
        with self._changed:
            cost_s = None
            if taken_s is not None:
                self._observer.ticked(rows, taken_s)
                cost_s = self._step_times.measured(batch[0].size, rows, taken_s)
            for entry in self._queue.end_forward(cost_s):
                if entry.cancelled:
                    self._observer.cancelled(time.monotonic() - entry.cancelled)
            stepped = self._streams.mark()
            for entry in batch:
                if not entry.ended and entry.state.step == entry.state.steps:
                    self._queue.leave(entry)
                    entry.stepped = stepped
                    self._decoding.append(entry)
            self._moved()

    def _decode_next(self) -> bool:
        with self._changed:
            while not self._decoding:
                if self._over():
                    return False
                self._changed.wait()
            entry = self._decoding[0]
        self._streams.follow(entry.stepped)
        try:
            pixels = self._model.decode(entry.state)
        except Exception as error:
            self._fail(entry, error)
            return True
        made = GeneratedImage(
            pixels,
            engine_s=time.monotonic() - entry.submitted,
            weights=self._model.origin,
            control=self._model.control,
            warnings=entry.state.warnings,
        )
        entry.end(made)
        with self._changed:
            self._leave(entry)
        return True
