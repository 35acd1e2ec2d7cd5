"""The families' weights, another autoencoder beside them, and what each is loaded as."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch
from weights_cases import assert_same_weights, edit_json, refusal, settings

from deployments.diffusion.compute.networks import TorchNetworks
from deployments.diffusion.families.registry import load_components
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.diffusion.weights import loading
from deployments.diffusion.weights.components import UNetComponents
from deployments.diffusion.weights.precision import native_bf16
from deployments.jobs import GenerationSettings, ImageJob, Pixels, PreparedPhoto
from tests.tiny_models import prompts_of, save_tiny_controlnet, save_tiny_weights

CPU = torch.device("cpu")
BEST = torch.bfloat16 if native_bf16() else torch.float32


def image(parts: UNetComponents) -> Pixels:
    """What the model makes of a photo in two steps, half of it masked."""
    networks = TorchNetworks(parts.unet, parts.controlnet)
    model = StableDiffusion(prompts_of(parts), networks, "ddim", canny)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = 255
    job = ImageJob("key", GenerationSettings("a forest", "", 1, 4, 5.0, 0.5))
    denoising = model.prepare(job, PreparedPhoto(pixels, mask))
    while denoising.step < denoising.steps:
        [prediction] = model.predict([denoising])
        model.advance(denoising, prediction)
    return model.decode(denoising)


@pytest.mark.parametrize("control", [False, True], ids=["plain", "controlnet"])
@pytest.mark.parametrize("inpainting", [False, True], ids=["base", "inpainting"])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("vae", ["kl", "tiny", "dc"])
def test_a_saved_folder_loads_and_makes_the_image_of_what_was_saved(
    tmp_path: Path, components: Any, family: Any, inpainting: bool, control: bool, vae: Any
) -> None:
    save_tiny_weights(tmp_path / "cups", family=family, inpainting=inpainting, vae=vae)
    if control:
        save_tiny_controlnet(tmp_path / "control", family)
    loaded = load_components(
        settings(tmp_path / "cups", tmp_path / "control" if control else None, family=family)
    )
    built = components(family=family, inpainting=inpainting, controlnet=control, vae=vae)
    assert_same_weights(loaded, built)
    assert (loaded.told_sizes, loaded.inpainting) == (family == "sdxl", inpainting)
    assert (loaded.latent_channels, loaded.shrinks) == (4, 8)
    assert loaded.zeros_for_empty_prompt == (family == "sdxl")
    assert not loaded.aesthetics
    assert np.array_equal(image(loaded), image(built))


def test_what_the_index_says_of_empty_prompts(tmp_path: Path) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    edit_json(tmp_path / "model_index.json", force_zeros_for_empty_prompt=False)
    assert not load_components(settings(tmp_path, family="sdxl")).zeros_for_empty_prompt


def test_sdxl_weights_under_family_sd(tmp_path: Path) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    assert refusal(tmp_path) == (
        f"family: {tmp_path} has text_encoder_2, as SDXL has, and the model's family is sd; "
        "set family: sdxl"
    )


def test_sd_weights_under_family_sdxl(weights: Path) -> None:
    assert refusal(weights, family="sdxl") == (
        f"family: {weights} has no text_encoder_2, which SDXL has; set family: sd"
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_the_refiner(tmp_path: Path, family: str) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    edit_json(
        tmp_path / "model_index.json",
        text_encoder=[None, None],
        tokenizer=[None, None],
        requires_aesthetics_score=True,
    )
    assert refusal(tmp_path, family=family) == (
        f"weights: {tmp_path} is an SDXL refiner, which has text_encoder_2 alone; "
        "SDXL base or inpainting weights are needed"
    )


@pytest.mark.parametrize(
    ("part", "found", "accepted"),
    [
        ("text_encoder_2", "T5EncoderModel", "CLIPTextModelWithProjection"),
        ("tokenizer_2", "T5TokenizerFast", "CLIPTokenizer or CLIPTokenizerFast"),
    ],
)
def test_another_kind_of_second_component(
    tmp_path: Path, part: str, found: str, accepted: str
) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    edit_json(tmp_path / "model_index.json", **{part: ["transformers", found]})
    assert refusal(tmp_path, family="sdxl") == (
        f"weights: {tmp_path} has {found} as {part}; family sdxl takes {accepted}"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"backend": "torch", "dtype": "auto"}, BEST),
        ({"backend": "torch", "dtype": "bfloat16"}, torch.bfloat16),
        ({"backend": "openvino", "dtype": "auto"}, torch.float32),
        ({"backend": "openvino", "dtype": "bfloat16"}, torch.float32),
        ({"backend": "auto", "dtype": "float16"}, torch.float16),
        ({"backend": "auto", "dtype": "bfloat16", "compile": True}, torch.bfloat16),
        ({"backend": "auto", "dtype": "auto", "compile": True}, BEST),
    ],
)
def test_the_type_on_a_cpu(saved: Path, changes: dict[str, Any], expected: torch.dtype) -> None:
    parts = load_components(settings(saved / "cup-model", **changes))
    networks = [parts.unet, parts.vae, *parts.text_encoders]
    assert {network.dtype for network in networks} == {parts.dtype} == {expected}


@pytest.mark.parametrize(
    ("installed", "expected"), [(True, torch.float32), (False, torch.bfloat16)]
)
def test_openvino_takes_float32_where_it_is_installed(
    saved: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, expected: torch.dtype
) -> None:
    found = importlib.util.find_spec("torch")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: (
            (found if installed else None) if name == "openvino" else real(name, *rest)
        ),
    )
    assert load_components(settings(saved / "cup-model", dtype="bfloat16")).dtype == expected


@pytest.mark.parametrize(
    ("family", "vae", "upcast", "dtype", "expected"),
    [
        ("sdxl", "kl", None, "float16", torch.float32),
        ("sdxl", "kl", True, "float16", torch.float32),
        ("sdxl", "kl", False, "float16", torch.float16),
        ("sdxl", "kl", True, "bfloat16", torch.bfloat16),
        ("sdxl", "tiny", None, "float16", torch.float16),
        ("sd", "kl", True, "float16", torch.float16),
    ],
)
def test_an_autoencoder_that_overflows_is_loaded_in_float32(
    tmp_path: Path, family: Any, vae: Any, upcast: bool | None, dtype: str, expected: torch.dtype
) -> None:
    save_tiny_weights(tmp_path, family=family, vae=vae)
    file = tmp_path / "vae" / "config.json"
    config = json.loads(file.read_text())
    # Older configurations do not say.
    config.pop("force_upcast")
    file.write_text(json.dumps(config if upcast is None else config | {"force_upcast": upcast}))
    parts = load_components(settings(tmp_path, family=family, dtype=dtype, backend="torch"))
    assert parts.vae.dtype == expected
    assert parts.dtype == parts.unet.dtype == getattr(torch, dtype)


@pytest.fixture
def other_vae(tmp_path: Path) -> Path:
    """A folder that holds an autoencoder alone."""
    torch.manual_seed(1)
    folder = tmp_path / "taesd"
    diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        scaling_factor=0.9,
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_another_autoencoder(tmp_path: Path, other_vae: Path, family: Any) -> None:
    save_tiny_weights(tmp_path / "cups", family=family)
    shutil.rmtree(tmp_path / "cups" / "vae")
    parts = load_components(
        settings(tmp_path / "cups", family=family, vae=str(other_vae), dtype="float16")
    )
    assert parts.origin == "cups with VAE taesd"
    assert isinstance(parts.vae, diffusers.AutoencoderTiny)
    assert parts.vae.config.scaling_factor == 0.9
    saved = safetensors.torch.load_file(other_vae / "diffusion_pytorch_model.safetensors")
    assert all(
        torch.equal(value, saved[key].half()) for key, value in parts.vae.state_dict().items()
    )


def test_another_autoencoder_overflows_too(tmp_path: Path, saved: Path) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    vae = str(saved / "cup-model" / "vae")
    parts = load_components(settings(tmp_path, family="sdxl", vae=vae, dtype="float16"))
    assert parts.vae.dtype == torch.float32


@pytest.mark.parametrize(("dtype", "held"), [("bfloat16", torch.float32), ("float16", torch.half)])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_an_autoencoder_too_fine_for_bfloat16(
    tmp_path: Path, family: Any, dtype: Any, held: torch.dtype
) -> None:
    save_tiny_weights(tmp_path, family=family, vae="dc")
    parts = load_components(settings(tmp_path, family=family, backend="torch", dtype=dtype))
    assert isinstance(parts.vae, diffusers.AutoencoderDC)
    assert (parts.shrinks, parts.latent_channels) == (8, 4)
    assert (parts.vae.dtype, parts.unet.dtype) == (held, getattr(torch, dtype))


def test_the_demo_s_autoencoder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "DEMO_WEIGHTS", saved / "cup-model")
    parts = load_components(settings(saved / "cup-model", saved / "cup-control", vae="demo"))
    weights, vae, control = parts.origin.split(" with ")
    assert weights == "cup-model"
    assert vae.startswith("VAE demo@")
    assert control == "ControlNet cup-control"


def test_an_autoencoder_of_other_latents(saved: Path, other_vae: Path) -> None:
    kind = diffusers.AutoencoderTiny
    config = {**kind.load_config(other_vae), "latent_channels": 16}
    kind.from_config(config).save_pretrained(other_vae)
    assert refusal(saved / "cup-model", vae=str(other_vae)) == (
        "weights: those of model cups do not fit: the VAE has 16 latent channels, the UNet 4"
    )


def test_a_folder_that_is_no_autoencoder(saved: Path) -> None:
    unet = saved / "cup-model" / "unet"
    assert refusal(saved / "cup-model", vae=str(unet)) == (
        f"vae: {unet} is a UNet2DConditionModel; an AutoencoderKL or AutoencoderTiny "
        "or AutoencoderDC is needed"
    )
    assert refusal(saved / "cup-model", vae=str(saved)) == (f"vae: {saved} has no config.json")


def test_a_damaged_autoencoder(saved: Path, other_vae: Path) -> None:
    (other_vae / "diffusion_pytorch_model.safetensors").write_bytes(bytes(64))
    assert refusal(saved / "cup-model", vae=str(other_vae)).startswith(
        f"vae: diffusion_pytorch_model.safetensors of {other_vae} is damaged: "
    )


def test_an_autoencoder_of_the_hub_without_revision(saved: Path) -> None:
    assert refusal(saved / "cup-model", vae="owner/name") == (
        "vae: owner/name on the Hub needs a revision in the configuration, best a commit"
    )
