"""The models that `engine_load` compares batching with, and what of their time is theirs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import diffusers

from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.families.registry import load_components
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.settings import ModelSettings
from tests.bench.random_models import KLEIN_TRANSFORMER, random_network
from tests.tiny_flux2 import tiny_flux2
from tests.tiny_models import prompts_of

SIZES = ((64, 64), (64, 96))

SHORT_KLEIN = {**KLEIN_TRANSFORMER, "num_layers": 1, "num_single_layers": 1}
"""With one layer of each kind."""


@dataclass(frozen=True)
class Subject:
    """A model under load.

    Attributes:
        model: It.
        settings: 64 different ones: what a job asks for, the `size` of its picture, and whether
            something is `kept` of it.
        large: Makes the model whose share of the time is measured, and the networks in it.
        large_setting: What is asked of it.
    """

    model: Any
    settings: tuple[dict[str, Any], ...]
    large: Callable[[], tuple[Any, Timed]]
    large_setting: dict[str, Any]


class Timed:
    """Methods whose time is added up.

    Args:
        methods: Objects and the names of their methods.
    """

    def __init__(self, methods: Sequence[tuple[Any, str]]) -> None:
        self.seconds = 0.0
        self._methods = [(owner, name, getattr(owner, name)) for owner, name in methods]

    def __enter__(self) -> Timed:
        for owner, name, method in self._methods:
            setattr(owner, name, self._time(method))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, method in self._methods:
            setattr(owner, name, method)

    def _time(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            begun = time.monotonic()
            try:
                return call(*args, **options)
            finally:
                self.seconds += time.monotonic() - begun

        return timed


def stable_diffusion() -> Subject:
    """The demo weights."""
    settings = ModelSettings(id="load", name="Load", device="cpu", backend="torch", dtype="float32")
    parts = load_components(settings)

    def model() -> StableDiffusion:
        networks = TorchNetworks(parts.unet, None)
        return StableDiffusion(prompts_of(parts), networks, "euler_a", canny)

    def large() -> tuple[Any, Timed]:
        vae = parts.vae
        return model(), Timed([(parts.unet, "forward"), (vae, "encode"), (vae, "decode")])

    combined = product((8, 12, 16, 20), (3.0, 4.0, 5.0, 7.5), (0.7, 0.95), SIZES)
    return Subject(
        model(),
        tuple(
            {"steps": steps, "guidance_scale": guidance, "strength": strength, "size": size}
            for steps, guidance, strength, size in combined
        ),
        large,
        {"steps": 10, "guidance_scale": 5.0, "strength": 0.95, "size": (512, 512)},
    )


def klein() -> Subject:
    """Tiny random weights of FLUX.2 klein's shape, not distilled; half of the jobs are edits."""
    parts = tiny_flux2(distilled=False)
    # At 512, which small pictures do not need, a forward costs in proportion to its rows.
    parts = dataclasses.replace(parts, text_tokens=48)

    def large() -> tuple[Any, Timed]:
        text = 2560  # the width of its text encoder
        bigger = dataclasses.replace(
            parts,
            transformer=random_network(diffusers.Flux2Transformer2DModel, SHORT_KLEIN),
            text_encoders=(_WideText(parts.text_encoders[0], text),),
            vae=_wide_vae(),
            text_tokens=512,
        )
        vae, reader = bigger.vae, bigger.text_encoders[0].model
        methods = [(vae, "encode"), (vae, "decode"), (reader, "read")]
        return Flux2Klein(bigger), Timed([(bigger.transformer, "forward"), *methods])

    combined = product((4, 6, 8, 12), (1.0, 2.0, 3.0, 4.0), (True, False), SIZES)
    return Subject(
        Flux2Klein(parts),
        tuple(
            {
                "steps": steps,
                "guidance_scale": guidance,
                "strength": 1.0,
                "kept": kept,
                "size": size,
            }
            for steps, guidance, kept, size in combined
        ),
        large,
        {"steps": 2, "guidance_scale": 1.0, "strength": 1.0, "kept": True, "size": (256, 256)},
    )


SUBJECTS = {"sd": stable_diffusion, "flux2": klein}


class _WideText:
    """A tiny text encoder whose layers are repeated to a width."""

    def __init__(self, encoder: Any, width: int) -> None:
        self.model, self.device = _Repeated(encoder.model, width), encoder.device


class _Repeated:
    def __init__(self, reader: Any, width: int) -> None:
        self._reader = reader
        self._width = width

    def __call__(self, **given: Any) -> Any:
        return self.read(**given)

    def read(self, **given: Any) -> Any:
        read = self._reader(**given)
        times = self._width // read.hidden_states[0].shape[-1]
        read.hidden_states = tuple(one.repeat(1, 1, times) for one in read.hidden_states)
        return read


def _wide_vae() -> Any:
    vae = random_network(diffusers.AutoencoderKLFlux2, {})
    vae.bn.reset_running_stats()
    return vae
