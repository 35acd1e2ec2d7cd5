"""What one look of a finder costs in ONNX Runtime and in OpenVINO, and how far their marks differ.

usage: python -m tests.bench.finder [--runs N] [--threads N] [--photos DIR] [--json FILE]

The runtimes take turns, run by run, so that a busy machine slows both; the least of the runs is
told. CPU seconds are those of the whole process. Memory is that of a process of its own, with two
threads of callers. The network is the bundled one, or that of the options `--network` and
`--weights`, in a file. Marks are compared on the photos of a folder, or on the sample photo.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import deployments
from deployments.finder_settings import KNOWN, FinderSettings
from deployments.jobs import Pixels
from deployments.studio.finders import load_finder

RUNTIMES = ("onnxruntime", "openvino")
SAMPLE = Path(deployments.__file__).parent / "samples" / "coffee.png"
LOOKS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--photos", type=Path, help="a folder of PNG and JPEG pictures")
    parser.add_argument("--network", choices=KNOWN, default="u2netp")
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    chosen = {
        runtime: FinderSettings.model_validate({
            "network": options.network,
            "weights": options.weights,
            "runtime": runtime,
            "threads": options.threads,
        })
        for runtime in RUNTIMES
    }  # fmt: skip
    report = {runtime: memory(settings) for runtime, settings in chosen.items()}
    for runtime, costs in look_costs(chosen, options.runs).items():
        report[runtime].update(costs)
    differences = apart(chosen, options.photos)
    for runtime, costs in report.items():
        print(f"\n{options.network} in {runtime}, {options.threads} threads")
        for name, value in costs.items():
            print(f"  {name:<36}{value:>9.3f}")
    print(f"\nmarks of {differences['photos']:.0f} photos, levels apart")
    print(f"  most {differences['most']:.0f}, on average {differences['mean']:.5f}")
    if options.json:
        options.json.write_text(json.dumps({**report, "apart": differences}, indent=1))


def look_costs(chosen: dict[str, FinderSettings], runs: int) -> dict[str, dict[str, float]]:
    """Least wall and CPU seconds of a look at the sample photo, by runtime."""
    pixels = opened(SAMPLE)
    finders = {runtime: load_finder(settings) for runtime, settings in chosen.items()}
    walls: dict[str, list[float]] = {runtime: [] for runtime in finders}
    spent: dict[str, list[float]] = {runtime: [] for runtime in finders}
    for run in range(runs + 1):
        for runtime, finder in finders.items():
            begun, used = time.perf_counter(), time.process_time()
            finder.coarse(pixels)
            if run > 0:  # the first one packs weights
                walls[runtime].append(time.perf_counter() - begun)
                spent[runtime].append(time.process_time() - used)
    return {
        runtime: {
            "seconds of a look, least": min(walls[runtime]),
            "CPU seconds of a look, least": min(spent[runtime]),
        }
        for runtime in finders
    }


def apart(chosen: dict[str, FinderSettings], folder: Path | None) -> dict[str, float]:
    """How far the marks of the two runtimes are apart, in levels."""
    left, right = (load_finder(settings) for settings in chosen.values())
    most, means = 0, []
    for pixels in photos(folder):
        marks = (finder.coarse(pixels).astype(np.int16) for finder in (left, right))
        difference = np.abs(np.subtract(*marks))
        most = max(most, int(difference.max()))
        means.append(float(difference.mean()))
    return {"photos": len(means), "most": most, "mean": float(np.mean(means))}


def photos(folder: Path | None) -> Iterator[Pixels]:
    if folder is None:
        yield opened(SAMPLE)
        return
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in {".png", ".jpg", ".jpeg"}:
            yield opened(file)


def opened(file: Path) -> Pixels:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def memory(settings: FinderSettings) -> dict[str, float]:
    """Seconds to load, and what a process of its own holds then, in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured_memory, (settings,))


def measured_memory(settings: FinderSettings) -> dict[str, float]:
    pixels, before, begun = opened(SAMPLE), resident("VmRSS"), time.perf_counter()
    finder = load_finder(settings)
    loaded = time.perf_counter() - begun
    with ThreadPoolExecutor(2) as callers:
        list(callers.map(finder.coarse, [pixels] * LOOKS))
    return {
        "seconds to load": loaded,
        "MB of memory between looks": resident("VmRSS") - before,
        "MB of memory at most": resident("VmHWM") - before,
    }


def resident(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
