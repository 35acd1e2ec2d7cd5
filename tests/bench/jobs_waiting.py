"""Many jobs that wait: what they cost in memory, and how long looking at them takes.

usage: python -m tests.bench.jobs_waiting [--jobs 500] [--looks 50] [--json FILE]

The shipped configuration with a store of its own, and with a rate of 8 images a minute: so the jobs
wait, of 8 images each, while the processors are free for what is measured. Memory is what all
processes of the service hold together (PSS, in MB): before, with all jobs waiting, and the most
between.

The targets for 500: at most 200 MB over idle, and the list within 100 ms at the median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.bench.service import PHOTO, progress, running

ASYNC = {"Prefer": "respond-async"}
SETTLE_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--looks", type=int, default=50)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    slow = {"rates": {"images_per_minute": 8}}
    with running(ingress=slow) as (url, pid), httpx.Client(base_url=url, timeout=60) as client:
        time.sleep(SETTLE_S)
        told = measure(client, pid, options.jobs, options.looks)
    for name, value in told.items():
        print(f"{name:<42}{value:>10.1f}")
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))


def measure(client: httpx.Client, pid: int, jobs: int, looks: int) -> dict[str, float]:
    """Memory and times, by what they are of."""
    idle = most = memory_mb(pid)
    progress(f"idle: {idle:.0f} MB")
    submissions = []
    for number in range(jobs):
        begun = time.perf_counter()
        path = submit(client, number)
        submissions.append((time.perf_counter() - begun) * 1000)
        if number % 50 == 49:
            most = max(most, memory_mb(pid))
            progress(f"{number + 1} jobs: {most - idle:.0f} MB over idle at most")
    time.sleep(SETTLE_S)
    full = memory_mb(pid)
    told = {
        "MB idle": idle,
        "MB over idle, all submitted": full - idle,
        "ms to submit, median": statistics.median(submissions),
        "ms to list 20, median": median_ms(client, "/api/jobs", looks),
        "ms to list 100, median": median_ms(client, "/api/jobs?limit=100", looks),
        "ms to look at the last, median": median_ms(client, path, looks),
        "MB over idle, at most": max(most, full, memory_mb(pid)) - idle,
    }
    states = [job["state"] for job in listed(client)]
    told["jobs that still wait"] = states.count("waiting")
    return told


def submit(client: httpx.Client, number: int) -> str:
    """Submit a job; its path."""
    data = {"prompt": f"Perfume backdrop {number}", "model": "stable-diffusion"}
    answer = client.post(
        "/api/generate",
        headers=ASYNC,
        data=data | {"num_images": "8", "preserve_product": "false"},
        files={"image": ("photo.png", PHOTO.read_bytes())},
    )
    answer.raise_for_status()
    return answer.headers["location"]


def listed(client: httpx.Client) -> list[dict[str, object]]:
    """All jobs, page by page."""
    jobs, cursor = [], None
    while True:
        asked = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/jobs", params=asked).raise_for_status().json()
        jobs += page["jobs"]
        cursor = page["cursor"]
        if cursor is None:
            return jobs


def median_ms(client: httpx.Client, path: str, looks: int) -> float:
    """How long a GET takes."""
    times = []
    for _ in range(looks):
        begun = time.perf_counter()
        client.get(path).raise_for_status()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def memory_mb(pid: int) -> float:
    """What a process and all below it hold, shared pages by their parts."""
    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


if __name__ == "__main__":
    main()
