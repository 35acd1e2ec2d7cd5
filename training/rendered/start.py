"""The weights that the repository keeps, for training to start from."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderDC

FOLDER = Path(__file__).resolve().parent.parent / "start" / "vae"
LIMIT_BYTES = 4_000_000


def keep(vae: Path, folder: Path = FOLDER) -> int:
    """Write an autoencoder in float16 in place of the one that is kept.

    Returns:
        The bytes written.

    Raises:
        ValueError: they are too many.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    AutoencoderDC.from_pretrained(vae, torch_dtype=torch.float16).save_pretrained(part)
    config = json.loads((part / "config.json").read_text())
    config.pop("_name_or_path", None)
    config["block_out_channels"] = config["decoder_block_out_channels"]  # what pipelines count
    (part / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    total = sum(p.stat().st_size for p in part.iterdir())
    if total > LIMIT_BYTES:
        raise ValueError(f"{total} bytes; at most {LIMIT_BYTES} are kept")
    folder.mkdir(parents=True, exist_ok=True)
    for new in part.iterdir():
        new.chmod(0o644)
        new.replace(folder / new.name)
    part.rmdir()
    return total


def fetch(folder: Path) -> None:
    """Put the kept autoencoder into a work folder, in float32."""
    AutoencoderDC.from_pretrained(FOLDER, torch_dtype=torch.float32).save_pretrained(folder / "vae")
