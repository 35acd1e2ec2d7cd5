"""An engine whose steps wait for the test, and what listens to its jobs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.engine.step_engine import Engine, Event
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.denoising import PhotoDenoising
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.jobs import (
    ControlSettings,
    GeneratedImage,
    GenerationSettings,
    ImageJob,
    Pixels,
    PreparedPhoto,
    Progress,
)
from tests.tiny_models import prompts_of

PATIENCE_S = 60
"""How long a test waits for what must happen; only a broken engine takes that long."""


def a_photo(height: int = 64, width: int = 64, seed: int = 0) -> PreparedPhoto:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return PreparedPhoto(np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8)))


def a_job(key: str = "a", **changes: Any) -> ImageJob:
    settings: dict[str, Any] = {
        "prompt": "a forest",
        "negative_prompt": "",
        "seed": 1,
        "steps": 5,
        "guidance_scale": 5.0,
        "strength": 0.8,
    }
    return ImageJob(key, GenerationSettings(**(settings | changes)))


class SteppedModel(StableDiffusion):
    """Announces each forward pass and holds it until the test allows it.

    Attributes:
        announced: The keys of the jobs in each forward pass, as it begins.
        latents: The final latents of each job that came so far.
        controls: By key the jobs that count the ControlNet otherwise than the model does.
    """

    def __init__(self, components: Any, scheduler: Any = "ddim", **options: Any) -> None:
        networks = options.pop("networks", None)
        networks = networks or TorchNetworks(
            components.unet, components.controlnet, components.loras
        )
        super().__init__(prompts_of(components), networks, scheduler, canny, **options)
        self.announced: queue.Queue[list[str]] = queue.Queue()
        self.latents: dict[str, torch.Tensor] = {}
        self.controls: Mapping[str, ControlSettings] = {}
        self._allowed = threading.Semaphore(0)
        self._keys: dict[int, str] = {}

    @classmethod
    def free(cls, components: Any, scheduler: Any, **options: Any) -> SteppedModel:
        """One that waits for nobody, for tests without an engine."""
        model = cls(components, scheduler, **options)
        model.allow(1_000_000)
        return model

    def allow(self, steps: int = 1) -> None:
        self._allowed.release(steps)

    def next_batch(self) -> list[str]:
        """The keys in the forward pass that begins next, which then waits for `allow`."""
        return self.announced.get(timeout=PATIENCE_S)

    def key_of(self, denoising: PhotoDenoising) -> str:
        return self._keys[id(denoising)]

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> PhotoDenoising:
        own, self.control = self.control, self.controls.get(job.key, self.control)
        denoising = super().prepare(job, photo)
        self.control = own
        self._keys[id(denoising)] = job.key
        return denoising

    def predict(self, batch: Sequence[PhotoDenoising]) -> list[torch.Tensor]:
        self.announced.put([self.key_of(one) for one in batch])
        assert self._allowed.acquire(timeout=PATIENCE_S)
        return super().predict(batch)

    def decode(self, denoising: PhotoDenoising) -> Pixels:
        self.latents[self.key_of(denoising)] = denoising.latents
        return super().decode(denoising)


class Listener:
    """Collects a job's events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ended = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if not isinstance(event, Progress):
            self._ended.set()

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress)]

    @property
    def ends(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, Progress)]

    def image(self) -> GeneratedImage:
        end = self._end()
        assert isinstance(end, GeneratedImage), repr(end)
        return end

    def error(self) -> Exception:
        end = self._end()
        assert isinstance(end, Exception), repr(end)
        return end

    def _end(self) -> Event:
        assert self._ended.wait(PATIENCE_S), "the job has not ended"
        return self.ends[0]


def submit(
    engine: Engine, key: str = "a", photo: PreparedPhoto | None = None, **changes: Any
) -> tuple[Listener, Any]:
    """Submit a job made from `a_job`'s settings and changes."""
    listener = Listener()
    ticket = engine.submit(a_job(key, **changes), photo or a_photo(), listener)
    return listener, ticket
