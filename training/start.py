"""The shipped weights, for training to start from."""

from pathlib import Path

import torch
from diffusers import AutoencoderDC, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextModel

from training import text

DEMO = Path(__file__).resolve().parents[1] / "deployments" / "diffusion" / "demo"


def fetch_autoencoder(folder: Path) -> None:
    """Put the shipped autoencoder into a work folder, in float32."""
    kept = AutoencoderDC.from_pretrained(DEMO / "weights" / "vae", dtype=torch.float32)
    kept.save_pretrained(folder / "vae")


def fetch_networks(folder: Path) -> None:
    """Put the shipped vocabulary, text encoder, UNet and ControlNet into a work folder."""
    weights, single = DEMO / "weights", torch.float32
    text.load_tokenizer(weights / "tokenizer").save_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(weights / "text_encoder", dtype=single)
    encoder.save_pretrained(folder / "text_encoder")
    unet = UNet2DConditionModel.from_pretrained(weights / "unet", dtype=single)
    unet.save_pretrained(folder / "unet")
    control = ControlNetModel.from_pretrained(DEMO / "controlnet", dtype=single)
    control.save_pretrained(folder / "controlnet")
