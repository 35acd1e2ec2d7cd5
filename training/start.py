"""The shipped demo folder as the weights that training goes on from."""

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderDC, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextModel

FOLDER = Path(__file__).resolve().parents[1] / "deployments" / "diffusion" / "demo"


def fetch_autoencoder(folder: Path) -> None:
    """Put the kept autoencoder into a work folder, in float32."""
    kept = AutoencoderDC.from_pretrained(FOLDER / "weights" / "vae", dtype=torch.float32)
    kept.save_pretrained(folder / "vae")


def fetch_networks(folder: Path) -> None:
    """Put the kept tokens, text encoder, UNet and, where there is one, ControlNet there."""
    weights, single = FOLDER / "weights", torch.float32
    # Copied, because saved anew it has other files, and `learn_tokenizer` looks for these.
    shutil.copytree(weights / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    encoder = CLIPTextModel.from_pretrained(weights / "text_encoder", dtype=single)
    encoder.save_pretrained(folder / "text_encoder")
    unet = UNet2DConditionModel.from_pretrained(weights / "unet", dtype=single)
    unet.save_pretrained(folder / "unet")
    if (FOLDER / "controlnet").exists():
        control = ControlNetModel.from_pretrained(FOLDER / "controlnet", dtype=single)
        control.save_pretrained(folder / "controlnet")
