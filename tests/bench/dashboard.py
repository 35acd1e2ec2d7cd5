"""The dashboard of k8s/monitoring as a picture, drawn from a real service under load.

usage: python -m tests.bench.dashboard [--seconds 60] [--clients 6] [--out docs/dashboard.png]

Runs the shipped configuration with the demo weights, scrapes what Ray exports once a second while
clients ask, follow up, ask wrongly and leave, and evaluates the dashboard's own expressions. Also
prints what each deployment took of the CPU for a request of four images, which `k8s/sizing.py`
counts with. Needs the `bench` extra.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections import Counter, defaultdict
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from tests.bench.promql import Scrape, Vector, evaluate, read
from tests.bench.service import PHOTO, ROOT, progress, running
from tests.monitoring import MONITORING, all_chosen, exporter

DASHBOARD = MONITORING / "dashboard.json"
WINDOW = "20s"
"""What stands for Grafana's $__rate_interval."""

SIDE = 1024
"""Shorter side of the photo: results have its resolution."""


def cpu_seconds(pid: int) -> dict[str, float]:
    """CPU seconds of each deployment's replicas so far."""
    taken: dict[str, float] = defaultdict(float)
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            title = re.search(r"ServeReplica:\w+:([\w-]+)", " ".join(process.cmdline()))
            if title:
                times = process.cpu_times()
                taken[title[1]] += times.user + times.system
    return taken


def photo() -> bytes:
    with Image.open(PHOTO) as small:
        scale = SIDE / min(small.size)
        large = small.convert("RGB").resize(
            (round(small.width * scale), round(small.height * scale)), Image.Resampling.LANCZOS
        )
    buffer = BytesIO()
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


async def client(url: str, number: int, until: float, done: Counter[str]) -> None:
    """Ask for four images of a photo, fetch them and vary one, over and over."""
    model = ("stable-diffusion", "controlnet")[number % 2]
    upload = photo()
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        await asyncio.sleep(number)
        while time.monotonic() < until:
            data = {"prompt": "Sunset beach", "model": model, "num_images": "4", "steps": "10"}
            answer = await http.post("/api/generate", data=data, files={"image": ("a.jpg", upload)})
            done[str(answer.status_code)] += 1
            if not answer.is_success:
                await asyncio.sleep(1)
                continue
            images = answer.json()["images"]
            for image in images:
                await http.get(image)
            body = {"image_url": images[0], "prompt": "forest", "model": model, "num_images": 2}
            varied = await http.post("/api/variation", json={**body, "steps": 6})
            done[f"variation {varied.status_code}"] += 1
            await http.post(
                "/api/generate", data={**data, "model": "no-such"}, files={"image": b""}
            )


async def load(url: str, metrics: str, clients: int, seconds: float) -> tuple[list[Scrape], Any]:
    done: Counter[str] = Counter()
    until = time.monotonic() + seconds
    tasks = [asyncio.create_task(client(url, number, until, done)) for number in range(clients)]
    scrapes = []
    async with httpx.AsyncClient(timeout=30) as http:
        while not all(task.done() for task in tasks):
            scrapes.append(read(time.monotonic(), (await http.get(metrics)).text))
            await asyncio.sleep(1)
        # Ray's processes report every few seconds.
        for _ in range(8):
            scrapes.append(read(time.monotonic(), (await http.get(metrics)).text))
            await asyncio.sleep(1)
    await asyncio.gather(*tasks)
    return scrapes, done


def series(expression: str, scrapes: list[Scrape]) -> dict[Any, list[tuple[float, float]]]:
    lines: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for index in range(1, len(scrapes)):
        vector: Vector = evaluate(expression, scrapes[: index + 1])
        for labels, value in vector.items():
            if not math.isnan(value):
                lines[labels].append((scrapes[index].at - scrapes[0].at, value))
    return lines


def draw(scrapes: list[Scrape], out: Path) -> None:
    # Only the picture needs it; `--help` and the measurement do without.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = math.ceil(len(panels) / 3)
    figure, axes = pyplot.subplots(rows, 3, figsize=(15, 2.7 * rows), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for panel, axis in zip(panels, axes.flat, strict=False):
        for target in panel["targets"]:
            expression = all_chosen(target["expr"]).replace("$__rate_interval", WINDOW)
            for labels, points in sorted(series(expression, scrapes).items(), key=str):
                named = dict(labels)
                label = re.sub(
                    r"{{(\w+)}}",
                    lambda found, named=named: named.get(found[1], ""),
                    target["legendFormat"],
                )
                axis.plot(*zip(*points, strict=True), label=label, linewidth=1.3)
        unit = panel["fieldConfig"]["defaults"]["unit"]
        axis.set_title(panel["title"] + ("" if unit == "short" else f" ({unit})"), fontsize=10)
        # Room for the legend above the highest line.
        axis.set_ylim(0, 1.4 * max((max(line.get_ydata()) for line in axis.lines), default=0) or 1)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=6, loc="upper left", ncols=3, framealpha=0.6)
        else:
            axis.text(0.5, 0.5, "none", ha="center", transform=axis.transAxes, color="grey")
    figure.savefig(out, dpi=80, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "dashboard.png")
    options = parser.parse_args()
    with running() as (url, pid):
        metrics = exporter(pid)
        before = cpu_seconds(pid)
        progress(f"{options.clients} clients for {options.seconds:g} s")
        scrapes, done = asyncio.run(load(url, metrics, options.clients, options.seconds))
        after = cpu_seconds(pid)
    # Images count as quarters of a request: a variation has two, and no upload.
    requests = done["200"] + done["variation 200"] / 2
    print(f"{dict(done)}, {len(scrapes)} scrapes")
    for deployment in sorted(after):
        taken = (after[deployment] - before[deployment]) / requests
        print(f"{deployment:<20}{taken:8.3f} CPU s for a request of four images")
    draw(scrapes, options.out)


if __name__ == "__main__":
    main()
