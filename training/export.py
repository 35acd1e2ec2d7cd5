"""Write the demo folder: a standard Stable Diffusion folder, a ControlNet beside it, in float16.

Beside them are the words of the captions.

The new folder is complete before it takes the old one's place.
"""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderDC,
    ControlNetModel,
    EulerAncestralDiscreteScheduler,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel

from training import denoiser, vocabulary

LIMIT_BYTES = 32_000_000

_INDEX = {
    "_class_name": "StableDiffusionImg2ImgPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderDC"],
}


def _replace(new: Path, target: Path) -> None:
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def export(folder: Path, out: Path) -> int:
    """Write out/weights and out/controlnet from a work folder's modules, and out/vocabulary.json.

    Args:
        folder: with tokenizer, text_encoder, unet, vae and, where it is trained, controlnet.
        out: the demo folder.

    Returns:
        The bytes of all files written.

    Raises:
        ValueError: the files are larger than the package allows.
    """
    out.mkdir(parents=True, exist_ok=True)
    part = out / ".part"
    shutil.rmtree(part, ignore_errors=True)
    weights = part / "weights"
    shutil.copytree(folder / "tokenizer", weights / "tokenizer")
    half = torch.float16
    CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=half).save_pretrained(
        weights / "text_encoder"
    )
    UNet2DConditionModel.from_pretrained(folder / "unet", dtype=half).save_pretrained(
        weights / "unet"
    )
    AutoencoderDC.from_pretrained(folder / "vae", dtype=half).save_pretrained(weights / "vae")
    EulerAncestralDiscreteScheduler(
        **denoiser.SCHEDULE,
        timestep_spacing="trailing",
        steps_offset=1,
    ).save_pretrained(weights / "scheduler")
    (weights / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n")
    if (folder / "controlnet").exists():
        ControlNetModel.from_pretrained(folder / "controlnet", dtype=half).save_pretrained(
            part / "controlnet"
        )
    for config in part.rglob("config.json"):
        found = json.loads(config.read_text())
        found.pop("_name_or_path", None)
        if found.get("_class_name") == "AutoencoderDC":
            found["block_out_channels"] = found["decoder_block_out_channels"]  # pipelines count it
        config.write_text(json.dumps(found, indent=2) + "\n")
    for file in part.rglob("*.safetensors"):
        file.chmod(0o644)
    total = sum(p.stat().st_size for p in part.rglob("*") if p.is_file())
    if total > LIMIT_BYTES:
        raise ValueError(f"{total} bytes; at most {LIMIT_BYTES} fit the package")
    for new in (weights, part / "controlnet"):
        if new.exists():
            _replace(new, out / new.name)
    shutil.rmtree(part)
    return total + vocabulary.write(out).stat().st_size
