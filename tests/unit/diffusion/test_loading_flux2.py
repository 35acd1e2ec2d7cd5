"""Weights of FLUX.2 klein: what loads, what is refused, and adapters that are fused into them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from stepped import a_job, a_photo
from test_loading_families import BEST
from weights_cases import edit_json, refusal, settings

from deployments.diffusion.families.flux2.components import Flux2Components
from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.families.registry import family_of, load_components
from deployments.diffusion.weights.sources import WeightsError
from deployments.jobs import Pixels
from deployments.settings import LoraSettings
from tests.tiny_flux2 import save_tiny_flux2, tiny_flux2
from tests.tiny_models import save_tiny_weights

LORA = "pytorch_lora_weights.safetensors"


def image(parts: Flux2Components) -> Pixels:
    """What the model makes of a photo in two steps."""
    model = Flux2Klein(parts)
    denoising = model.prepare(a_job(steps=2, guidance_scale=1.0), a_photo())
    while denoising.step < denoising.steps:
        model.advance(denoising, *model.predict([denoising]))
    return model.decode(denoising)


def assert_same(loaded: Flux2Components, built: Flux2Components) -> None:
    """All tensors are equal, and so are the images: but for what a tensor's address rounds."""
    for name in ("transformer", "vae", "text_encoders"):
        pair = (getattr(loaded, name), getattr(built, name))
        found, expected = ((one[0] if isinstance(one, tuple) else one).state_dict() for one in pair)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert np.abs(image(loaded).astype(int) - image(built)).max() <= 1


def load(folder: Path, **changes: Any) -> Any:
    return load_components(settings(folder, **({"family": "flux2", "dtype": "float32"} | changes)))


