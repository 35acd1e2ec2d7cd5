"""The weights in this package: whole, small, and they follow the prompt.

Everything is made by the engine's own model with the settings of serve_config.yaml.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.families.registry import load_components
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.diffusion.weights.sources import DEMO_CONTROLNET, DEMO_WEIGHTS, WeightsError
from deployments.jobs import GenerationSettings, ImageJob, Pixels, PreparedPhoto
from deployments.settings import ModelSettings
from tests.tiny_models import prompts_of

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "serve_config.yaml").read_text(encoding="utf-8"))
ENTRY = CONFIG["applications"][0]["args"]["models"][0]
GREY = np.full((256, 256, 3), 128, np.uint8)

Draw = Callable[..., Pixels]


@pytest.fixture(scope="module")
def draw() -> Draw:
    """Make an image of a prompt with the default settings of the first shipped model."""
    settings = ModelSettings.model_validate({**ENTRY, "device": "cpu"})
    parts = load_components(settings)
    networks = TorchNetworks(parts.unet, parts.controlnet)
    diffusion = StableDiffusion(prompts_of(parts), networks, settings.scheduler, canny)

    def run(prompt: str, seed: int = 0) -> Pixels:
        asked = GenerationSettings(
            prompt=prompt,
            negative_prompt="",
            seed=seed,
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            strength=settings.strength,
        )
        job = ImageJob("0" * 32, asked)
        state = diffusion.prepare(job, PreparedPhoto(GREY))
        while state.step < state.steps:
            diffusion.advance(state, *diffusion.predict([state]))
        return diffusion.decode(state)

    return run


def greenness(pixels: Pixels) -> float:
    """How much more green than blue the upper half is, in levels: leaves, not sky."""
    upper = pixels[:128].astype(float).mean(axis=(0, 1))
    return float(upper[1] - upper[2])


def shapes(pixels: Pixels) -> float:
    """The spread of what differs from its surroundings, in levels: shapes, not light that fades."""
    grey = pixels.mean(axis=-1).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 32)).std())


def test_it_is_small() -> None:
    files = [*DEMO_WEIGHTS.rglob("*"), *DEMO_CONTROLNET.rglob("*")]
    assert sum(file.stat().st_size for file in files if file.is_file()) <= 32_000_000


def test_it_has_the_layout_and_half_precision_of_real_weights() -> None:
    settings = ModelSettings(id="demo", name="Demo", controlnet="demo", device="cpu")
    parts = load_components(settings)
    assert type(parts.unet).__name__ == "UNet2DConditionModel"
    assert type(parts.controlnet).__name__ == "ControlNetModel"
    assert [type(one).__name__ for one in parts.text_encoders] == ["CLIPTextModel"]
    for file in [*DEMO_WEIGHTS.rglob("*.safetensors"), *DEMO_CONTROLNET.rglob("*.safetensors")]:
        assert {tensor.dtype for tensor in load_file(file).values()} <= {
            torch.float16,
            torch.bfloat16,
            torch.int64,
        }


@pytest.mark.parametrize("seed", [1, 2])
def test_a_forest_is_greener_than_a_beach(draw: Draw, seed: int) -> None:
    forest = draw("Change background to forest", seed)
    beach = draw("on a tropical beach", seed)
    assert greenness(forest) > 5 > -5 > greenness(beach)


@pytest.mark.parametrize(("colour", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_named_colour_is_the_strongest(draw: Draw, colour: str, channel: int) -> None:
    means = draw(f"plain {colour} studio").reshape(-1, 3).mean(axis=0)
    assert means.argmax() == channel


def test_a_window_throws_light_on_a_wall(draw: Draw) -> None:
    lit, plain = draw("beige wall with window light"), draw("plain beige studio")
    assert shapes(lit) > 3 * shapes(plain)


def test_night_is_darker_than_snow(draw: Draw) -> None:
    assert draw("city at night").mean() + 60 < draw("snowy landscape").mean()


def test_seeds_give_different_pictures(draw: Draw) -> None:
    first, second = (draw("Perfume backdrop", seed).astype(float) for seed in (1, 2))
    assert np.sqrt(((first - second) ** 2).mean()) > 8


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_folder_fails_with_the_files_name(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(DEMO_WEIGHTS, folder)
    file = next(folder.glob("unet/*.safetensors"))
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        file.unlink()
    settings = ModelSettings(id="demo", name="Demo", weights=str(folder), device="cpu")
    with pytest.raises(WeightsError, match=r"unet/diffusion_pytorch_model"):
        load_components(settings)
