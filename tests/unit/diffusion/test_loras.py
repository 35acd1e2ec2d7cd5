"""LoRAs fused at load: what they change, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import safetensors.torch
import torch
import transformers
from diffusers.utils.peft_utils import scale_lora_layers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from weights_cases import refusal, settings

from deployments.diffusion.families.registry import load_components
from deployments.diffusion.weights.components import UNetComponents
from deployments.settings import LoraSettings
from tests.tiny_models import TOKENS, save_tiny_weights, tiny_components

FILE = "pytorch_lora_weights.safetensors"
# Fused weights round otherwise than a second path beside them.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def networks(parts: UNetComponents) -> dict[str, Any]:
    names = ("text_encoder", "text_encoder_2")
    return {"unet": parts.unet, **dict(zip(names, parts.text_encoders, strict=False))}


def adapted(family: Any, *, seed: int = 0, alpha: int = 6) -> UNetComponents:
    """Tiny components with a random adapter of rank 2 beside each network, not fused."""
    parts = tiny_components(family=family)
    torch.manual_seed(seed)
    for name, network in networks(parts).items():
        layers = ["to_q", "to_v", "conv1"] if name == "unet" else ["q_proj", "out_proj", "fc1"]
        network.add_adapter(
            LoraConfig(r=2, lora_alpha=alpha, target_modules=layers, init_lora_weights=False)
        )
    return parts


def adapter_tensors(parts: UNetComponents) -> dict[str, torch.Tensor]:
    return {
        f"{part}.{name}": tensor.contiguous()
        for part, network in networks(parts).items()
        for name, tensor in get_peft_model_state_dict(network).items()
    }


def save_adapter(parts: UNetComponents, folder: Path) -> None:
    """Write the file that the stock pipeline writes."""
    found = networks(parts)
    layers = {f"{part}_lora_layers": get_peft_model_state_dict(one) for part, one in found.items()}
    adapters = {f"{part}_lora_adapter_metadata": one.peft_config["default"].to_dict()
                for part, one in found.items()}  # fmt: skip
    stock = (
        diffusers.StableDiffusionXLPipeline
        if parts.told_sizes
        else diffusers.StableDiffusionPipeline
    )
    stock.save_lora_weights(folder, **layers, **adapters)


@pytest.fixture(scope="session")
def lora_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in `sd-cups` and `sdxl-cups`, adapters in `sd-lora` and `sdxl-lora`; read only."""
    folder = tmp_path_factory.mktemp("adapters")
    for family in ("sd", "sdxl"):
        save_tiny_weights(folder / f"{family}-cups", family=family)  # type: ignore[arg-type]
        save_adapter(adapted(family), folder / f"{family}-lora")
    return folder


