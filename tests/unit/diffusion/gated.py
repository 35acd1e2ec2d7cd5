"""A small model whose stages wait for the test, and an observer that remembers.

The model is a real one of a very simple kind: a step adds the job's seed to its latents, so that a
picture tells which steps were taken for it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stepped import PATIENCE_S

from deployments.diffusion.compute.networks import OutOfMemory
from deployments.diffusion.engine.denoising import Demand
from deployments.errors import InvalidRequest
from deployments.jobs import ControlSettings, ImageJob, Pixels, PreparedPhoto


@dataclass(slots=True, eq=False)
class Counting:
    """One job's state."""

    job: ImageJob
    height: int
    width: int
    latents: torch.Tensor
    steps: int
    step: int = 0
    warnings: tuple[str, ...] = ()


class GatedModel:
    """Announces each call of a stage, and holds it until the test lets it pass.

    Args:
        held: The stages that wait; "predict" unless told.
        memory: Rows that a forward may have.

    Attributes:
        begun: For each stage the keys of its calls so far.
        now: Seconds on the model's clock. A forward moves it by a millionth for each pixel of each
            row.
    """

    origin = "counting"
    control = ControlSettings(0.5, 0.25, 0.75)

    def __init__(self, held: Sequence[str] = ("predict",), memory: int = 1000) -> None:
        self.begun: dict[str, list[Any]] = defaultdict(list)
        self.memory = memory
        self.now = 0.0
        self._held = set(held)
        self._passes: dict[str, int] = defaultdict(int)
        self._changed = threading.Condition()

    def allow(self, calls: int = 1, stage: str = "predict") -> None:
        """Let so many more calls pass."""
        with self._changed:
            self._passes[stage] += calls
            self._changed.notify_all()

    def begins(self, stage: str, calls: int) -> Any:
        """The keys of the stage's call number so-and-so, counted from 1, once it has begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun[stage]) >= calls, PATIENCE_S), (
                f"{stage}: {self.begun[stage]}"
            )
            return self.begun[stage][calls - 1]

    def next_batch(self) -> list[str]:
        """The keys in the forward pass that begins next, which then waits for `allow`."""
        self._seen = getattr(self, "_seen", 0) + 1
        return self.begins("predict", self._seen)

    def clock(self) -> float:
        """For the engine, in place of the machine's."""
        return self.now

    def _gate(self, stage: str, keys: Any) -> None:
        with self._changed:
            self.begun[stage].append(keys)
            self._changed.notify_all()
            if stage in self._held:
                assert self._changed.wait_for(lambda: self._passes[stage] > 0, PATIENCE_S)
                self._passes[stage] -= 1

    def check(self, job: ImageJob, photo: PreparedPhoto) -> Demand:
        if job.settings.denoising_steps < 1:
            raise InvalidRequest("strength: leaves no step to take")
        height, width = photo.pixels.shape[:2]
        rows = 2 if job.settings.guidance_scale > 1 else 1
        return Demand((height, width), rows, job.settings.denoising_steps)

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> Any:
        self._gate("prepare", job.key)
        height, width = photo.pixels.shape[:2]
        return Counting(job, height, width, torch.zeros(1), job.settings.denoising_steps)

    def predict(self, batch: Sequence[Any]) -> list[torch.Tensor]:
        self._gate("predict", [one.job.key for one in batch])
        assert len({(one.height, one.width) for one in batch}) == 1
        rows = sum(2 if one.job.settings.guidance_scale > 1 else 1 for one in batch)
        if rows > self.memory:
            raise OutOfMemory("too many rows")
        self.now += rows * batch[0].height * batch[0].width / 1e6
        return [torch.full((1,), float(one.job.settings.seed)) for one in batch]

    def advance(self, denoising: Any, prediction: torch.Tensor) -> None:
        denoising.latents = denoising.latents + prediction
        denoising.step += 1

    def decode(self, denoising: Any) -> Pixels:
        self._gate("decode", denoising.job.key)
        value = denoising.latents.item()
        return np.full((denoising.height, denoising.width, 3), value, dtype=np.uint8)


class Recorder:
    """Remembers what an engine told.

    Attributes:
        ticks: Rows and seconds of each.
        waits: Seconds of each admission.
        latencies: Seconds of each cancel.
        lengths: Jobs in preparation, ready, and in decoding, as last told.
        most: The largest of each of those.
        out_of_memory: How often.
    """

    def __init__(self) -> None:
        self.ticks: list[tuple[int, float]] = []
        self.waits: list[float] = []
        self.latencies: list[float] = []
        self.lengths = self.most = (0, 0, 0)
        self.out_of_memory = 0
        self._changed = threading.Condition()

    def until(self, wanted: Callable[[Recorder], bool]) -> None:
        """Wait until what it remembers is as wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: wanted(self), PATIENCE_S), vars(self)

    def until_lengths(self, *lengths: int) -> None:
        self.until(lambda recorder: recorder.lengths == lengths)

    def ticked(self, rows: int, seconds: float) -> None:
        self._remember(lambda: self.ticks.append((rows, seconds)))

    def admitted(self, waited_s: float) -> None:
        self._remember(lambda: self.waits.append(waited_s))

    def cancelled(self, latency_s: float) -> None:
        self._remember(lambda: self.latencies.append(latency_s))

    def queued(self, preparing: int, ready: int, decoding: int) -> None:
        def remember() -> None:
            self.lengths = (preparing, ready, decoding)
            self.most = tuple(map(max, zip(self.most, self.lengths, strict=True)))  # type: ignore[assignment]

        self._remember(remember)

    def ran_out_of_memory(self) -> None:
        def remember() -> None:
            self.out_of_memory += 1

        self._remember(remember)

    def _remember(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()
