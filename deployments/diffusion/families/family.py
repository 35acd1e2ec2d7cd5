"""What a family of models must say of itself.

Each family is a folder here. Its `family.toml` holds what must be known before its code is loaded,
and its module `family` an object FAMILY that is a `Family`. Nothing outside the folder names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch

from deployments.diffusion.engine.denoising import DiffusionModel
from deployments.diffusion.weights.blueprint import Blueprint, LoadedParts
from deployments.diffusion.weights.components import Components
from deployments.settings import ModelSettings

Parts = TypeVar("Parts", bound=Components)


@dataclass(frozen=True, slots=True)
class Runnable:
    """A model that an engine can run.

    Attributes:
        model: What takes the steps.
        capacity: The sides in pixels of a picture and of those beside it to the rows of a forward.
        plain: The same model without compiled networks; None where nothing is compiled.
    """

    model: DiffusionModel[Any]
    capacity: Callable[..., int]
    plain: DiffusionModel[Any] | None = None


class Family(Protocol, Generic[Parts]):
    """A kind of diffusion models.

    Attributes:
        blueprint: Which components it takes from its weights.
    """

    blueprint: Blueprint

    def assemble(self, loaded: LoadedParts) -> Parts:
        """Give the loaded modules their places."""
        ...

    def misfits(self, parts: Parts) -> Iterator[str]:
        """Say what it cannot run, and which modules do not fit each other; see `load_components`.

        Yields:
            Clauses without a full stop; none when everything fits.
        """
        ...

    def adaptable(self, parts: Parts) -> tuple[Any, Sequence[torch.nn.Module]]:
        """Make a stock pipeline that reads adapters, and name the networks they may change.

        The first of these is the one that denoises; the others read texts.
        """
        ...

    def create_model(self, parts: Parts, settings: ModelSettings) -> Runnable:
        """Make what an engine runs. The modules' memory may be given free.

        Raises:
            WeightsError: The settings ask for what does not run here.
        """
        ...
