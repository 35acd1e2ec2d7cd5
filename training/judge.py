"""A small classifier of the rendered scenes, and figures that compare sets of pictures.

The classifier learns from draws of rendered scenes and never sees what a model made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from training import draws
from training.rendering import kinds
from training.rendering.dataset import Part

Picture = npt.NDArray[np.float32]
Figures = npt.NDArray[np.float64]
_SIDE = 64
_WIDTH = 128  # numbers that stand for a picture


def build() -> nn.Module:
    """A network from [B, 3, 64, 64] in 0..1 to a score for each of kinds.NAMES."""

    def stage(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    seen = nn.Sequential(
        *stage(3, 32), *stage(32, 64), *stage(64, 96), *stage(96, _WIDTH),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * _WIDTH, _WIDTH),
    )  # fmt: skip
    return nn.Sequential(seen, nn.ReLU(), nn.Linear(_WIDTH, len(kinds.NAMES)))


def small(pictures: Sequence[Picture]) -> torch.Tensor:
    """Pictures [H, W, 3] in 0..1 as the classifier takes them."""
    each = [cv2.resize(p, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for p in pictures]
    return torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2).float()


def drawn(folder: Path, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws [N, 3, 64, 64] and the numbers of their kinds [N]."""
    chunks = draws.load(folder, part)
    pictures = torch.cat([small([p.astype(np.float32) / 255 for p in c]) for c in chunks])
    shown = draws.shown(folder, part)
    return pictures, torch.tensor([kinds.NAMES.index(one.kind) for one in shown])


def _varied(rng: np.random.Generator, x: torch.Tensor) -> torch.Tensor:
    if rng.random() < 0.5:
        x = x.flip(-1)
    x = x * float(rng.uniform(0.85, 1.15)) + float(rng.uniform(-0.04, 0.04))
    if rng.random() < 0.5:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return (x + 0.02 * torch.randn_like(x)).clamp(0, 1)


def train(folder: Path, seed: int, rounds: int = 14) -> nn.Module:
    """Train the classifier on first use, keep it in folder/judge.pt, and say how good it is.

    Args:
        folder: the work folder, with draws to learn from and others to be asked about.
        seed: of batches and first weights.
        rounds: times that it sees every draw.
    """
    torch.manual_seed(seed)
    model, path = build(), folder / "judge.pt"
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    x, labels = drawn(folder / "draws", "draws")
    rng = np.random.default_rng([seed, 3])
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    steps = rounds * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        picked = torch.from_numpy(rng.integers(len(x), size=64))
        scores = model(_varied(rng, x[picked]))
        loss = F.cross_entropy(scores, labels[picked], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimizer.step()
        schedule.step()
    model.eval()
    held, wanted = drawn(folder / "draws", "held")
    with torch.no_grad():
        right = (model(held).argmax(1) == wanted).float().mean()
    print(f"classifier: {float(right):.1%} of {len(held)} renders that it has not seen")
    torch.save(model.state_dict(), path)
    return model


def names(model: nn.Module, pictures: Sequence[Picture]) -> list[str]:
    """The kind that the classifier sees in each picture [H, W, 3] in 0..1."""
    with torch.no_grad():
        return [kinds.NAMES[int(i)] for i in model(small(pictures)).argmax(1)]


def features(model: nn.Module, pictures: Sequence[Picture]) -> Figures:
    """What the classifier knows of each picture before it names it, [N, 128]."""
    seen = model[0]
    with torch.no_grad():
        return np.asarray(seen(small(pictures)), np.float64)


def frechet(a: Figures, b: Figures) -> float:
    """Fréchet distance of two sets of features [N, D], taken for normal (Heusel et al. 2017)."""
    away = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    left, right = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(left)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ right @ root), 0)).sum()
    return away + float(np.trace(left) + np.trace(right) - 2 * shared)


def sharpness(pictures: Sequence[Picture]) -> Figures:
    """Gradient energy of each picture [H, W, 3] in 0..1: the mean of the squared differences.

    Of grey pixels that lie beside each other, in both directions; [N].
    """
    found = []
    for picture in pictures:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        across, down = np.diff(grey, axis=1), np.diff(grey, axis=0)
        found.append(float((across**2).mean() + (down**2).mean()))
    return np.asarray(found)


def variety(pictures: Sequence[Picture]) -> float:
    """Mean distance between pairs: root mean square of pixels in 0..1, at 32x32 pixels."""
    tiny = np.stack([cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA) for p in pictures])
    distances = [
        float(np.sqrt(((a - b) ** 2).mean())) for i, a in enumerate(tiny) for b in tiny[i + 1 :]
    ]
    return float(np.mean(distances))


@dataclass(frozen=True)
class Verdict:
    """What the classifier said of pictures of several kinds, and how different their seeds are."""

    share: float
    by_kind: dict[str, float]
    variety: float


def verdict(
    model: nn.Module, made: Sequence[Picture], wanted: Sequence[str], seeds: int
) -> Verdict:
    """Judge pictures.

    Args:
        model: the classifier.
        made: pictures, `seeds` of each prompt beside each other.
        wanted: the kind that each was asked for.
        seeds: of each prompt.
    """
    right = [a == b for a, b in zip(names(model, made), wanted, strict=True)]
    by_kind = {
        kind: float(np.mean([r for r, w in zip(right, wanted, strict=True) if w == kind]))
        for kind in dict.fromkeys(wanted)
    }
    spread = [variety(made[i : i + seeds]) for i in range(0, len(made), seeds)]
    return Verdict(float(np.mean(right)), by_kind, float(np.mean(spread)))