@torch.no_grad()
def outputs(parts: UNetComponents) -> list[torch.Tensor]:
    """What every network makes of one fixed input."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.arange(TOKENS)[None]
    found = [encoder(tokens)[0] for encoder in parts.text_encoders]
    text = torch.randn(1, TOKENS, parts.unet.config.cross_attention_dim, generator=generator)
    sample = torch.randn(1, 4, 8, 8, generator=generator)
    added = {
        "text_embeds": torch.randn(1, 32, generator=generator),
        "time_ids": torch.arange(6.0)[None],
    }
    found.append(
        parts.unet(sample, 7, text, added_cond_kwargs=added if parts.told_sizes else None)[0]
    )
    return found


def fused(folder: Path, family: str, *loras: LoraSettings) -> UNetComponents:
    return load_components(settings(folder / f"{family}-cups", family=family, loras=loras))


@pytest.mark.parametrize("scale", [1.0, 0.6, -1.5])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_fused_adapter_computes_what_it_computes_beside_the_weights(
    lora_folders: Path, components: Any, family: str, scale: float
) -> None:
    parts = fused(
        lora_folders,
        family,
        LoraSettings(weights=str(lora_folders / f"{family}-lora"), scale=scale),
    )
    assert parts.origin == f"{family}-cups with LoRA {family}-lora/{FILE} x {scale:g}"
    beside = adapted(family)
    for network in networks(beside).values():
        scale_lora_layers(network, scale)
    plain = components(family=family)
    for ours, expected, without in zip(
        outputs(parts), outputs(beside), outputs(plain), strict=True
    ):
        torch.testing.assert_close(ours, expected, **CLOSE)
        assert (ours - without).abs().max() > 1e-2
    for part, network in networks(parts).items():
        assert network.state_dict().keys() == networks(plain)[part].state_dict().keys()
        assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_adapter_is_fused_in_the_weights_own_type(lora_folders: Path, dtype: str) -> None:
    loras = (LoraSettings(weights=str(lora_folders / "sd-lora")),)
    cups = settings(lora_folders / "sd-cups", dtype=dtype, backend="torch", loras=loras)
    whole = fused(lora_folders, "sd", *loras).unet.state_dict()
    for name, weight in load_components(cups).unet.state_dict().items():
        assert weight.dtype == getattr(torch, dtype)
        torch.testing.assert_close(weight.float(), whole[name], rtol=0.02, atol=0.02)


def test_adapters_add_up(lora_folders: Path, tmp_path: Path, components: Any) -> None:
    second = adapted("sd", seed=1)
    save_adapter(second, tmp_path)
    (tmp_path / FILE).rename(tmp_path / "second.safetensors")
    loras = [
        LoraSettings(weights=str(lora_folders / "sd-lora"), scale=0.5),
        LoraSettings(weights=str(tmp_path), file="second.safetensors", scale=0.25),
    ]
    both = fused(lora_folders, "sd", *loras)
    assert both.origin.endswith(
        f" with LoRA sd-lora/{FILE} x 0.5 with LoRA {tmp_path.name}/second.safetensors x 0.25"
    )
    plain, one, other = (
        parts.unet.state_dict()
        for parts in (
            components(),
            fused(lora_folders, "sd", loras[0]),
            fused(lora_folders, "sd", loras[1]),
        )
    )
    for name, weight in both.unet.state_dict().items():
        torch.testing.assert_close(weight, one[name] + other[name] - plain[name], **CLOSE)
    assert not torch.equal(
        one["mid_block.resnets.0.conv1.weight"], plain["mid_block.resnets.0.conv1.weight"]
    )


def test_the_layout_of_other_trainers(lora_folders: Path, tmp_path: Path) -> None:
    short = {"unet": "lora_unet", "text_encoder": "lora_te"}
    renamed = {}
    parts = adapted("sd", alpha=6)
    for name, tensor in adapter_tensors(parts).items():
        part, _, layer = name.partition(".")
        layer, end = layer.split(".lora_")
        layer = layer if part == "unet" else f"text_model.{layer}"
        key = f"{short[part]}_{layer.replace('.', '_')}"
        renamed[f"{key}.lora_{'down' if end.startswith('A') else 'up'}.weight"] = tensor
        renamed[f"{key}.alpha"] = torch.tensor(6.0)
    safetensors.torch.save_file(renamed, tmp_path / "other.safetensors")
    other = fused(lora_folders, "sd", LoraSettings(weights=str(tmp_path), file="other.safetensors"))
    same = fused(lora_folders, "sd", LoraSettings(weights=str(lora_folders / "sd-lora")))
    for ours, expected in zip(outputs(other), outputs(same), strict=True):
        torch.testing.assert_close(ours, expected, **CLOSE)


def test_the_libraries_speak_again_afterwards(lora_folders: Path, tmp_path: Path) -> None:
    logs = (diffusers.utils.logging, transformers.logging)
    before = [log.get_verbosity() for log in logs]
    fused(lora_folders, "sd", LoraSettings(weights=str(lora_folders / "sd-lora")))
    assert [log.get_verbosity() for log in logs] == before
    no_lora(lora_folders, tmp_path)
    assert [log.get_verbosity() for log in logs] == before


def no_lora(folder: Path, lora: Path | str, family: str = "sd", **changes: Any) -> str:
    loras = (LoraSettings(weights=str(lora), **changes),)
    return refusal(folder / f"{family}-cups", family=family, loras=loras)


def test_a_missing_file_of_an_adapter(lora_folders: Path, tmp_path: Path) -> None:
    assert no_lora(lora_folders, tmp_path) == f"loras: {tmp_path} has no {FILE}"
    folder = lora_folders / "sd-lora"
    assert no_lora(lora_folders, folder, file="x.safetensors") == (
        f"loras: {folder} has no x.safetensors"
    )


@pytest.mark.parametrize("name", ["nowhere", "demo"])
def test_an_adapter_by_no_name(lora_folders: Path, name: str) -> None:
    assert no_lora(lora_folders, name) == (
        f"loras: '{name}' is neither a folder that exists, nor a Hub id like owner/name"
    )


def test_a_damaged_adapter(lora_folders: Path, tmp_path: Path) -> None:
    whole = (lora_folders / "sd-lora" / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-100])
    assert no_lora(lora_folders, tmp_path).startswith(f"loras: {FILE} of {tmp_path} is damaged: ")


def test_a_file_that_is_no_adapter(lora_folders: Path) -> None:
    folder = lora_folders / "sd-cups" / "unet"
    file = "diffusion_pytorch_model.safetensors"
    assert no_lora(lora_folders, folder, file=file) == (
        f"loras: {file} of {folder} is no LoRA: it holds conv_in.bias"
    )


@pytest.mark.parametrize(("family", "other"), [("sd", "sdxl"), ("sdxl", "sd")])
def test_an_adapter_of_another_architecture(lora_folders: Path, family: str, other: str) -> None:
    folder = lora_folders / f"{other}-lora"
    assert no_lora(lora_folders, folder, family).startswith(
        f"loras: {folder} does not fit these weights: "
    )


LAYER = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
ENCODER = "text_encoder.encoder.layers.0.mlp.fc1"


@pytest.mark.parametrize(
    ("part", "elsewhere"),
    [
        ("unet.mid_block.", "unet.end_block."),
        ("text_encoder.", "text_encoder_2."),
        (ENCODER, "text_encoder.pooler.fc1"),
    ],
)
def test_an_adapter_that_fits_only_in_part(
    lora_folders: Path, tmp_path: Path, part: str, elsewhere: str
) -> None:
    tensors = adapter_tensors(adapted("sd"))
    strange = sum(part in name for name in tensors)
    assert strange
    renamed = {name.replace(part, elsewhere): tensor for name, tensor in tensors.items()}
    safetensors.torch.save_file(renamed, tmp_path / FILE)
    assert no_lora(lora_folders, tmp_path) == (
        f"loras: {tmp_path} does not fit these weights: they have layers for "
        f"{len(tensors) - strange} of the {len(tensors)} tensors in {FILE}"
    )


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (LAYER, f"size mismatch for {LAYER.removeprefix('unet.')}.lora_A."),
        (ENCODER, "layers of a text encoder have another size"),
    ],
)
def test_a_layer_of_another_size(
    lora_folders: Path, tmp_path: Path, layer: str, problem: str
) -> None:
    tensors = adapter_tensors(adapted("sd")) | {f"{layer}.lora_A.weight": torch.ones(2, 17)}
    safetensors.torch.save_file(tensors, tmp_path / FILE)
    sentence = no_lora(lora_folders, tmp_path)
    assert sentence.startswith(f"loras: {tmp_path} does not fit these weights: ")
    assert problem in sentence


def test_an_adapter_without_any_layer_of_these(lora_folders: Path, tmp_path: Path) -> None:
    tensors = {f"unet.blocks.0.to_q.lora_{end}.weight": torch.ones(2, 2) for end in "AB"}
    safetensors.torch.save_file(tensors, tmp_path / FILE)
    assert no_lora(lora_folders, tmp_path).startswith(
        f"loras: {tmp_path} does not fit these weights: "
    )


def test_half_an_adapter_of_a_layer(lora_folders: Path, tmp_path: Path) -> None:
    tensors = adapter_tensors(adapted("sd"))
    del tensors[f"{LAYER}.lora_A.weight"]
    safetensors.torch.save_file(tensors, tmp_path / FILE)
    assert "does not fit these weights" in no_lora(lora_folders, tmp_path)


def test_an_adapter_that_is_not_finite(lora_folders: Path, tmp_path: Path) -> None:
    tensors = adapter_tensors(adapted("sd"))
    tensors[f"{LAYER}.lora_A.weight"][0, 0] = torch.nan
    safetensors.torch.save_file(tensors, tmp_path / FILE)
    assert "NaN" in no_lora(lora_folders, tmp_path)


def test_a_magnitude_that_the_loader_would_drop(lora_folders: Path, tmp_path: Path) -> None:
    tensors = {"lora_unet_mid_block.dora_scale": torch.ones(1)}
    safetensors.torch.save_file(tensors, tmp_path / FILE)
    assert no_lora(lora_folders, tmp_path) == (
        f"loras: {FILE} of {tmp_path} is a DoRA, which cannot be fused"
    )


def test_an_empty_adapter(lora_folders: Path, tmp_path: Path) -> None:
    safetensors.torch.save_file({}, tmp_path / FILE)
    assert no_lora(lora_folders, tmp_path) == (
        f"loras: {FILE} of {tmp_path} is no LoRA: it is empty"
    )
