"""Weights that load, and the sentence for each that does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import safetensors.torch
import torch
import transformers
from stepped import SteppedModel, submit
from weights_cases import edit_json, refusal, settings

from deployments.diffusion.loading import load_components
from tests.tiny_models import save_tiny_weights


@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_a_saved_folder_loads_and_makes_an_image(
    tmp_path: Path, saved: Path, start_engine: Callable[..., Any], vae: Any
) -> None:
    save_tiny_weights(tmp_path / "cups", vae=vae)
    parts = load_components(settings(tmp_path / "cups", saved / "cup-control"))
    assert parts.origin == "cups with ControlNet cup-control"
    assert (parts.device.type, parts.dtype) == ("cpu", torch.float32)
    model = SteppedModel(parts)
    model.allow(1000)
    heard, _ = submit(start_engine(model))
    assert heard.image().pixels.shape == (64, 64, 3)


def test_what_was_saved_is_what_is_loaded(components: Any, saved: Path) -> None:
    loaded = load_components(settings(saved / "cup-model", saved / "cup-control"))
    built = components(controlnet=True)
    for part in ("text_encoder", "unet", "vae", "controlnet"):
        expected = getattr(built, part).state_dict()
        found = getattr(loaded, part).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert loaded.scheduler_config["beta_schedule"] == "scaled_linear"
    text = "a forest cup"
    assert loaded.tokenizer(text).input_ids == built.tokenizer(text).input_ids


def test_half_precision_takes_the_fp16_files(saved: Path, weights: Path) -> None:
    half = diffusers.UNet2DConditionModel.from_pretrained(saved / "cup-model" / "unet")
    torch.nn.init.constant_(half.conv_in.bias, 0.5)
    half.half().save_pretrained(weights / "unet", variant="fp16")
    assert load_components(settings(weights)).unet.conv_in.bias[0] != 0.5
    parts = load_components(settings(weights, dtype="float16"))
    assert parts.unet.conv_in.bias[0] == 0.5
    assert parts.unet.dtype == parts.vae.dtype == parts.text_encoder.dtype == torch.float16


def test_fp16_files_alone_load_in_any_precision(weights: Path) -> None:
    for file in [
        *weights.glob("*/diffusion_pytorch_model.safetensors"),
        *weights.glob("*/model.*"),
    ]:
        file.rename(file.with_suffix(".fp16.safetensors"))
    assert load_components(settings(weights)).unet.dtype == torch.float32


def test_sharded_files_load(saved: Path, weights: Path) -> None:
    unet = diffusers.UNet2DConditionModel.from_pretrained(saved / "cup-model" / "unet")
    (weights / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    unet.save_pretrained(weights / "unet", max_shard_size="100KB")
    assert len(list((weights / "unet").glob("*.safetensors"))) > 1
    loaded = load_components(settings(weights)).unet
    assert torch.equal(loaded.conv_in.weight, unet.conv_in.weight)


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_missing_file(weights: Path, file: str) -> None:
    (weights / file).unlink()
    assert refusal(weights) == f"The weights {weights} have no {file}."


def test_a_missing_tokenizer(weights: Path) -> None:
    shutil.rmtree(weights / "tokenizer")
    assert refusal(weights) == f"The weights {weights} have no tokenizer/vocab.json."


def test_pickled_weights_are_not_read(weights: Path) -> None:
    unet = weights / "unet"
    tensors = safetensors.torch.load_file(unet / "diffusion_pytorch_model.safetensors")
    torch.save(tensors, unet / "diffusion_pytorch_model.bin")
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    assert "have no unet/diffusion_pytorch_model.safetensors" in refusal(weights)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 64, None], ids=["empty", "zeros", "cut"])
def test_a_damaged_file(weights: Path, damage: bytes | None) -> None:
    file = weights / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    name = "vae/diffusion_pytorch_model.safetensors"
    assert refusal(weights).startswith(f"The file {name} of the weights {weights} is damaged: ")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_configuration(weights: Path, text: str) -> None:
    (weights / "unet" / "config.json").write_text(text)
    assert refusal(weights).startswith(f"The file unet/config.json of the weights {weights} ")


def test_a_damaged_vocabulary(weights: Path) -> None:
    (weights / "tokenizer" / "tokenizer.json").write_text("{")
    assert refusal(weights).startswith(f"The tokenizer of the weights {weights} cannot be loaded: ")


def test_tensors_that_are_missing(weights: Path) -> None:
    file = weights / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    del tensors["conv_in.bias"]
    safetensors.torch.save_file(tensors, file, {"format": "pt"})
    assert refusal(weights) == f"The weights {weights} lack conv_in.bias of unet."


def test_tensors_of_another_shape(weights: Path) -> None:
    edit_json(weights / "text_encoder" / "config.json", intermediate_size=50)
    assert refusal(weights).startswith(f"The text_encoder of the weights {weights} cannot be ")


@pytest.mark.parametrize(
    ("part", "found"),
    [("unet", "Kandinsky3UNet"), ("vae", "VQModel"), ("tokenizer", "T5Tokenizer")],
)
def test_another_kind_of_component(weights: Path, part: str, found: str) -> None:
    edit_json(weights / "model_index.json", **{part: ["diffusers", found]})
    assert f"have {found} as {part}; family sd takes " in refusal(weights)


def test_a_component_that_is_not_there(weights: Path) -> None:
    edit_json(weights / "model_index.json", vae=[None, None])
    assert refusal(weights) == (
        f"The weights {weights} have None as vae; family sd takes AutoencoderKL or AutoencoderTiny."
    )


def _rebuild(folder: Path, cls: Any, **changes: Any) -> None:
    """Save a network of another shape in a folder."""
    cls.from_config({**cls.load_config(folder), **changes}).save_pretrained(folder)


def _rebuild_text_encoder(folder: Path, **changes: Any) -> None:
    config = transformers.CLIPTextConfig.from_pretrained(folder, **changes)
    transformers.CLIPTextModel(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "cls", "changes", "problem"),
    [
        (
            "unet",
            diffusers.UNet2DConditionModel,
            {"in_channels": 9},
            "the UNet has 9 input and 4 output channels, and family sd takes as many of both",
        ),
        (
            "unet",
            diffusers.UNet2DConditionModel,
            {"cross_attention_dim": 48},
            "the UNet reads text 48 wide, its encoder writes 32",
        ),
        (
            "unet",
            diffusers.UNet2DConditionModel,
            {"time_cond_proj_dim": 8},
            "the UNet needs time_cond_proj_dim, which family sd does not give",
        ),
        (
            "vae",
            diffusers.AutoencoderKL,
            {"latent_channels": 8},
            "the VAE has 8 latent channels, the UNet 4",
        ),
        (
            "vae",
            diffusers.AutoencoderKL,
            {
                "block_out_channels": [8] * 6,
                "down_block_types": ["DownEncoderBlock2D"] * 6,
                "up_block_types": ["UpDecoderBlock2D"] * 6,
            },
            "the VAE shrinks by 32, and sides are multiples of 16",
        ),
    ],
)
def test_weights_that_do_not_fit(
    weights: Path, part: str, cls: Any, changes: dict[str, Any], problem: str
) -> None:
    _rebuild(weights / part, cls, **changes)
    assert refusal(weights) == f"The weights of model cups do not fit: {problem}."


def test_a_tokenizer_that_does_not_fit(weights: Path) -> None:
    edit_json(weights / "tokenizer" / "tokenizer_config.json", model_max_length=77)
    assert refusal(weights) == (
        "The weights of model cups do not fit: "
        "the tokenizer gives up to 77 tokens, the text encoder reads 16."
    )


def test_a_vocabulary_that_does_not_fit(weights: Path) -> None:
    _rebuild_text_encoder(weights / "text_encoder", vocab_size=500)
    assert refusal(weights) == (
        "The weights of model cups do not fit: the tokenizer has 519 tokens, the text encoder 500."
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"conditioning_channels": 1},
            "the ControlNet takes 1 channels of control map, not 3",
        ),
        (
            {"block_out_channels": [16, 24]},
            "block_out_channels is [16, 24] in the ControlNet and [16, 32] in the UNet",
        ),
        (
            {"cross_attention_dim": 48},
            "cross_attention_dim is 48 in the ControlNet and 32 in the UNet",
        ),
        (
            {"global_pool_conditions": True},
            "the ControlNet pools its conditions, which family sd does not do",
        ),
        (
            {"conditioning_embedding_out_channels": [8, 16]},
            "the ControlNet shrinks by 2, the VAE by 8",
        ),
    ],
)
def test_a_controlnet_that_does_not_fit(
    saved: Path, control: Path, changes: dict[str, Any], problem: str
) -> None:
    _rebuild(control, diffusers.ControlNetModel, **changes)
    sentence = refusal(saved / "cup-model", control)
    assert sentence == f"The weights of model cups do not fit: {problem}."


def test_a_folder_that_is_no_controlnet(saved: Path) -> None:
    unet = saved / "cup-model" / "unet"
    assert refusal(saved / "cup-model", unet) == (
        f"The ControlNet {unet} is a UNet2DConditionModel; a ControlNetModel is needed."
    )
    assert refusal(saved / "cup-model", saved) == f"The weights {saved} have no config.json."


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_cuda_device(saved: Path) -> None:
    assert refusal(saved / "cup-model", device="cuda") == (
        "Model cups is configured for CUDA, and torch finds no CUDA device here."
    )


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError]
)
def test_out_of_memory(saved: Path, monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        if error is RuntimeError:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: not enough memory")
        raise error

    monkeypatch.setattr(diffusers.UNet2DConditionModel, "from_pretrained", fail)
    weights = saved / "cup-model"
    assert refusal(weights) == f"There is not enough memory to load unet of the weights {weights}."
