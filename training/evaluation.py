"""What the demo weights reach: pictures of every scene, a classifier's verdict, edges, variety.

Works on an exported demo folder, through diffusers' stock pipelines, as a user of the folder would.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
)
from PIL import Image as Picture

from training import classifier, loop, sheets
from training.scenes import NAMES, Catalogue
from training.words import COLOURS, HELD_OUT

Pictures = list[npt.NDArray[np.float32]]

PROMPTS: dict[str, str] = {
    "forest": "Change background to forest",
    "autumn_forest": "autumn forest",
    "meadow": "green meadow",
    "countryside": "countryside at sunrise",
    "sky": "sky with clouds",
    "beach": "tropical beach",
    "sunset_sea": "sunset beach",
    "snow": "snowy landscape",
    "desert": "desert sand dunes",
    "mountains": "mountains at dawn",
    "city_street": "city street",
    "night_city": "city at night",
    "waterfront": "venice waterfront",
    "town_square": "old town square",
    "savanna": "savanna",
    "living_room": "living room",
    "lobby": "office lobby",
    "kitchen": "kitchen counter",
    "warehouse": "warehouse",
    "workshop": "workshop",
    "ballroom": "ballroom",
    "mall": "shopping mall",
    "garden": "flower garden",
    "space": "outer space with stars",
    "water": "clear pool water",
    "christmas": "Christmas lights",
    "concrete": "concrete wall",
    "paper": "seamless pink paper",
    "wood_table": "wooden table with teal wall",
    "white_marble": "on a white marble table with a beige wall",
    "black_marble": "black marble table with gold wall",
    "perfume": "Perfume backdrop",
    "cosmetics": "pink cosmetics",
    "podium": "round peach podium",
    "silk": "red silk",
    "window_light": "beige wall with window light",
}


@dataclass(frozen=True)
class Settings:
    """The model's default settings."""

    steps: int = 20
    guidance: float = 5.0
    strength: float = 0.95


@dataclass(frozen=True)
class Verdict:
    """What the classifier said: share right, the same by scene, and the seeds' variety."""

    share: float
    by_scene: dict[str, float]
    variety: float


class Demo:
    """A demo folder, loaded."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        """Load the pipeline and, where there is one, the ControlNet."""
        self.settings = settings or Settings()
        self._text = StableDiffusionPipeline.from_pretrained(
            folder / "weights", torch_dtype=torch.float32
        ).to(loop.device())
        self._photo = StableDiffusionImg2ImgPipeline(
            **self._text.components, requires_safety_checker=False
        )
        self._edges = None
        if (folder / "controlnet").exists():
            control = ControlNetModel.from_pretrained(folder / "controlnet").to(loop.device())
            self._edges = StableDiffusionControlNetPipeline(
                **self._text.components, controlnet=control, requires_safety_checker=False
            )
        for pipeline in (self._text, self._photo, self._edges):
            if pipeline is not None:
                pipeline.set_progress_bar_config(disable=True)

    def draw(
        self,
        prompts: list[str],
        seeds: list[int],
        photo: Picture.Image | None = None,
        control: list[Picture.Image] | None = None,
        scale: float = 1.0,
    ) -> Pictures:
        """One picture [256, 256, 3] in 0..1 for each prompt and seed; from a photo, or along edges.

        Raises:
            ValueError: edges were given and the folder has no ControlNet.
        """
        out: Pictures = []
        for first in range(0, len(prompts), 16):
            part = slice(first, first + 16)
            common = {
                "prompt": prompts[part],
                "num_inference_steps": self.settings.steps,
                "guidance_scale": self.settings.guidance,
                "generator": [torch.Generator().manual_seed(s) for s in seeds[part]],
                "output_type": "np",
            }
            if control is not None:
                if self._edges is None:
                    raise ValueError("the demo folder has no ControlNet")
                made = self._edges(
                    image=control[part], controlnet_conditioning_scale=scale, **common
                )
            elif photo is not None:
                photos = [photo.resize((256, 256))] * len(prompts[part])
                made = self._photo(image=photos, strength=self.settings.strength, **common)
            else:
                made = self._text(**common)
            out += [np.asarray(image, np.float32) for image in made.images]
        return out


def scene_sheet(folder: Path, path: Path, each: int = 3, photo: Path | None = None) -> None:
    """A sheet of every scene by the default settings, `each` seeds a scene."""
    demo = Demo(folder)
    prompts = [PROMPTS[name] for name in NAMES for _ in range(each)]
    seeds = [i % each for i in range(len(prompts))]
    start = Picture.open(photo).convert("RGB") if photo is not None else None
    sheets.save(sheets.sheet(demo.draw(prompts, seeds, start), prompts, each * 4, 128), path)


def variety(pictures: Pictures) -> float:
    """Mean distance between pairs: root mean square of pixels in 0..1, at 32x32 pixels."""
    small = np.stack([cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA) for p in pictures])
    distances = [
        float(np.sqrt(((a - b) ** 2).mean())) for i, a in enumerate(small) for b in small[i + 1 :]
    ]
    return float(np.mean(distances))


def edge_agreement(picture: npt.NDArray[np.float32], control: npt.NDArray[np.uint8]) -> float:
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


def _share_right(
    demo: Demo, model: torch.nn.Module, asked: list[tuple[str, str]], seeds: int
) -> Verdict:
    prompts = [prompt for _, prompt in asked for _ in range(seeds)]
    wanted = [scene for scene, _ in asked for _ in range(seeds)]
    made = demo.draw(prompts, [100 + i % seeds for i in range(len(prompts))])
    seen = classifier.name(model, made)
    right = [a == b for a, b in zip(seen, wanted, strict=True)]
    scenes = {
        scene: [r for r, w in zip(right, wanted, strict=True) if w == scene]
        for scene in dict(asked)
    }
    spread = [variety(made[i : i + seeds]) for i in range(0, len(made), seeds)]
    return Verdict(
        float(np.mean(right)),
        {k: float(np.mean(v)) for k, v in scenes.items()},
        float(np.mean(spread)),
    )


def _colour_distance(demo: Demo) -> dict[str, float]:
    """Distance of a plain studio's colour from the one that was named, RGB in 0..1."""
    names = list(COLOURS)
    made = demo.draw([f"plain {name} studio" for name in names], [1] * len(names))
    middles = [np.median(p[32:160, 48:208].reshape(-1, 3), axis=0) for p in made]
    return {
        name: round(float(np.linalg.norm(middle - COLOURS[name])), 3)
        for name, middle in zip(names, middles, strict=True)
    }


