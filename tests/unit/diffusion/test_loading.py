"""Weights that load, and the sentence for each that does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import safetensors.torch
import torch
from weights_cases import assert_same_weights, edit_json, refusal, settings

from deployments.diffusion.families.registry import load_components


def test_what_was_saved_is_what_is_loaded(components: Any, saved: Path) -> None:
    loaded = load_components(settings(saved / "cup-model", saved / "cup-control"))
    assert loaded.origin == "cup-model with ControlNet cup-control"
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
    assert_same_weights(loaded, components(controlnet=True))
    assert loaded.scheduler_config["beta_schedule"] == "scaled_linear"
    assert not loaded.zeros_for_empty_prompt
    assert not loaded.aesthetics


def test_half_precision_takes_the_fp16_files(saved: Path, weights: Path) -> None:
    half = diffusers.UNet2DConditionModel.from_pretrained(saved / "cup-model" / "unet")
    torch.nn.init.constant_(half.conv_in.bias, 0.5)
    half.half().save_pretrained(weights / "unet", variant="fp16")
    assert load_components(settings(weights)).unet.conv_in.bias[0] != 0.5
    parts = load_components(settings(weights, dtype="float16"))
    assert parts.unet.conv_in.bias[0] == 0.5
    assert parts.unet.dtype == parts.vae.dtype == parts.text_encoders[0].dtype == torch.float16


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
    assert refusal(weights) == f"weights: {weights} has no {file}"


def test_a_missing_tokenizer(weights: Path) -> None:
    shutil.rmtree(weights / "tokenizer")
    assert refusal(weights) == f"weights: {weights} has no tokenizer/vocab.json"


def test_pickled_weights_are_not_read(weights: Path) -> None:
    unet = weights / "unet"
    tensors = safetensors.torch.load_file(unet / "diffusion_pytorch_model.safetensors")
    torch.save(tensors, unet / "diffusion_pytorch_model.bin")
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    assert "has no unet/diffusion_pytorch_model.safetensors" in refusal(weights)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 64, None], ids=["empty", "zeros", "cut"])
def test_a_damaged_file(weights: Path, damage: bytes | None) -> None:
    file = weights / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    name = "vae/diffusion_pytorch_model.safetensors"
    assert refusal(weights).startswith(f"weights: {name} of {weights} is damaged: ")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_configuration(weights: Path, text: str) -> None:
    (weights / "unet" / "config.json").write_text(text)
    assert refusal(weights).startswith(f"weights: unet/config.json of {weights} ")


def test_a_damaged_vocabulary(weights: Path) -> None:
    (weights / "tokenizer" / "tokenizer.json").write_text("{")
    assert refusal(weights).startswith(f"weights: tokenizer of {weights} cannot be loaded: ")


def test_tensors_that_are_missing(weights: Path) -> None:
    file = weights / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    del tensors["conv_in.bias"]
    safetensors.torch.save_file(tensors, file, {"format": "pt"})
    assert refusal(weights) == f"weights: {weights} lacks conv_in.bias of unet"


def test_tensors_of_another_shape(weights: Path) -> None:
    edit_json(weights / "text_encoder" / "config.json", intermediate_size=50)
    assert refusal(weights).startswith(f"weights: text_encoder of {weights} cannot be ")


@pytest.mark.parametrize(
    ("part", "found"),
    [("unet", "Kandinsky3UNet"), ("vae", "VQModel"), ("tokenizer", "T5Tokenizer")],
)
def test_another_kind_of_component(weights: Path, part: str, found: str) -> None:
    edit_json(weights / "model_index.json", **{part: ["diffusers", found]})
    assert f"has {found} as {part}; family sd takes " in refusal(weights)


def test_a_component_that_is_not_there(weights: Path) -> None:
    edit_json(weights / "model_index.json", vae=[None, None])
    assert refusal(weights) == (
        f"weights: {weights} has None as vae; family sd takes AutoencoderKL or AutoencoderTiny "
        "or AutoencoderDC"
    )


def test_a_folder_that_is_no_controlnet(saved: Path) -> None:
    unet = saved / "cup-model" / "unet"
    assert refusal(saved / "cup-model", unet) == (
        f"controlnet: {unet} is a UNet2DConditionModel; a ControlNetModel is needed"
    )
    assert refusal(saved / "cup-model", saved) == f"controlnet: {saved} has no config.json"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_cuda_device(saved: Path) -> None:
    assert refusal(saved / "cup-model", device="cuda") == (
        "device: model cups is configured for CUDA, and torch finds no CUDA device"
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
    assert refusal(weights) == f"weights: there is not enough memory to load unet of {weights}"
