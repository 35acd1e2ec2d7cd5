"""What must be known of a family of models before its code is loaded: `family.toml` of its folder.

The configuration is checked by it, and so is a request, in processes that never load torch. A new
family is a folder of `diffusion/families`; its name is known here from then on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from deployments.strict_settings import Settings

_FAMILIES = Path(__file__).parent / "diffusion" / "families"


class FamilyTraits(Settings):
    """What the models of one family take.

    Attributes:
        title: Its name, for people.
        schedulers: The samplers that it may have.
        controlnet: Whether a model may have a ControlNet.
        vae: Whether a model may have an autoencoder that is not of its weights.
        openvino: Whether OpenVINO can run it.
        compile: Whether torch can compile it for fixed numbers of rows.
        half: The type of its weights on CUDA where `dtype` is `auto`.
        distilled: Whether it has checkpoints that were distilled, which take no guidance.
        language_model: Whether its text encoder is a language model, so large that its place can be
            chosen.
        edits: Whether it edits a photo as a whole where no product is kept. It then starts from
            noise, so that `strength` means nothing.
        steps_round_up: Whether `strength` of the steps is rounded up, and not down, as the stock
            pipelines of the family do.
        defaults: Settings of its models that differ from the defaults of `ModelSettings`.
    """

    title: str
    schedulers: tuple[str, ...]
    controlnet: bool
    vae: bool
    openvino: bool
    compile: bool
    half: Literal["float16", "bfloat16"]
    distilled: bool
    language_model: bool
    edits: bool
    steps_round_up: bool
    defaults: Mapping[str, Any] = {}

    def steps_taken(self, steps: int, strength: float) -> int:
        """The denoising steps that strength, above 0 to 1, leaves of so many; perhaps none."""
        share = min(steps * strength, steps)
        return steps - int(steps - share) if self.steps_round_up else int(share)


def _read() -> Mapping[str, FamilyTraits]:
    files = sorted(_FAMILIES.glob("*/family.toml"))
    return MappingProxyType(
        {
            file.parent.name: FamilyTraits.model_validate(tomllib.loads(file.read_text("utf-8")))
            for file in files
        }
    )


FAMILIES = _read()
"""All families by name."""
