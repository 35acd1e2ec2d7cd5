"""`backdrop batch` with many photos, killed again and again: what is lost, and what made twice.

usage: python -m tests.bench.batch_kills [--photos 1000] [--kills 8] [--parallel 16]

The shipped configuration with a store of its own, at its smallest: pictures of 64 pixels, one step.
The command is killed (SIGKILL) each time a further share of the photos is done, and started again.
It exits with 1 unless each photo has exactly one job, one result and one saved image.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

from tests.bench.service import ROOT, progress, running

LOOK_S = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--parallel", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "photos", options.photos)
        data = folder / "data"
        smallest = {"size": 64, "steps": 1, "strength": 1.0}
        with running(data=data, **smallest) as (url, _):
            before = len(list(data.glob("generated/**/*.png")))
            begun = time.perf_counter()
            for kill in range(1, options.kills + 1):
                share = options.photos * kill // (options.kills + 1)
                process = start(folder, url, options.parallel)
                while saved(folder) < share and process.poll() is None:
                    time.sleep(LOOK_S)
                process.kill()
                process.wait()
                progress(f"killed with {saved(folder)} images saved")
            last = start(folder, url, options.parallel)
            code = last.wait()
            took_s = time.perf_counter() - begun
        print((folder / "log.txt").read_text())
        rows = json.loads((folder / "out" / "manifest.json").read_text())
        told = {
            "photos": len(rows),
            "done": sum(row["state"] == "done" for row in rows),
            "jobs": len(list(data.glob("requests/**/*.json"))),
            "results": len(list(data.glob("generated/**/*.png"))) - before,
            "saved": saved(folder),
            "distinct": len({path.read_bytes() for path in (folder / "out").rglob("*.png")}),
        }
    print(f"exit code {code}, {took_s:.0f} s, {options.kills} kills, {told}")
    if code or set(told.values()) != {options.photos}:
        sys.exit(1)


def draw(folder: Path, photos: int) -> None:
    """Boxes on a clear ground, so that nothing is searched; each of another colour."""
    for number in range(photos):
        colour = (number % 256, 80 + number // 256, 200)
        image = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
        ImageDraw.Draw(image).rectangle([32, 16, 63, 47], fill=colour)
        path = folder / f"shelf-{number % 10}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def start(folder: Path, url: str, parallel: int) -> subprocess.Popen[bytes]:
    """The command, whose lines go to a log."""
    command = [sys.executable, "-m", "deployments.launch", "batch", folder / "photos"]
    command += ["--out", folder / "out", "--url", url, "--parallel", parallel]
    command += ["--prompt", "Tropical beach", "--model", "stable-diffusion", "--num-images", 1]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=log, stderr=log)


def saved(folder: Path) -> int:
    """Images that are saved."""
    return sum(1 for _ in (folder / "out").rglob("*.png"))


if __name__ == "__main__":
    main()
