"""What a demo folder reaches, asked for every scene by its default settings."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from training import draws, judge, sheets
from training.drawing import Demo, Picture
from training.prompts import HELD_OUT, PROMPTS
from training.rendering import kinds
from training.words import COLOURS

_WITH_EDGES = ("podium", "arch", "white_marble", "beach", "window_light", "blocks")


def _colours(demo: Demo) -> dict[str, float]:
    """Distance of a plain studio's colour from the one that was named, RGB in 0..1."""
    names = list(COLOURS)
    made = demo.draw([f"plain {name} studio" for name in names], [1] * len(names))
    middles = [np.median(p[32:160, 48:208].reshape(-1, 3), axis=0) for p in made]
    return {
        name: round(float(np.linalg.norm(middle - COLOURS[name])), 3)
        for name, middle in zip(names, middles, strict=True)
    }


def edge_agreement(picture: Picture, control: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """F1 of a picture's canny edges against a control map, two pixels of tolerance each way."""
    pixels = (picture * 255).round().astype(np.uint8)
    found = cv2.Canny(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 20, 50) > 0
    wanted = control > 0
    kernel = np.ones((5, 5), np.uint8)
    near_wanted = cv2.dilate(wanted.astype(np.uint8), kernel) > 0
    near_found = cv2.dilate(found.astype(np.uint8), kernel) > 0
    precision = (found & near_wanted).sum() / max(found.sum(), 1)
    recall = (wanted & near_found).sum() / max(wanted.sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-6))


def _edges(demo: Demo, held: list[Picture], shown: list[str], count: int = 18) -> dict[str, float]:
    """F1 along held-out renders' edges: with the ControlNet, without, with another's edges."""
    chosen = [i for i, kind in enumerate(shown) if kind in _WITH_EDGES][:count]
    maps = [
        np.asarray(cv2.Canny((held[i].mean(2) * 255).astype(np.uint8), 20, 50), np.uint8)
        for i in chosen
    ]
    control = [Image.fromarray(m).convert("RGB") for m in maps]
    prompts, seeds = [PROMPTS[shown[i]] for i in chosen], list(range(len(chosen)))
    made, free = demo.draw(prompts, seeds, control), demo.draw(prompts, seeds)
    pairs = {"with": (made, maps), "without": (free, maps), "along_another": (made, maps[::-1])}
    return {
        name: round(float(np.mean([edge_agreement(a, b) for a, b in zip(*pair, strict=True)])), 3)
        for name, pair in pairs.items()
    }


def _sharpness(made: list[Picture], held: list[Picture]) -> dict[str, float]:
    """Quartiles of gradient energy, those of the made pictures over those of the renders."""
    parts = (25, 50, 75)
    ratios = np.percentile(judge.sharpness(made), parts) / np.percentile(
        judge.sharpness(held), parts
    )
    return {f"quartile_{part}": round(float(r), 3) for part, r in zip(parts, ratios, strict=True)}


def measure(folder: Path, work: Path, seed: int, seeds: int = 10) -> dict[str, Any]:
    """All measurements of a demo folder.

    Args:
        folder: the demo folder.
        work: the work folder, with draws, for the classifier and to compare with.
        seed: of the classifier.
        seeds: of each scene.

    Returns:
        Shares that the classifier names right, of the prompts and of phrasings held out of
        training; variety between seeds; distance of colours; sharpness over that of held-out
        renders; Fréchet distance from them; agreement with edges.
    """
    demo, model = Demo(folder), judge.train(work, seed)
    asked = [kind for kind in PROMPTS for _ in range(seeds)]
    made = demo.draw(
        [PROMPTS[kind] for kind in asked], [100 + i % seeds for i in range(len(asked))]
    )
    known = judge.verdict(model, made, asked, seeds)
    few = max(1, seeds // 2)
    held_out = [(kind, p) for kind, prompts in HELD_OUT.items() for p in prompts]
    others = demo.draw(
        [p for _, p in held_out for _ in range(few)],
        [200 + i for _ in held_out for i in range(few)],
    )
    unknown = judge.verdict(model, others, [k for k, _ in held_out for _ in range(few)], few)
    renders = [p.astype(np.float32) / 255 for c in draws.load(work / "draws", "held") for p in c]
    named = [one.kind for one in draws.shown(work / "draws", "held")]
    even = _evenly(renders, named)
    distances = _colours(demo)
    found: dict[str, Any] = {
        "right": known.share,
        "by_kind": known.by_kind,
        "held_out_right": unknown.share,
        "held_out_by_kind": unknown.by_kind,
        "variety": known.variety,
        "colours_mean": float(np.mean(list(distances.values()))),
        "colours": distances,
        "sharpness": _sharpness(made, even),
        "frechet": judge.frechet(judge.features(model, made), judge.features(model, even)),
    }
    if (folder / "controlnet").exists():
        found["edges_f1"] = _edges(demo, renders, named)
    return found


def sheet(folder: Path, path: Path, each: int = 2) -> None:
    """A sheet of every scene by the default settings, `each` seeds a scene."""
    prompts = [prompt for prompt in PROMPTS.values() for _ in range(each)]
    made = Demo(folder).draw(prompts, [i % each for i in range(len(prompts))])
    sheets.save(sheets.sheet(made, prompts, 4 * each, 256), path)


def _evenly(pictures: list[Picture], named: list[str], most: int = 10) -> list[Picture]:
    """At most so many of each kind, as the prompts ask for all kinds alike."""
    places = {kind: [i for i, n in enumerate(named) if n == kind][:most] for kind in kinds.NAMES}
    return [pictures[i] for kind in kinds.NAMES for i in places[kind]]
