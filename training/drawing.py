"""Pictures of an exported demo folder, by its default settings and diffusers' stock pipelines."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from PIL import Image

from training import loop

Picture = npt.NDArray[np.float32]
_AT_ONCE = 16


@dataclass(frozen=True)
class Settings:
    """The model's default settings."""

    steps: int = 20
    guidance: float = 2.5


class Demo:
    """A demo folder, loaded in float32.

    The pipelines make latents, and the autoencoder is asked for the pictures: AutoencoderDC takes
    no generator, which they would give it.
    """

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        """Load the pipeline and, where there is one, the ControlNet."""
        self._settings = settings or Settings()
        self._text = StableDiffusionPipeline.from_pretrained(
            folder / "weights", dtype=torch.float32, safety_checker=None
        ).to(loop.device())
        self._edges = None
        if (folder / "controlnet").exists():
            control = ControlNetModel.from_pretrained(folder / "controlnet").to(loop.device())
            self._edges = StableDiffusionControlNetPipeline(
                **self._text.components, controlnet=control, requires_safety_checker=False
            )
        for pipeline in (self._text, self._edges):
            if pipeline is not None:
                pipeline.set_progress_bar_config(disable=True)

    def draw(
        self, prompts: list[str], seeds: list[int], control: list[Image.Image] | None = None
    ) -> list[Picture]:
        """One picture [256, 256, 3] in 0..1 for each prompt and seed; along edges where given.

        Raises:
            ValueError: edges were given and the folder has no ControlNet.
        """
        out: list[Picture] = []
        for first in range(0, len(prompts), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            common = {
                "prompt": prompts[part],
                "num_inference_steps": self._settings.steps,
                "guidance_scale": self._settings.guidance,
                "generator": [torch.Generator().manual_seed(s) for s in seeds[part]],
                "output_type": "latent",
            }
            if control is None:
                made = self._text(**common)
            elif self._edges is None:
                raise ValueError("the demo folder has no ControlNet")
            else:
                made = self._edges(image=control[part], **common)
            out += self._decoded(made.images)
        return out

    def _decoded(self, latents: torch.Tensor) -> list[Picture]:
        vae = self._text.vae
        with torch.no_grad():
            pictures = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        pixels = (pictures * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        return list(np.asarray(pixels.float().cpu(), np.float32))
