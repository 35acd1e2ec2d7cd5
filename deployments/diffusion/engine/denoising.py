"""What the engine drives: a job between two of its steps, and the model that takes the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

from deployments.jobs import ControlSettings, ImageJob, Pixels, PreparedPhoto


class Denoising(Protocol):
    """One job between two of its steps."""

    @property
    def step(self) -> int:
        """Number of steps done."""
        ...

    @property
    def steps(self) -> int:
        """Number of steps this job takes in all."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what the model could not honour."""
        ...


State = TypeVar("State", bound=Denoising)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job takes of its model.

    Attributes:
        layout: Height and width in pixels of its picture, and then of every picture beside it that
            the network sees in the same forward. Jobs of one layout can share a forward.
        rows: Rows of a forward.
        steps: Its steps.
    """

    layout: tuple[int, ...]
    rows: int
    steps: int


class DiffusionModel(Protocol, Generic[State]):
    """A model whose jobs advance step by step, many jobs of one layout in one forward pass.

    Three threads may use it at the same time: one prepares, one predicts and advances, one decodes.

    Attributes:
        control: How it uses its ControlNet.
    """

    control: ControlSettings

    @property
    def origin(self) -> str:
        """Where the weights came from, with their revision."""
        ...

    def check(self, job: ImageJob, photo: PreparedPhoto) -> Demand:
        """Say what a job takes, or raise InvalidRequest for what the model cannot run.

        Cheap; called from any thread.
        """
        ...

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> State:
        """Make the state before a job's first step; may raise for this job alone."""
        ...

    def predict(self, batch: Sequence[State]) -> list[torch.Tensor]:
        """Predict for one step of each, in one forward pass; may raise for all of them."""
        ...

    def advance(self, denoising: State, prediction: torch.Tensor) -> None:
        """Take the predicted step; may raise for this job alone."""
        ...

    def decode(self, denoising: State) -> Pixels:
        """Turn finished latents into a picture; may raise for this job alone."""
        ...