@pytest.fixture(scope="session")
def saved_klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, not to be changed."""
    folder = tmp_path_factory.mktemp("klein") / "klein"
    save_tiny_flux2(folder)
    return folder


@pytest.fixture
def klein(saved_klein: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved_klein, tmp_path / "klein"))


def test_a_saved_folder_loads_and_makes_the_image_of_what_was_saved(saved_klein: Path) -> None:
    loaded = load(saved_klein)
    assert (loaded.distilled, loaded.token_side, loaded.token_channels) == (True, 16, 16)
    assert loaded.origin == "klein"
    assert not any(one.training for one in (loaded.transformer, loaded.vae))
    assert_same(loaded, tiny_flux2())


def test_base_weights_load(tmp_path: Path) -> None:
    save_tiny_flux2(tmp_path, distilled=False)
    assert not load(tmp_path, distilled=False).distilled


def test_weights_that_remember_their_references_load(tmp_path: Path) -> None:
    save_tiny_flux2(tmp_path, remembers=True)
    loaded = load(tmp_path)
    assert (loaded.distilled, loaded.remembers) == (True, True)
    assert_same(loaded, tiny_flux2(remembers=True))


def test_weights_in_several_files_load(klein: Path) -> None:
    parts = tiny_flux2()
    for name, module in (("text_encoder", parts.text_encoders[0]), ("transformer", None)):
        module = parts.transformer if module is None else module
        for file in (klein / name).glob("*.safetensors"):
            file.unlink()
        module.save_pretrained(klein / name, max_shard_size="40KB")
        assert len(list((klein / name).glob("*-of-*.safetensors"))) > 1
    assert_same(load(klein), parts)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("auto", BEST), ("bfloat16", torch.bfloat16), ("float32", torch.float32)],
)
def test_the_type_on_a_cpu(saved_klein: Path, dtype: str, expected: torch.dtype) -> None:
    parts = load(saved_klein, dtype=dtype)
    networks = (parts.transformer, parts.vae, *parts.text_encoders)
    assert {one.dtype for one in networks} == {parts.dtype} == {expected}
    assert {tensor.dtype for tensor in parts.statistics} == {expected}


@pytest.mark.parametrize("distilled", [True, False])
def test_a_model_that_is_not_distilled_as_its_settings_say(tmp_path: Path, distilled: bool) -> None:
    save_tiny_flux2(tmp_path, distilled=distilled)
    asked = settings(tmp_path, family="flux2", distilled=not distilled)
    with pytest.raises(WeightsError) as caught:
        family_of(asked).create_model(load_components(asked), asked)
    kind, value = ("distilled", "true") if distilled else ("not distilled", "false")
    assert str(caught.value) == (
        f"distilled: the weights of model cups are {kind}; set distilled: {value}"
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_weights_of_another_family(tmp_path: Path, family: Any) -> None:
    save_tiny_weights(tmp_path, family=family)
    assert refusal(tmp_path, family="flux2") == (
        f"weights: {tmp_path} has nothing as transformer; "
        "family flux2 takes Flux2Transformer2DModel"
    )


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_klein_under_another_family(saved_klein: Path, family: str) -> None:
    said = refusal(saved_klein, family=family)
    assert said.startswith((f"weights: {saved_klein} has", f"family: {saved_klein} has"))


def test_the_demo_is_no_editing_model() -> None:
    assert refusal("demo", family="flux2").startswith("weights: demo has nothing as transformer")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"text_encoder": ["transformers", "Mistral3ForConditionalGeneration"]},
            "has Mistral3ForConditionalGeneration as text_encoder; family flux2 takes "
            "Qwen3ForCausalLM",
        ),
        (
            {"vae": ["diffusers", "AutoencoderKL"]},
            "has AutoencoderKL as vae; family flux2 takes AutoencoderKLFlux2",
        ),
        (
            {"transformer": ["diffusers", "FluxTransformer2DModel"]},
            "has FluxTransformer2DModel as transformer; family flux2 takes Flux2Transformer2DModel",
        ),
        (
            {"scheduler": ["diffusers", "DDIMScheduler"]},
            "has DDIMScheduler as scheduler; family flux2 takes FlowMatchEulerDiscreteScheduler",
        ),
        (
            {"_class_name": "Flux2Pipeline"},
            "is made for Flux2Pipeline; family flux2 takes what is made for "
            "Flux2KleinPipeline or Flux2KleinInpaintPipeline or Flux2KleinKVPipeline",
        ),
    ],
)
def test_another_kind_of_component(klein: Path, changes: dict[str, Any], problem: str) -> None:
    edit_json(klein / "model_index.json", **changes)
    assert refusal(klein, family="flux2") == f"weights: {klein} {problem}"


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_missing_file(klein: Path, file: str) -> None:
    (klein / file).unlink()
    assert refusal(klein, family="flux2") == f"weights: {klein} has no {file}"


def rebuild(kind: Any, **changes: Any) -> Callable[[Path], None]:
    """Saves a network of another shape."""

    def save(folder: Path) -> None:
        kind.from_config({**kind.load_config(folder), **changes}).save_pretrained(folder)

    return save


def rebuild_text(**changes: Any) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        config = transformers.Qwen3Config.from_pretrained(folder)
        # Else it keeps the kinds of the layers that it had.
        config.layer_types = None
        built = transformers.Qwen3Config(**{**config.to_dict(), **changes})
        transformers.Qwen3ForCausalLM(built).save_pretrained(folder)

    return save


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def drawing_noise(folder: Path) -> None:
    file = folder / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"stochastic_sampling": True}))


NETWORK, VAE = diffusers.Flux2Transformer2DModel, diffusers.AutoencoderKLFlux2


@pytest.mark.parametrize(
    ("part", "change", "problem"),
    [
        (
            "transformer",
            rebuild(NETWORK, in_channels=32),
            "the transformer has 32 channels, the VAE's patched latents 16",
        ),
        (
            "transformer",
            rebuild(NETWORK, out_channels=8),
            "the transformer has 8 and 16 channels, the VAE's patched latents 16",
        ),
        (
            "transformer",
            rebuild(NETWORK, joint_attention_dim=32),
            "the transformer reads text 32 wide, its encoder writes 48",
        ),
        (
            "transformer",
            rebuild(NETWORK, guidance_embeds=True),
            "the transformer is told the guidance (guidance_embeds), as that of FLUX.2 dev is, "
            "which family flux2 does not do",
        ),
        (
            "vae",
            rebuild(VAE, patch_size=[1, 1]),
            "the VAE's patch_size is (1, 1) and the transformer's 1, and family flux2 takes "
            "(2, 2) and 1",
        ),
        (
            "vae",
            rebuild(
                VAE,
                block_out_channels=[8] * 5,
                down_block_types=["DownEncoderBlock2D"] * 5,
                up_block_types=["UpDecoderBlock2D"] * 5,
            ),
            "a token is 32 pixels wide, and sides are multiples of 16",
        ),
        (
            "text_encoder",
            rebuild_text(num_hidden_layers=20),
            "the text encoder has 20 layers, and the transformer reads number 27",
        ),
        (
            "text_encoder",
            rebuild_text(vocab_size=200, pad_token_id=None),
            "the tokenizer has 261 tokens, the text encoder 200",
        ),
        ("tokenizer", without_template, "the tokenizer has no chat template"),
        (
            "scheduler",
            drawing_noise,
            "the scheduler's stochastic_sampling is set, which family flux2 does not do",
        ),
    ],
)
def test_weights_that_do_not_fit(
    klein: Path, part: str, change: Callable[[Path], None], problem: str
) -> None:
    change(klein / part)
    assert refusal(klein, family="flux2") == (f"weights: those of model cups do not fit: {problem}")


def save_adapter(folder: Path, *, layers: tuple[str, ...] = ("to_q", "to_v")) -> Flux2Components:
    """Write the file that the stock pipeline writes; returns what it was made beside."""
    parts = tiny_flux2()
    torch.manual_seed(3)
    parts.transformer.add_adapter(
        LoraConfig(r=2, lora_alpha=6, target_modules=list(layers), init_lora_weights=False)
    )
    diffusers.Flux2KleinPipeline.save_lora_weights(
        folder, transformer_lora_layers=get_peft_model_state_dict(parts.transformer)
    )
    return parts


def test_an_adapter_is_fused(saved_klein: Path, tmp_path: Path) -> None:
    parts = save_adapter(tmp_path / "lora")
    loras = (LoraSettings(weights=str(tmp_path / "lora"), scale=1.0),)
    loaded = load(saved_klein, loras=loras)
    assert loaded.origin == f"klein with LoRA lora/{LORA} x 1"
    # The file has no alpha, so that the stock loader takes the rank for it: a factor of 1, not 3.
    for module in parts.transformer.modules():
        if hasattr(module, "scaling"):
            module.scaling = {"default": 1.0}
    ours, theirs = image(loaded).astype(int), image(parts).astype(int)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - image(load(saved_klein))).max() > 1


def test_an_adapter_of_another_family(saved_klein: Path, tmp_path: Path) -> None:
    unet = diffusers.UNet2DConditionModel.from_config(
        {"block_out_channels": [8], "down_block_types": ["DownBlock2D"],
         "up_block_types": ["UpBlock2D"], "norm_num_groups": 4, "mid_block_type": None}
    )  # fmt: skip
    unet.add_adapter(LoraConfig(r=2, target_modules=["conv1"], init_lora_weights=False))
    diffusers.StableDiffusionPipeline.save_lora_weights(
        tmp_path / "lora", unet_lora_layers=get_peft_model_state_dict(unet)
    )
    loras = (LoraSettings(weights=str(tmp_path / "lora")),)
    assert refusal(saved_klein, family="flux2", loras=loras).startswith(
        f"loras: {tmp_path / 'lora'} does not fit these weights: "
    )
