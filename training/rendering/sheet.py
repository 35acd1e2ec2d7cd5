"""A sheet of what has been rendered, to look at: a row of pictures for each kind."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.rendering import looks, store


def main() -> None:
    """Write a sheet: `python -m training.rendering.sheet FOLDER OUT.png`."""
    parser = argparse.ArgumentParser(prog="python -m training.rendering.sheet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=2, help="pictures of a kind")
    parser.add_argument("--across", type=int, default=3, help="kinds beside each other")
    parser.add_argument("--kinds", nargs="*", help="only these")
    a = parser.parse_args()
    found: dict[str, list[np.ndarray]] = {}
    rng = np.random.default_rng(7)
    for path in sorted(a.folder.glob("*.npz")):
        picture, facts = store.load(path)
        row = found.setdefault(facts["kind"], [])
        if len(row) < a.each and (not a.kinds or facts["kind"] in a.kinds):
            look, shown = looks.choose(rng, facts)
            row.append(looks.show(picture, facts, look))
            print(path.stem, shown)
    rows = [r for r in found.values() if r]
    side = rows[0][0].shape[0]
    across = min(a.across, len(rows))
    sheet = np.zeros((-(-len(rows) // across) * side, across * a.each * side, 3), np.uint8)
    for i, row in enumerate(rows):
        for k, pixels in enumerate(row):
            y, x = i // across * side, (i % across * a.each + k) * side
            sheet[y : y + side, x : x + side] = (pixels * 255).round()
    a.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(a.out)


if __name__ == "__main__":
    main()
