"""A folder of rendered pictures as training data: every draw has colours, light and words anew."""

import hashlib
from pathlib import Path

from training.rendering import asking, looks, store
from training.rendering.looks import Shown
from training.rendering.scene import Rng
from training.rendering.tone import Pixels

_HELD_OUT = 12  # one picture in so many


class Pictures:
    """The rendered pictures of a folder that are there now.

    Args:
        folder: where `python -m training.rendering` wrote; it may still be at work.
        held_out: the pictures that no training sees, in place of those that it does.

    Raises:
        FileNotFoundError: the folder has no such pictures.
    """

    def __init__(self, folder: Path, held_out: bool = False) -> None:
        self.paths = [p for p in sorted(folder.glob("*.npz")) if is_held_out(p) == held_out]
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


def is_held_out(path: Path) -> bool:
    """Whether a picture is for measuring alone; its scene's name decides, however many follow."""
    digest = hashlib.sha256(store.scene_of(path).encode()).digest()
    return int.from_bytes(digest[:4], "big") % _HELD_OUT == 0