def _edges(demo: Demo, assets: Path, seed: int, count: int) -> dict[str, float]:
    """F1 along fresh renders' edges: with the ControlNet, without, and with another's edges."""
    catalogue, rng = Catalogue(assets), np.random.default_rng([seed, 9])
    names = [("podium", "white_marble", "beach", "window_light")[i % 4] for i in range(count)]
    drawn = [catalogue.sample(rng, name)[0] for name in names]
    maps = []
    for image in drawn:
        grey = cv2.cvtColor((image * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        maps.append(np.asarray(cv2.Canny(grey, 20, 50), np.uint8))
    prompts = [PROMPTS[name] for name in names]
    control = [Picture.fromarray(m).convert("RGB") for m in maps]
    seeds = list(range(count))
    made, free = demo.draw(prompts, seeds, control=control), demo.draw(prompts, seeds)
    pairs = {
        "with": zip(made, maps, strict=True),
        "without": zip(free, maps, strict=True),
        "along_another": zip(made, maps[1:] + maps[:1], strict=True),
    }
    return {k: float(np.mean([edge_agreement(a, b) for a, b in v])) for k, v in pairs.items()}


def measure(
    folder: Path, work: Path, assets: Path, seed: int, seeds: int = 10
) -> dict[str, object]:
    """All measurements of a demo folder by the default settings.

    Returns:
        share of scenes that the classifier names right (in all and by scene, for the sheet's
        prompts and for askings held out of training), variety between seeds, distance of colours,
        edge agreement.
    """
    demo = Demo(folder)
    model = classifier.train(work, assets, seed)
    known = _share_right(demo, model, list(PROMPTS.items()), seeds)
    held = [(scene, prompt) for scene, prompts in HELD_OUT.items() for prompt in prompts]
    unknown = _share_right(demo, model, held, max(1, seeds // 2))
    distances = _colour_distance(demo)
    return {
        "scenes_right": known.share,
        "by_scene": known.by_scene,
        "held_out_right": unknown.share,
        "held_out_by_scene": unknown.by_scene,
        "variety": known.variety,
        "colour_distance_mean": float(np.mean(list(distances.values()))),
        "colour_distance": distances,
        "edges_f1": _edges(demo, assets, seed, 16) if (folder / "controlnet").exists() else None,
    }
