"""Step batching against request batching: latency under load, on the same weights and threads.

usage: python -m tests.bench.engine_load [--family sd] [--seconds 20] [--json FILE]

Step batching is our engine. Request batching takes waiting jobs of equal settings, as many as fit
into one forward, and runs them to their end before the next, as a server around a stock pipeline
does. Jobs arrive at random, at a share of what our engine does when it never waits: once with one
setting, once with 64. The pictures are small, so that the weights (the demo's, or tiny ones of
FLUX.2 klein's shape) on a CPU behave as large ones on a GPU do: a forward of many rows costs less
than many forwards. What request batching cannot keep up with piles up for as long as jobs arrive,
so its waits grow with `--seconds`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deployments.diffusion.engine.step_engine import Engine
from deployments.jobs import GenerationSettings, ImageJob, PreparedPhoto
from tests.bench.batching import ROWS, Arrival, Heard, RequestBatching, Server, StepBatching
from tests.bench.load_models import SUBJECTS, Subject
from tests.bench.service import progress

LOADS = (0.6, 0.8, 0.95)


def arrivals(
    count: int, rate: float, settings: Sequence[dict[str, Any]], seed: int
) -> list[Arrival]:
    """Poisson arrivals, each with a photo of its own; a rate of 0 puts all at the start."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    noise = np.random.default_rng(seed)
    at, made = 0.0, []
    for number in range(count):
        setting = rng.randrange(len(settings))
        chosen = dict(settings[setting])
        height, width = chosen.pop("size")
        mask = np.full((height, width), 255, np.uint8) if chosen.pop("kept", False) else None
        if mask is not None:
            mask[height // 4 : height // 2, width // 4 : width // 2] = 0
        pixels = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
        job = ImageJob(str(number), GenerationSettings("forest", "", seed=number, **chosen))
        made.append(Arrival(at, setting, job, PreparedPhoto(pixels, mask)))
        at += rng.expovariate(rate) if rate else 0.0
    return made


def replay(server: Server, jobs: Sequence[Arrival]) -> dict[str, float]:
    """Let the jobs arrive: seconds from arrival to image, and images per second."""
    ends: dict[int, float] = {}
    all_ended = threading.Event()
    begun = time.monotonic()

    def ended(place: int) -> None:
        ends[place] = time.monotonic() - begun
        if len(ends) == len(jobs):
            all_ended.set()

    try:
        for place, one in enumerate(jobs):
            time.sleep(max(one.at - (time.monotonic() - begun), 0))
            server.submit(one, lambda place=place: ended(place))  # type: ignore[misc]
        all_ended.wait()
    finally:
        server.close()
    waits = sorted(ends[place] - one.at for place, one in enumerate(jobs))
    return {
        "p50_s": statistics.median(waits),
        "p95_s": waits[int(0.95 * (len(waits) - 1))],
        "images_per_s": len(jobs) / max(ends.values()),
    }


def load_report(subject: Subject, seconds: float) -> list[dict[str, Any]]:
    """Both ways of batching, side by side at each load."""
    model, different = subject.model, subject.settings
    rows: list[dict[str, Any]] = []
    for name, settings, lasting in (
        ("one setting", different[20:21], seconds / 2),
        ("64 settings", different, seconds),
    ):
        replay(StepBatching(model), arrivals(16, 0, settings, seed=1))  # warms up
        if len(settings) == 1:
            rates = [
                [
                    replay(kind(model), jobs)["images_per_s"]
                    for kind in (StepBatching, RequestBatching)
                ]
                for jobs in (arrivals(100, 0, settings, seed) for seed in (2, 3, 4))
            ]
            step, request = (statistics.median(rate) for rate in zip(*rates, strict=True))
            rows.append({"settings": name, "load": "all at once", "step": step,
                         "request": request, "throughput ratio": step / request})  # fmt: skip
        for load in LOADS:
            # Anew for each: what else the machine does changes by the minute.
            everything = arrivals(200, 0, settings, seed=2)
            capacity = replay(StepBatching(model), everything)["images_per_s"]
            progress(f"{name}: {capacity:.1f} images a second when nothing waits for arrivals")
            rate = load * capacity
            jobs = arrivals(round(rate * lasting), rate, settings, seed=9)
            step_way, request_way = (
                replay(StepBatching(model), jobs),
                replay(RequestBatching(model), jobs),
            )
            rows.append({
                "settings": name,
                "load": load,
                "asked": rate,
                "step": step_way,
                "request": request_way,
                "p95 ratio": request_way["p95_s"] / step_way["p95_s"],
                "throughput ratio": step_way["images_per_s"] / request_way["images_per_s"],
            })  # fmt: skip
            progress(f"{name} at {load:.0%} of it: done")
    return rows


def latencies(subject: Subject, probes: int = 40) -> dict[str, float]:
    """From submission to the first step, and from cancel to a free place, in steps' durations."""
    heard = Heard()
    engine = Engine(subject.model, lambda *sides: ROWS, 1000, heard)
    rng = random.Random(5)  # noqa: S311 - no secret
    (first,) = arrivals(1, 0, [subject.settings[0]], seed=3)
    long = replace(first.job, settings=replace(first.job.settings, steps=1000, strength=1.0))
    running = [engine.submit(long, first.photo, lambda event: None) for _ in range(4)]
    time.sleep(1)
    heard.waits.clear()
    try:
        for _ in range(probes):
            joined = threading.Event()
            probe = engine.submit(long, first.photo, lambda event, joined=joined: joined.set())
            joined.wait()
            time.sleep(rng.uniform(0.05, 0.1))
            probe.cancel()
            time.sleep(rng.uniform(0.05, 0.1))
        waits, cancels = sorted(heard.waits), sorted(heard.cancels)
    finally:
        for ticket in running:
            ticket.cancel()
        engine.close(drain_s=60)
    return {
        "step_s": statistics.median(heard.ticks),
        "admission p50, in steps": statistics.median(waits),
        "admission p95, in steps": waits[int(0.95 * (len(waits) - 1))],
        "cancel p50, in steps": statistics.median(cancels),
        "cancel p95, in steps": cancels[int(0.95 * (len(cancels) - 1))],
    }


def share_outside(subject: Subject) -> dict[str, Any]:
    """What of an image's time is spent outside the networks and the autoencoder, one job alone."""
    setting = subject.large_setting
    height, width = setting["size"]
    model, timed = subject.large()
    shares = []
    for seed in range(3):
        timed.seconds = 0.0
        with timed:
            (job,) = arrivals(1, 0, [setting], seed=seed)
            whole = replay(StepBatching(model), [job])["p50_s"]
        shares.append(1 - timed.seconds / whole)
    return {"pixels": f"{height}x{width}", "share outside": statistics.median(shares)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=SUBJECTS, default="sd")
    parser.add_argument("--seconds", type=float, default=20, help="that arrivals go on for")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    # Small tensors are slower on several threads, and ours need cores beside each other.
    torch.set_num_threads(1)
    subject = SUBJECTS[options.family]()
    report = {
        "share": share_outside(subject),
        "latency": latencies(subject),
        "load": load_report(subject, options.seconds),
    }
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def show(report: dict[str, Any]) -> None:
    """Print what the JSON holds."""
    print(f"{'':<33} | {'step batching':^24} | {'request batching':^24} | {'ratio':^12}")
    way = f"{'p50 s':>9}{'p95 s':>9}{'img/s':>7} |"
    print(f"{'settings':<13}{'load':>12}{'asked/s':>8} |{2 * way}{'p95':>6}{'img/s':>7}")
    for row in report["load"]:
        if row["load"] == "all at once":
            print(f"{row['settings']:<13}{row['load']:>12}{'':>8} |{row['step']:>25.1f} |"
                  f"{row['request']:>25.1f} |{row['throughput ratio']:>13.2f}")  # fmt: skip
            continue
        line = f"{row['settings']:<13}{row['load']:>12.0%}{row['asked']:>8.1f} |"
        for way in (row["step"], row["request"]):
            line += f"{way['p50_s']:>9.2f}{way['p95_s']:>9.2f}{way['images_per_s']:>7.1f} |"
        print(line + f"{row['p95 ratio']:>6.1f}{row['throughput ratio']:>7.2f}")
    for name, value in {**report["latency"], **report["share"]}.items():
        print(f"{name:<28}{value if isinstance(value, str) else round(value, 4)}")


if __name__ == "__main__":
    main()
