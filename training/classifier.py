"""A small classifier of scenes, to judge the generated pictures by.

It learns from fresh renders (seeds that no training picture has) and never sees the model's output.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from training.canvas import Rng
from training.scenes import NAMES, Catalogue

_SIDE = 48
_FRESH = 7_000_001  # added to the seed: no picture of the training set is drawn from it


def _small(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)


def build() -> nn.Module:
    """A network from [B, 3, 48, 48] in 0..1 to a score for each scene of NAMES."""

    def stage(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *stage(3, 32), *stage(32, 64), *stage(64, 128), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(128 * 9, len(NAMES)),
    )  # fmt: skip


def fresh(assets: Path, seed: int, each: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`each` new renders of every scene: [N, 3, 48, 48] and the scenes' numbers [N]."""
    catalogue = Catalogue(assets)
    rng = np.random.default_rng([seed, _FRESH])
    pictures = [_small(catalogue.sample(rng, name)[0]) for name in NAMES for _ in range(each)]
    labels = torch.arange(len(NAMES)).repeat_interleave(each)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), labels


def _varied(rng: Rng, x: torch.Tensor) -> torch.Tensor:
    if rng.random() < 0.5:
        x = x.flip(-1)
    x = x * float(rng.uniform(0.85, 1.15)) + float(rng.uniform(-0.04, 0.04))
    if rng.random() < 0.5:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (x + 0.02 * torch.randn_like(x)).clamp(0, 1)


def train(folder: Path, assets: Path, seed: int, each: int = 120, rounds: int = 12) -> nn.Module:
    """Train the classifier on first use, and keep it in folder/classifier.pt."""
    torch.manual_seed(seed)
    model, path = build(), folder / "classifier.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    x, labels = fresh(assets, seed, each)
    rng = np.random.default_rng([seed, 3])
    held = torch.from_numpy(rng.random(len(x)) < 0.1)
    kept = torch.nonzero(~held).flatten()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    steps = rounds * (len(kept) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        picked = kept[torch.from_numpy(rng.integers(len(kept), size=64))]
        loss = F.cross_entropy(model(_varied(rng, x[picked])), labels[picked], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        right = (model(x[held]).argmax(1) == labels[held]).float().mean()
    print(f"classifier: {float(right):.1%} of {int(held.sum())} renders that it has not seen")
    torch.save(model.state_dict(), path)
    return model


def name(model: nn.Module, pictures: list[npt.NDArray[np.float32]]) -> list[str]:
    """The scene that the classifier sees in each picture [H, W, 3] in 0..1."""
    x = torch.from_numpy(np.stack([_small(p) for p in pictures])).permute(0, 3, 1, 2)
    with torch.no_grad():
        return [NAMES[int(i)] for i in model(x).argmax(1)]
