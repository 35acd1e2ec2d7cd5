"""What the studio costs: CPU milliseconds of each step, the least of several runs.

usage: python -m tests.bench.studio [--runs N] [--json FILE]

The photo is the sample that comes with the service, resized; the search is done with one thread.
`finish` is what each image costs: compose, measure and encode. All else is done once a request.
CPU time is that of the whole process, so that helper threads count; a busy machine still makes it
longer, by what its caches lose.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, get_args

import cv2
import numpy as np
from PIL import Image

import deployments
from deployments.composition import FileFormat, Output
from deployments.jobs import Photo, Pixels
from deployments.studio.compositing import compose
from deployments.studio.encoding import Metadata, encode
from deployments.studio.fidelity import measure
from deployments.studio.finders import ProductFinder
from deployments.studio.fitting import shrink
from deployments.studio.foreground import cut_out
from deployments.studio.framing import frame
from deployments.studio.marks import soften
from deployments.studio.matting import refine
from deployments.studio.tiles import make_tile

SIZES = ((600, 400), (1024, 1024), (4000, 3000))
MAX_SIDE = 1536
SAMPLE = Path(deployments.__file__).parent / "samples" / "coffee.png"

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    finder = ProductFinder(threads=1)
    report = {}
    for width, height in SIZES:
        costs = measured(sample(width, height), finder, options.runs)
        report[f"{width}x{height}"] = costs
        print(f"\n{width} x {height}, CPU ms")
        for name, cost in costs.items():
            print(f"  {name:<28}{cost:>9.1f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def sample(width: int, height: int) -> Pixels:
    with Image.open(SAMPLE) as image:
        return np.asarray(image.convert("RGB").resize((width, height)))


def measured(pixels: Pixels, finder: ProductFinder, runs: int) -> dict[str, float]:
    """Milliseconds of each step, and of what each image costs."""
    costs: dict[str, float] = {}

    def timed(name: str, step: Callable[[], T], times: int = runs) -> T:
        spent = []
        for _ in range(times):
            begun = time.process_time()
            result = step()
            spent.append(time.process_time() - begun)
        costs[name] = min(spent) * 1000
        return result

    photo, _ = timed("shrink", lambda: shrink(Photo(pixels), None, MAX_SIDE))
    coarse = timed("search (the network)", lambda: finder.coarse(photo.pixels), 2)
    reach = max(2, round(3 * max(coarse.shape) / 320))
    alpha = timed("refine", lambda: refine(photo.pixels, coarse, reach))
    marked = (alpha >= 128).astype(np.uint8)
    timed("soften a mask instead", lambda: soften(photo.pixels, marked))
    product = timed("cut out", lambda: cut_out(photo, alpha))
    prepared = timed("prepare", lambda: frame(Photo(pixels), product, 256))
    scene = prepared.pixels[:, ::-1].copy()
    result = timed("compose", lambda: compose(scene, product))
    shaded = timed("compose with a shadow", lambda: compose(scene, product, "contact", 0.5))
    assert shaded.shape == result.shape
    timed("compose with a cast one", lambda: compose(scene, product, "cast", 0.6))
    timed("compose with harmonize", lambda: compose(scene, product, harmonize=1.0))
    timed("measure", lambda: measure(result, product))
    metadata = Metadata(b"<x:xmpmeta/>", {"prompt": "Forest"})
    for file_format in get_args(FileFormat):
        output = Output(file_format)
        name = "encode" if file_format == "png" else f"encode a {file_format} instead"
        file = timed(name, lambda output=output: encode(result, output, metadata))
        timed(f"a tile of the {file_format}", lambda file=file: make_tile(file, 256))
    costs["finish one image"] = sum(costs[name] for name in ("compose", "measure", "encode"))
    return costs


if __name__ == "__main__":
    main()
