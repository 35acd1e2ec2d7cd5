"""Two ways to batch, under one interface: each step anew, and each request to its end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from deployments.diffusion.engine.denoising import DiffusionModel
from deployments.diffusion.engine.step_engine import Engine
from deployments.jobs import ImageJob, PreparedPhoto, Progress

ROWS = 16
"""Rows of a forward, at most."""


@dataclass(frozen=True)
class Arrival:
    """A job, and its time in seconds from the start; jobs of one setting have equal ones."""

    at: float
    setting: int
    job: ImageJob
    photo: PreparedPhoto


class Server(Protocol):
    """Something that makes images."""

    def submit(self, arrival: Arrival, ended: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class Heard:
    """What the engine tells, kept; waits and cancels as shares of the step they fell into."""

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.waits: list[float] = []
        self.cancels: list[float] = []

    def ticked(self, rows: int, seconds: float) -> None:
        self.ticks.append(seconds)

    def admitted(self, waited_s: float) -> None:
        if self.ticks:
            self.waits.append(waited_s / self.ticks[-1])

    def cancelled(self, latency_s: float) -> None:
        self.cancels.append(latency_s / self.ticks[-1])

    def queued(self, preparing: int, ready: int, decoding: int) -> None: ...

    def ran_out_of_memory(self) -> None: ...


class StepBatching:
    """Our engine."""

    def __init__(self, model: DiffusionModel[Any]) -> None:
        self._engine = Engine(model, lambda *sides: ROWS, 100_000, Heard())

    def submit(self, arrival: Arrival, ended: Callable[[], None]) -> None:
        def hear(event: object) -> None:
            if isinstance(event, Exception):
                raise event
            if not isinstance(event, Progress):
                ended()

        self._engine.submit(arrival.job, arrival.photo, hear)

    def close(self) -> None:
        self._engine.close(drain_s=60)


class RequestBatching:
    """Batches of equal settings, each run to its end."""

    def __init__(self, model: DiffusionModel[Any]) -> None:
        self._model = model
        self._arrived: queue.SimpleQueue[tuple[Arrival, Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def submit(self, arrival: Arrival, ended: Callable[[], None]) -> None:
        self._arrived.put((arrival, ended))

    def close(self) -> None:
        self._arrived.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: list[tuple[Arrival, Callable[[], None]]] = []
        while True:
            while not waiting or not self._arrived.empty():
                one = self._arrived.get()
                if one is None:
                    return
                waiting.append(one)
            head = waiting[0][0]
            equal = [one for one in waiting if one[0].setting == head.setting]
            batch = equal[: ROWS // self._model.check(head.job, head.photo).rows]
            waiting = [one for one in waiting if one not in batch]
            states = [self._model.prepare(one.job, one.photo) for one, _ in batch]
            for _ in range(states[0].steps):
                predictions = self._model.predict(states)
                for state, prediction in zip(states, predictions, strict=True):
                    self._model.advance(state, prediction)
            for state in states:
                self._model.decode(state)
            for _, ended in batch:
                ended()
