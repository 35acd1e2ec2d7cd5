"""A folder of rendered pictures as training data: every draw has colours, light and words anew."""

import hashlib
from pathlib import Path
from typing import Literal

from training.rendering import asking, kinds, looks, store
from training.rendering.chosen import CHOSEN
from training.rendering.looks import Shown
from training.rendering.scene import Rng
from training.rendering.tone import Pixels

Part = Literal["draws", "held", "chosen"]
"""All but the held-out pictures; those to measure with; those that the denoiser learns."""

_HELD_OUT = 12  # one picture in so many


class Pictures:
    """The rendered pictures of a folder that are there now.

    Args:
        folder: where `python -m training.rendering` wrote; it may still be at work.
        part: which of them. Of the chosen scenes it is the first view.

    Raises:
        FileNotFoundError: the folder has no such pictures.
    """

    def __init__(self, folder: Path, part: Part = "draws") -> None:
        self.paths = [p for p in sorted(folder.glob("*.npz")) if _is_of(p, part)]
        if not self.paths:
            raise FileNotFoundError(f"no rendered pictures in {folder}")

    def draw(self, rng: Rng) -> tuple[Pixels, Shown, str]:
        """One picture [H, W, 3] in 0..1, what it shows, and a caption.

        Raises:
            ValueError: its file is damaged.
        """
        picture, facts = store.load(self.paths[int(rng.integers(len(self.paths)))])
        look, shown = looks.choose(rng, facts)
        return looks.show(picture, facts, look), shown, asking.caption(rng, shown)


def _is_of(path: Path, part: Part) -> bool:
    if part == "chosen":
        return is_chosen(path) and path.stem == store.scene_of(path)
    return is_held_out(path) == (part == "held")


def is_chosen(path: Path) -> bool:
    """Whether a picture's scene is one that the denoiser learns."""
    number, place = divmod(int(store.scene_of(path)), len(kinds.NAMES))
    return number in CHOSEN[kinds.NAMES[place]]


def is_held_out(path: Path) -> bool:
    """Whether a picture is for measuring alone; its scene's name decides, however many follow."""
    digest = hashlib.sha256(store.scene_of(path).encode()).digest()
    return int.from_bytes(digest[:4], "big") % _HELD_OUT == 0 and not is_chosen(path)
