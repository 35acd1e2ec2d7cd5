"""Weights that load, and yet do not go together or are not what their family runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import transformers
from weights_cases import edit_json, refusal

from tests.tiny_models import save_tiny_controlnet, save_tiny_weights

UNet = diffusers.UNet2DConditionModel


@pytest.fixture(scope="session")
def saved_xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cup-model` and `cup-control` of family sdxl, not to be changed."""
    folder = tmp_path_factory.mktemp("saved_xl")
    save_tiny_weights(folder / "cup-model", family="sdxl")
    save_tiny_controlnet(folder / "cup-control", "sdxl")
    return folder


def rebuild(folder: Path, cls: Any, **changes: Any) -> None:
    """Save a network of another shape in a folder."""
    cls.from_config({**cls.load_config(folder), **changes}).save_pretrained(folder)


def misfit(*args: Any, **changes: Any) -> str:
    sentence = refusal(*args, **changes)
    assert sentence.startswith("weights: those of model cups do not fit: ")
    return sentence.removeprefix("weights: those of model cups do not fit: ")


@pytest.mark.parametrize(
    ("part", "cls", "changes", "problem"),
    [
        (
            "unet",
            UNet,
            {"in_channels": 8},
            "the UNet has 8 input channels, and family sd takes 4, or 9 for inpainting",
        ),
        (
            "unet",
            UNet,
            {"cross_attention_dim": 48},
            "the UNet reads text 48 wide, its encoder writes 32",
        ),
        (
            "unet",
            UNet,
            {"time_cond_proj_dim": 8},
            "the UNet needs time_cond_proj_dim, which family sd does not give",
        ),
        (
            "unet",
            UNet,
            {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 80,
            },
            "the UNet's addition_embed_type is text_time, and family sd takes None or text",
        ),
        ("unet", UNet, {"out_channels": 8}, "the VAE has 4 latent channels, the UNet 8"),
        (
            "vae",
            diffusers.AutoencoderKL,
            {"latent_channels": 8},
            "the VAE has 8 latent channels, the UNet 4",
        ),
        (
            "vae",
            diffusers.AutoencoderKL,
            {"latents_mean": [0.1, 0.2, 0.3, 0.4]},
            "the VAE's latents_mean is set, and family sd takes scaling_factor alone",
        ),
    ],
)
def test_weights_that_do_not_fit(
    weights: Path, part: str, cls: Any, changes: dict[str, Any], problem: str
) -> None:
    rebuild(weights / part, cls, **changes)
    assert misfit(weights) == problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"cross_attention_dim": 32},
            "the UNet reads text 32 wide, its encoders write 64",
        ),
        (
            {"addition_embed_type": None},
            "the UNet's addition_embed_type is None, and family sdxl takes text_time",
        ),
        (
            {"projection_class_embeddings_input_dim": 72},
            "the UNet's added conditions are 72 wide; 6 numbers and the pooled text make 80",
        ),
        (
            {"in_channels": 5},
            "the UNet has 5 input channels, and family sdxl takes 4, or 9 for inpainting",
        ),
    ],
)
def test_sdxl_weights_that_do_not_fit(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    rebuild(tmp_path / "unet", UNet, **changes)
    assert misfit(tmp_path, family="sdxl") == problem


def test_the_aesthetic_score_takes_the_place_of_the_target_size(tmp_path: Path) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    edit_json(tmp_path / "model_index.json", requires_aesthetics_score=True)
    assert misfit(tmp_path, family="sdxl") == (
        "the UNet's added conditions are 80 wide; 5 numbers and the pooled text make 72"
    )


def test_tokenizers_of_unequal_length(tmp_path: Path) -> None:
    save_tiny_weights(tmp_path, family="sdxl")
    edit_json(tmp_path / "tokenizer_2" / "tokenizer_config.json", model_max_length=12)
    assert misfit(tmp_path, family="sdxl") == (
        "the tokenizers give up to 16 and 12 tokens, not equally many"
    )


def test_a_tokenizer_that_does_not_fit(weights: Path) -> None:
    edit_json(weights / "tokenizer" / "tokenizer_config.json", model_max_length=77)
    assert misfit(weights) == ("the tokenizer gives up to 77 tokens, the text encoder reads 16")


def test_a_vocabulary_that_does_not_fit(weights: Path) -> None:
    folder = weights / "text_encoder"
    config = transformers.CLIPTextConfig.from_pretrained(folder, vocab_size=500)
    transformers.CLIPTextModel(config).save_pretrained(folder)
    assert misfit(weights) == "the tokenizer has 519 tokens, the text encoder 500"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"conditioning_channels": 1},
            "the ControlNet takes 1 channels of control map, not 3",
        ),
        ({"in_channels": 9}, "the ControlNet has 9 input channels, the latents 4"),
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
    rebuild(control, diffusers.ControlNetModel, **changes)
    assert misfit(saved / "cup-model", control) == problem


def test_a_controlnet_of_the_other_family(saved: Path, saved_xl: Path) -> None:
    assert misfit(saved_xl / "cup-model", saved / "cup-control", family="sdxl") == (
        "cross_attention_dim is 32 in the ControlNet and 64 in the UNet"
    )
    assert misfit(saved / "cup-model", saved_xl / "cup-control") == (
        "cross_attention_dim is 64 in the ControlNet and 32 in the UNet"
    )
